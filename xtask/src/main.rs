//! Everything a person or a machine does with this repository: `cargo xtask <command>`.
//!
//! One module per command. The tool depends on the standard library and a JSON parser only, so that it is
//! built in seconds on a new machine and every later step can be started from it. Whatever it starts, it
//! stops, by the process id it got when starting it.

mod bench;
mod ci;
mod contract;
mod demo;
mod engine;
mod http;
mod image;
mod paths;
mod person;
mod postgres;
mod process;
mod python;
mod server;
mod setup;
mod sh;
mod sim;
mod small_images;
mod ssh;
mod table;
mod test;
mod tidy;
mod upgrade;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  setup [--what demo|test|bench]    install what is missing (Debian), build the images
  demo                              start a server, walk through the API, print every step
  test [filter]                     every test: workspace, PostgreSQL, real engine, the command line clients
  test person | test skypilot       the published clients alone; SkyPilot, which is in no other run
  ci [--no-test]                    format, clippy, tidy, then test
  tidy [--tighten]                  the architecture and size checks
  sim --seed N | --seeds N | --minutes M
                                    the simulator; prints the seed of what it finds
  sim --mutations                   whether the simulator sees deliberate bugs
  chaos [operations]                1,000 operations on the real engine while server and engine are killed
  upgrade [commit]                  the program of an earlier commit is replaced by this one while it works
  contract [seed] [examples]        thousands of calls by the served contract, allowed and forbidden ones
  bench [name]                      measurements: ssh, http, memory, size
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match command.as_str() {
        "setup" => setup::main(&rest),
        "demo" => demo::main(&rest),
        "test" => test::main(&rest),
        "ci" => ci::main(&rest),
        "tidy" => tidy::main(&rest),
        "sim" => sim::main(&rest),
        "chaos" => test::chaos(&rest),
        "upgrade" => upgrade::main(&rest),
        "bench" => bench::main(&rest),
        "contract" => contract::main(&rest),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(sh::Failure::with_code(format!("there is no command {other:?}\n\n{HELP}"), 2)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("\nxtask {command}: {failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}

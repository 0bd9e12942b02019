//! `cargo xtask sim --seed N` reproduces one run; `--seeds N --minutes M` looks for new ones; `--mutations`
//! asks whether the simulator sees deliberate bugs.

use podbay_testkit::sim::{self, Violation};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A fifth of a run is memory asked for and given back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seeds within which each deliberate bug must be seen.
const MUTATION_SEEDS_MAX: u64 = 10_000;

struct Arguments {
    first: u64,
    seeds: u64,
    most: Duration,
    mutations: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments { first: 1, seeds: u64::MAX, most: Duration::from_secs(60), mutations: false };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--mutations" {
            parsed.mutations = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} {value}: write a whole number"))?;
        match flag.as_str() {
            "--seed" => (parsed.first, parsed.seeds) = (number, 1),
            "--first" => parsed.first = number,
            "--seeds" => parsed.seeds = number,
            "--minutes" => parsed.most = Duration::from_secs(number * 60),
            _ => {
                return Err(format!(
                    "unknown flag {flag}; known are --seed, --first, --seeds, --minutes, --mutations"
                ));
            }
        }
    }
    Ok(parsed)
}

#[expect(clippy::print_stdout, reason = "the summary is what the program is for")]
#[expect(clippy::print_stderr, reason = "the trace is talk")]
fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    if arguments.mutations {
        return mutations();
    }
    let start = Instant::now();
    let seeds = arguments.first..=arguments.first.saturating_add(arguments.seeds - 1);
    let summary = match sim::many(seeds.take_while(|_| start.elapsed() < arguments.most)) {
        Ok(summary) => summary,
        Err(violation) => return smallest(*violation),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("{summary} in {seconds:.1} s, {:.0} pod lifetimes/s", summary.lifetimes as f64 / seconds);
    ExitCode::SUCCESS
}

/// Prints what a failure needs; its seed is on the last line.
#[expect(clippy::print_stdout, reason = "what was found is what the program is for")]
#[expect(clippy::print_stderr, reason = "that something is going on is talk")]
fn smallest(violation: Violation) -> ExitCode {
    eprintln!("seed {} breaks {}; looking for the smallest run that does", violation.seed, violation.what);
    let runtime = match sim::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{violation}\n{error}");
            return ExitCode::FAILURE;
        }
    };
    let (violation, without) = runtime.block_on(sim::minimise(violation));
    println!(
        "{violation}\nleft out: {} moves and {} faults\nseed {}",
        without.moves.len(),
        without.faults.len(),
        violation.seed
    );
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn mutations() -> ExitCode {
    let mut missed = 0;
    for (mutation, found) in sim::mutations(MUTATION_SEEDS_MAX) {
        match found {
            Some(found) => println!("{mutation:?}: seen on seed {} as {}", found.seed, found.what),
            None => {
                missed += 1;
                println!("{mutation:?}: NOT SEEN on {MUTATION_SEEDS_MAX} seeds");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

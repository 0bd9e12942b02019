//! `cargo xtask sim --seed N` reproduces one run; `--seeds N --minutes M` looks for new ones.

use podbay_testkit::sim::{self, Summary};
use std::process::ExitCode;
use std::time::{Duration, Instant};

struct Arguments {
    first: u64,
    seeds: u64,
    most: Duration,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments { first: 1, seeds: u64::MAX, most: Duration::from_secs(60) };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} {value}: write a whole number"))?;
        match flag.as_str() {
            "--seed" => (parsed.first, parsed.seeds) = (number, 1),
            "--first" => parsed.first = number,
            "--seeds" => parsed.seeds = number,
            "--minutes" => parsed.most = Duration::from_secs(number * 60),
            _ => return Err(format!("unknown flag {flag}; known are --seed, --first, --seeds, --minutes")),
        }
    }
    Ok(parsed)
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the summary is what the program is for")]
#[expect(clippy::print_stderr, reason = "the trace is talk")]
async fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let (start, mut summary) = (Instant::now(), Summary::default());
    for seed in arguments.first..=arguments.first.saturating_add(arguments.seeds - 1) {
        match sim::run(seed).await {
            Ok(run) => summary.add(&run),
            Err(violation) => {
                violation.trace.iter().for_each(|line| eprintln!("{line}"));
                println!("{}", violation.what);
                println!("seed {}", violation.seed);
                return ExitCode::FAILURE;
            }
        }
        if start.elapsed() > arguments.most {
            break;
        }
    }
    println!(
        "{} seeds, {} pods, {} crashes, {} checks of all invariants, faults {:?}, violations 0 in {:.1?}",
        summary.seeds,
        summary.pods,
        summary.crashes,
        summary.checks,
        summary.faults,
        start.elapsed()
    );
    ExitCode::SUCCESS
}

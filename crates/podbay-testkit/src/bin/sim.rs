//! `cargo xtask sim --seed N` reproduces one run; `--seeds N --minutes M` looks for new ones; `--mutations`
//! asks whether the simulator sees deliberate bugs.

use podbay_core::mutation::Mutation;
use podbay_testkit::sim::{self, Summary, Violation};
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    if arguments.mutations {
        return mutations().await;
    }
    let (start, mut summary) = (Instant::now(), Summary::default());
    for seed in arguments.first..=arguments.first.saturating_add(arguments.seeds - 1) {
        match sim::run(seed).await {
            Ok(run) => summary.add(&run),
            Err(violation) => return smallest(*violation).await,
        }
        if start.elapsed() > arguments.most {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{summary} in {seconds:.1} s, {:.0} pod lifetimes/s", summary.lifetimes as f64 / seconds);
    ExitCode::SUCCESS
}

/// Prints what a failure needs; its seed is on the last line.
#[expect(clippy::print_stdout, reason = "what was found is what the program is for")]
#[expect(clippy::print_stderr, reason = "that something is going on is talk")]
async fn smallest(violation: Violation) -> ExitCode {
    eprintln!("seed {} breaks {}; looking for the smallest run that does", violation.seed, violation.what);
    let (violation, without) = sim::minimise(violation).await;
    println!(
        "{violation}\nleft out: {} moves and {} faults\nseed {}",
        without.moves.len(),
        without.faults.len(),
        violation.seed
    );
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn mutations() -> ExitCode {
    let mut missed = 0;
    for mutation in Mutation::ALL {
        match sim::caught(mutation, MUTATION_SEEDS_MAX).await {
            Some(found) => println!("{mutation:?}: seen on seed {} as {}", found.seed, found.what),
            None => {
                missed += 1;
                println!("{mutation:?}: NOT SEEN on {MUTATION_SEEDS_MAX} seeds");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! The simulator, in the tests: seeds that failed once, and new ones for a while
//! (`PODBAY_SIM_SECONDS`, 10 unless set); and whether it sees bugs that are put there on purpose.

use podbay_core::mutation::Mutation;
use podbay_testkit::sim::{Summary, caught, minimise, run};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Every seed that ever found something. What a seed does changes with the moves that there are; what these two
/// found stands as scenarios in `podbay-core/tests/it/running.rs`, too.
const FAILED_ONCE: &[u64] = &[91, 10_708];
/// Seeds within which each deliberate bug must be seen.
const MUTATION_SEEDS_MAX: u64 = 10_000;

#[tokio::test]
async fn no_seed_breaks_an_invariant() {
    let seconds =
        std::env::var_os("PODBAY_SIM_SECONDS").map_or(10, |text| text.to_str().unwrap().parse().unwrap());
    #[expect(clippy::disallowed_methods, reason = "new seeds at each run; the failure names its seed")]
    let first = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 1000;
    let (start, mut summary) = (Instant::now(), Summary::default());
    let new = (first..).take_while(|_| start.elapsed() < Duration::from_secs(seconds));
    for seed in FAILED_ONCE.iter().copied().chain(new) {
        match run(seed).await {
            Ok(met) => summary.add(&met),
            Err(violation) => panic!("{}", minimise(*violation).await.0),
        }
    }
    assert!(summary.seeds > 0 && summary.lifetimes > 0 && summary.faults["Crash"] > 0, "{summary}");
    println!("{summary}");
}

#[tokio::test]
async fn every_deliberate_bug_is_seen() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        match caught(mutation, MUTATION_SEEDS_MAX).await {
            Some(found) => println!("{mutation:?}: seen on seed {} as {}", found.seed, found.what),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "not seen: {missed:?}");
}

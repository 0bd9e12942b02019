//! The simulator, in the tests: seeds that failed once, and new ones for a while
//! (`PODBAY_SIM_SECONDS`, 10 unless set); and whether it sees bugs that are put there on purpose.

use podbay_testkit::sim::{many, minimise, mutations};
use std::io::Write;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Every seed that ever found something. What a seed does changes with the moves that there are; what these
/// found stands as scenarios, too: in `podbay-core/tests/it/running.rs`, `force.rs`, `silence.rs` and `replicas.rs`.
const FAILED_ONCE: &[u64] =
    &[91, 10_708, 191, 250, 283, 526, 200_738, 1_795_680_040_075, 1_795_682_071_273, 3732];
/// Seeds within which each deliberate bug must be seen.
const MUTATION_SEEDS_MAX: u64 = 10_000;

#[test]
fn no_seed_breaks_an_invariant() {
    let seconds =
        std::env::var_os("PODBAY_SIM_SECONDS").map_or(10, |text| text.to_str().unwrap().parse().unwrap());
    #[expect(clippy::disallowed_methods, reason = "new seeds at each run; the failure names its seed")]
    let first = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 1000;
    let start = Instant::now();
    let new = (first..).take_while(|_| start.elapsed() < Duration::from_secs(seconds));
    let summary = many(FAILED_ONCE.iter().copied().chain(new)).unwrap_or_else(|violation| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        panic!("{}", runtime.block_on(minimise(*violation)).0)
    });
    assert!(summary.seeds > 0 && summary.lifetimes > 0 && summary.faults["Crash"] > 0, "{summary}");
    // Not `println`, which a test that succeeds keeps to itself.
    writeln!(std::io::stdout(), "the simulator: {summary}").unwrap();
}

#[test]
fn every_deliberate_bug_is_seen() {
    let mut missed = Vec::new();
    for (mutation, found) in mutations(MUTATION_SEEDS_MAX) {
        match found {
            Some(found) => println!("{mutation:?}: seen on seed {} as {}", found.seed, found.what),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "not seen: {missed:?}");
}

//! The simulator, in the tests: seeds that failed once, and new ones for a while
//! (`PODBAY_SIM_SECONDS`, 10 unless set).

use podbay_testkit::sim::{Summary, Violation, run};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Every seed that ever found something, and what it was.
const FAILED_ONCE: &[u64] = &[];

fn told(violation: &Violation) -> String {
    format!(
        "{}\n{}\nreproduce it with: cargo xtask sim --seed {}",
        violation.trace.join("\n"),
        violation.what,
        violation.seed
    )
}

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
            Err(violation) => panic!("{}", told(&violation)),
        }
    }
    assert!(summary.seeds > 0 && summary.crashes > 0, "{summary:?}");
    println!("{summary:?}, violations 0");
}

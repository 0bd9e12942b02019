//! Waiting for the outside. An engine has no clock to step and tells nobody when a process has
//! written a line, so it is asked again and again, at most so long.

use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

const WAIT_MAX: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(30);

/// What `ask` answers once it answers. Panics, naming `what`, if it does not.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    let mut rounds = tokio::time::interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < WAIT_MAX, "{what}: not within {} s", WAIT_MAX.as_secs());
    }
}

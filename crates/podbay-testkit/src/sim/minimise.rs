//! What a failure needs: moves and faults are left out, by halves and then one by one, as long as the
//! same invariant breaks.

use super::{Violation, Without, run_without};
use std::time::{Duration, Instant};

/// Runs of one search, at most, and how long it may take: some runs are two hours of a host that is away.
const TRIES_MAX: usize = 400;
const SEARCH_MAX: Duration = Duration::from_secs(120);

/// The smallest run that was found to break the same invariant, and what it leaves out.
pub async fn minimise(violation: Violation) -> (Violation, Without) {
    let mut best = (violation, Without::default());
    let (mut tries, start) = (0, Instant::now());
    let is_over = |tries| tries >= TRIES_MAX || start.elapsed() > SEARCH_MAX;
    for of_moves in [true, false, true] {
        let mut size = parts(&best.0, of_moves).len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < parts(&best.0, of_moves).len() && !is_over(tries) {
                let all = parts(&best.0, of_moves);
                let chunk = all[from..(from + size).min(all.len())].iter().copied();
                let mut without = best.1.clone();
                if of_moves {
                    without.moves.extend(chunk);
                } else {
                    without.faults.extend(chunk);
                }
                tries += 1;
                match run_without(best.0.seed, &without).await {
                    Err(smaller) if smaller.invariant() == best.0.invariant() => best = (*smaller, without),
                    _ => from += size,
                }
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
    }
    best
}

fn parts(violation: &Violation, of_moves: bool) -> Vec<u64> {
    if of_moves { violation.moves.clone() } else { violation.faults.keys().copied().collect() }
}

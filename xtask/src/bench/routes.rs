//! Every GET route at a constant rate, over a server with 1,000 pods.
//!
//! Calls come when they are due, whether those before have been answered or not, and a call's time is
//! counted from when it was due: a server that stands still for a moment is not spared the calls that
//! it would have met.

use super::http::Ours;
use super::report::{Report, Wanted, milliseconds, short};
use super::stats::Samples;
use super::wire::Wire;
use crate::http::{Api, rows, text};
use crate::paths;
use crate::sh::{self, Context, Result};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PODS: u32 = 1000;
const RATE: u32 = 200;
const SECONDS: u32 = 5;
/// Calls that may be under way at the same time; far more than a server that keeps up ever has.
const CONNECTIONS: u32 = 16;
const WANTED: Wanted = Wanted::AtMost(5.0);

pub fn measure(report: &mut Report) -> Result<()> {
    sh::say(format!("routes: {RATE} requests/s for {SECONDS} s each, {PODS} pods"));
    let ours = Ours::start(&paths::own_fresh("bench-routes")?, "routes", PODS)?;
    for route in rows(&ours.said, "/routes") {
        let (name, path) = (text(route, "/name"), text(route, "/path"));
        for (how, is_anew) in [("", false), (", made anew", true)] {
            let times = press(&ours.api, path, is_anew)?;
            let p50 = short(milliseconds(times.percentile(50)));
            let p99 = milliseconds(times.percentile(99));
            report.value(&format!("GET {name}{how}: p50 {p50} ms, p99"), p99, "ms", WANTED);
        }
    }
    Ok(())
}

/// A parameter that nobody has sent before keeps the server from serving a reply that it has kept.
fn press(api: &Api, path: &str, is_anew: bool) -> Result<Samples> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let next = AtomicU32::new(0);
    let begin = Instant::now() + Duration::from_millis(50);
    let client = || -> Result<Vec<Duration>> {
        let mut wire = Wire::open(api)?;
        let mut times = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= RATE * SECONDS {
                return Ok(times);
            }
            let due = begin + Duration::from_secs(1) * nth / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if is_anew {
                let separator = if path.contains('?') { '&' } else { '?' };
                let call = CALLS.fetch_add(1, Ordering::Relaxed);
                wire.exchange("GET", &format!("{path}{separator}bench={call}"), "")?;
            } else {
                wire.exchange("GET", path, "")?;
            }
            times.push(due.elapsed());
        }
    };
    Wire::open(api)?.exchange("GET", path, "")?;
    let all = thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .map(|client| client.join().ok().context("a client panicked")?)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Samples::new(all.concat()))
}

//! What many pods cost: how fast they come, what they take, how long a start with all of them is, pages of long
//! lists; orders of many clients; and how many pods the simulator leads from order to history.

use super::http;
use super::report::{Report, Wanted, milliseconds, short};
use super::stats::Samples;
use super::wire::Wire;
use crate::http::{Api, text};
use crate::paths;
use crate::process::Process;
use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// For all pods and the whole history to be made.
const PATIENCE: Duration = Duration::from_secs(300);
/// Calls of each page.
const PAGES: u32 = 300;
const PAGE: u64 = 100;
/// Enough for some twenty seconds.
const SEEDS: &str = "1000";

pub fn measure(report: &mut Report) -> Result<()> {
    let folder = paths::own_fresh("bench-durable")?;
    simulator(report)?;
    many(report, &folder)?;
    sh::say("orders of 64 clients");
    http::pressed(report, &folder)
}

fn simulator(report: &mut Report) -> Result<()> {
    sh::say(format!("the simulator, {SEEDS} seeds"));
    super::build("sim", &["-p", "podbay-testkit", "--bin", "sim"])?;
    let mut sim = sh::guarded(paths::target().join("sim/sim"));
    let said = sh::capture(sim.args(["--seeds", SEEDS]))?;
    let words = said.trim().strip_suffix(" pod lifetimes/s").context("the simulator found something")?;
    let rate = words.rsplit(' ').next().and_then(|rate| rate.parse().ok()).context("a rate")?;
    of_target(report, "simulator, pods from order to history", rate, "/s", Wanted::AtLeast(2_000.0));
    Ok(())
}

fn many(report: &mut Report, folder: &Path) -> Result<()> {
    sh::say("very many pods, and a long history");
    let folder = folder.join("many");
    std::fs::create_dir(&folder).context(folder.display())?;
    let mut command = sh::guarded(paths::target().join("release/bench_server"));
    command.arg(&folder).arg("durable");
    let (_process, said) = Process::start_saying_within(PATIENCE, &mut command, &folder.join("log"))?;
    let number = |key: &str| said[key].as_f64().context(key.to_owned());
    report.value("orders to ACTIVE, the first 10,000", number("firstPerS")?, "/s", Wanted::Nothing);
    let what = "orders to ACTIVE, with 10,000 live pods";
    of_target(report, what, number("perS")?, "/s", Wanted::AtLeast(300.0));
    let what = "server and scripted engine, with 12,500 pods, resident";
    of_target(report, what, number("residentMb")?, "MB", Wanted::AtMost(512.0));
    let what = "restart with 12,500 pods, until calls are answered";
    of_target(report, what, number("restartMs")?, "ms", Wanted::AtMost(2_000.0));
    let api = Api { base: text(&said, "/ours").to_owned(), key: text(&said, "/key").to_owned() };
    let mut wire = Wire::open(&api)?;
    for (path, total) in [("/api/v1/pods/", &said["live"]), ("/api/v1/pods/history", &said["history"])] {
        let total = total.as_u64().context("how many there are")?;
        for (where_to, offset) in [("begin", 0), ("middle", total / 2), ("end", total - PAGE)] {
            let times = pages(&mut wire, path, offset, total)?;
            let p50 = short(milliseconds(times.percentile(50)));
            let what = format!("GET {path}, {PAGE} of {total} at the {where_to}: p50 {p50} ms, p99");
            of_target(report, &what, milliseconds(times.percentile(99)), "ms", Wanted::AtMost(50.0));
        }
    }
    Ok(())
}

/// One page again and again, each time made anew.
fn pages(wire: &mut Wire, path: &str, offset: u64, total: u64) -> Result<Samples> {
    let mut times = Vec::new();
    for nth in 0..PAGES {
        let call = format!("{path}?offset={offset}&limit={PAGE}&bench={nth}");
        let begin = Instant::now();
        let bytes = wire.exchange("GET", &call, "")?;
        times.push(begin.elapsed());
        if nth == 0 {
            let page: Value = serde_json::from_slice(&bytes).context(&call)?;
            let (rows, all) = (page["data"].as_array().map(Vec::len), page["total_count"].as_u64());
            if rows != Some(PAGE as usize) || all != Some(total) {
                return Err(format!("{call}: {rows:?} of {all:?}").into());
            }
        }
    }
    Ok(Samples::new(times))
}

/// A number with its ratio to what is wanted of it.
fn of_target(report: &mut Report, what: &str, value: f64, unit: &str, wanted: Wanted) {
    let (bound, sign) = match wanted {
        Wanted::AtLeast(bound) => (bound, "≥"),
        Wanted::AtMost(bound) => (bound, "≤"),
        Wanted::Nothing => return report.value(what, value, unit, wanted),
    };
    let ratio = match wanted {
        Wanted::AtLeast(_) => Wanted::AtLeast(1.0),
        _ => Wanted::AtMost(1.0),
    };
    let target = format!("{sign} {} {unit}", short(bound));
    report.ratio(what, format!("{} {unit}", short(value)), target, value / bound, ratio);
}

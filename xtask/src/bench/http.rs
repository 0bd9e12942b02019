//! Calls that every client makes: beside the same bytes from memory, and beside a FastAPI server that does
//! the same work; and orders, which have to be on the disk before they are answered.
//!
//! All servers stand side by side, each with 100 pods, and are pressed in turn, so that what else this
//! machine does meets all of them alike. A ratio is the median of the ratios of the rounds.

use super::load::{Load, Pressure, press};
use super::report::{Report, Wanted, median, milliseconds, short};
use super::stats::Samples;
use super::wire::Wire;
use crate::http::{Api, rows, text};
use crate::process::{Process, wait_until};
use crate::sh::{self, Context, Result};
use crate::{paths, postgres, python};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PACKAGES: [&str; 2] = ["fastapi==0.116.1", "uvicorn[standard]==0.35.0"];
const PODS: u32 = 100;
const ROUNDS: usize = 3;
const GET: Pressure = Pressure { threads: 2, connections: 32, seconds: 3, script: None };
const OF_MEMORY: Wanted = Wanted::AtLeast(0.5);
const OF_REFERENCE: Wanted = Wanted::AtLeast(15.0);

pub fn compare(report: &mut Report) -> Result<()> {
    let folder = paths::own_fresh("bench-http")?;
    sh::say(format!("HTTP: {} connections, {} s, {ROUNDS} rounds", GET.connections, GET.seconds));
    reads(report, &folder)?;
    orders(report, &folder)
}

fn reads(report: &mut Report, folder: &Path) -> Result<()> {
    let ours = Ours::start(folder, "reads", PODS)?;
    let reference = Reference::start(folder)?;
    let theirs = paths_of(&reference.api)?;
    let calls = [("GET one pod", "one"), ("GET list of 100", "list"), ("GET status of 100", "status")];
    for ((what, name), reference_path) in calls.into_iter().zip(&theirs) {
        let path = text(&ours.said, &format!("/{name}"));
        let query = path.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        let memory = (&ours.memory, format!("/memory/{name}{query}"));
        let contenders = [(&ours.api, path.to_owned()), memory, (&reference.api, reference_path.clone())];
        let rounds = turns(&contenders, &GET)?;
        line(report, &format!("{what}, of axum from memory"), &rounds, 1, OF_MEMORY);
        line(report, &format!("{what}, of FastAPI"), &rounds, 2, OF_REFERENCE);
        p99(report, what, &rounds);
        if name != "one" {
            // A reply that is kept is no work at all; this is the work.
            let anew = Pressure { script: Some(script("anew.lua")), ..GET };
            let contenders = [contenders[0].clone(), contenders[2].clone()];
            let rounds = turns(&contenders, &anew)?;
            line(report, &format!("{what}, made anew, of FastAPI"), &rounds, 1, OF_REFERENCE);
            p99(report, &format!("{what}, made anew"), &rounds);
        }
    }
    Ok(())
}

/// Each contender in turn, several times.
fn turns(contenders: &[(&Api, String)], pressure: &Pressure) -> Result<Vec<Vec<Load>>> {
    // What is made at the first call is made before.
    let warm = Pressure { seconds: 1, ..pressure.clone() };
    for (api, path) in contenders {
        press(api, path, &warm)?;
    }
    (0..ROUNDS).map(|_| contenders.iter().map(|(api, path)| press(api, path, pressure)).collect()).collect()
}

fn line(report: &mut Report, what: &str, rounds: &[Vec<Load>], other: usize, wanted: Wanted) {
    let rate = |of: usize| median(rounds.iter().map(|round| round[of].requests_per_s));
    let ratio = median(rounds.iter().map(|round| round[0].requests_per_s / round[other].requests_per_s));
    let per_second = |rate: f64| format!("{rate:.0}/s");
    report.ratio(what, per_second(rate(0)), per_second(rate(other)), ratio, wanted);
}

fn p99(report: &mut Report, what: &str, rounds: &[Vec<Load>]) {
    let of = |server: usize| median(rounds.iter().map(|round| round[server].p99_ms));
    let all = |server: usize| format!("{} ms", short(of(server)));
    let others: Vec<String> = (1..rounds[0].len()).map(all).collect();
    let ratio = of(0) / of(rounds[0].len() - 1);
    report.ratio(&format!("{what}, p99"), all(0), others.join(", "), ratio, Wanted::Nothing);
}

/// Durable orders: at leisure, and as fast as 64 clients can.
fn orders(report: &mut Report, folder: &Path) -> Result<()> {
    let leisure = Ours::start(folder, "orders-at-leisure", PODS)?;
    let times = pace(&leisure.api)?;
    drop(leisure);
    let (p50, p99) = (milliseconds(times.percentile(50)), milliseconds(times.percentile(99)));
    report.value("POST one pod, 20 a second, p50", p50, "ms", Wanted::AtMost(10.0));
    report.value("POST one pod, 20 a second, p99", p99, "ms", Wanted::Nothing);
    pressed(report, folder)
}

pub(super) fn pressed(report: &mut Report, folder: &Path) -> Result<()> {
    let pressure = Pressure { threads: 2, connections: 64, seconds: 8, script: Some(script("order.lua")) };
    let mut loads = Vec::new();
    for round in 0..ROUNDS {
        let ours = Ours::start(folder, &format!("orders-{round}"), PODS)?;
        loads.push(press(&ours.api, "/api/v1/pods", &pressure)?);
    }
    let rate = median(loads.iter().map(|load| load.requests_per_s));
    report.value("POST one pod, 64 clients", rate, "/s", Wanted::AtLeast(500.0));
    let p50 = median(loads.iter().map(|load| load.p50_ms));
    report.value("POST one pod, 64 clients, p50", p50, "ms", Wanted::Nothing);
    Ok(())
}

fn pace(api: &Api) -> Result<Samples> {
    let order = r#"{"pod":{"cloudId":"cpu-1x2","gpuType":"CPU_NODE","socket":"PCIe","gpuCount":1},
                    "provider":{"type":"primecompute"}}"#;
    let mut wire = Wire::open(api)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        wire.call("POST", "/api/v1/pods", order)?;
        times.push(begin.elapsed());
        std::thread::sleep(Duration::from_millis(50).saturating_sub(begin.elapsed()));
    }
    Ok(Samples::new(times))
}

fn script(name: &str) -> PathBuf {
    paths::root().join("xtask/bench").join(name)
}

/// The server over a scripted engine, with its pods in it.
pub(super) struct Ours {
    pub(super) api: Api,
    memory: Api,
    pub(super) said: Value,
    _process: Process,
}

impl Ours {
    pub(super) fn start(folder: &Path, name: &str, pods: u32) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir(&folder).context(folder.display())?;
        let mut command = sh::guarded(paths::target().join("release/bench_server"));
        let (process, said) =
            Process::start_saying(command.arg(&folder).arg(pods.to_string()), &folder.join("log"))?;
        let api =
            |base: &str| Api { base: text(&said, base).to_owned(), key: text(&said, "/key").to_owned() };
        Ok(Self { api: api("/ours"), memory: api("/memory"), said, _process: process })
    }
}

struct Reference {
    api: Api,
    _process: Process,
}

impl Reference {
    fn start(folder: &Path) -> Result<Self> {
        let python = python::environment("reference", &PACKAGES)?.join("python");
        let port = postgres::free_port()?;
        let key = "reference-key".to_owned();
        let mut command = sh::guarded(python);
        command.arg(paths::root().join("xtask/bench/reference.py"));
        command.args(["--port", &port.to_string(), "--key", &key, "--database"]);
        let log = folder.join("reference.log");
        let process = Process::start(command.arg(folder.join("reference.sqlite")), &log)?;
        let api = Api { base: format!("http://127.0.0.1:{port}"), key };
        let is_up = wait_until(Duration::from_secs(30), Duration::from_millis(100), || {
            api.get("/api/v1/pods/?offset=0&limit=1").is_ok_and(|reply| reply.status == 200)
        });
        if is_up {
            Ok(Self { api, _process: process })
        } else {
            Err(format!("the reference server did not start; see {}", log.display()).into())
        }
    }
}

/// One pod, the list, the status: of a server that does not say itself which pods it has.
fn paths_of(api: &Api) -> Result<[String; 3]> {
    let list = "/api/v1/pods/?offset=0&limit=100".to_owned();
    let body = api.get(&list)?.ok("pods")?;
    let ids: Vec<&str> = rows(&body, "/data").iter().map(|row| text(row, "/id")).collect();
    let query: Vec<String> = ids.iter().map(|id| format!("pod_ids={id}")).collect();
    let first = ids.first().context("the reference has no pods")?;
    Ok([format!("/api/v1/pods/{first}"), list, format!("/api/v1/pods/status?{}", query.join("&"))])
}

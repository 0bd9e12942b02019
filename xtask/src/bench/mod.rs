//! `cargo xtask bench [name]`: measurements beside references that do the same work, in the same minutes.
//!
//! The table at the end says what was wanted and whether it is met. What is worth keeping goes into
//! `docs/performance.md` by hand, with the machine it was measured on.

mod copy;
mod durable;
mod http;
mod load;
mod memory;
mod report;
mod routes;
mod ssh;
mod stats;
mod wire;

use crate::engine::Engine;
use crate::server::{self, Server};
use crate::sh::{self, Failure, Result};
use crate::{image, paths, setup};
use report::Report;

const USAGE: &str = "usage: cargo xtask bench [ssh|http|routes|writes|durable|memory|size|copy] [--runs N]";
const NAMES: [&str; 9] = ["all", "ssh", "http", "routes", "writes", "durable", "memory", "size", "copy"];
/// Those that need no container.
const WITHOUT_ENGINE: [&str; 4] = ["http", "routes", "writes", "durable"];

pub fn main(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, runs) = match words[..] {
        [] => ("all", None),
        ["--runs", runs] => ("all", runs.parse::<usize>().ok()),
        [name] => (name, None),
        [name, "--runs", runs] => (name, runs.parse::<usize>().ok()),
        _ => return Err(Failure::with_code(USAGE, 2)),
    };
    if !NAMES.contains(&name) {
        return Err(Failure::with_code(USAGE, 2));
    }
    let is_wanted = |one: &str| name == "all" || name == one;
    let mut report = Report::default();
    setup::programs(setup::What::Bench)?;
    if !WITHOUT_ENGINE.contains(&name) {
        build("release", &["-p", "podbay"])?;
    }
    let measured = measure(&is_wanted, runs.unwrap_or(30).max(1), &mut report);
    // What was measured before something went wrong is true all the same.
    report.print();
    measured
}

fn measure(is_wanted: &dyn Fn(&str) -> bool, runs: usize, report: &mut Report) -> Result<()> {
    if is_wanted("size") {
        memory::sizes(report)?;
    }
    if WITHOUT_ENGINE.into_iter().any(is_wanted) {
        build("release", &["-p", "podbay-testkit", "--bin", "bench_server"])?;
    }
    if is_wanted("http") {
        http::compare(report)?;
    }
    if is_wanted("routes") {
        routes::measure(report)?;
    } else if is_wanted("writes") {
        routes::measure_writes(report)?;
    }
    if is_wanted("durable") {
        durable::measure(report)?;
    }
    if ["ssh", "memory", "copy"].into_iter().any(is_wanted) {
        with_engine(is_wanted, runs, report)?;
    }
    Ok(())
}

fn build(profile: &str, what: &[&str]) -> Result<()> {
    let arguments = ["build", "--quiet", "--profile", profile];
    sh::run(sh::cargo().current_dir(paths::root()).args(arguments).args(what))
}

/// What needs real containers.
fn with_engine(is_wanted: &dyn Fn(&str) -> bool, runs: usize, report: &mut Report) -> Result<()> {
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    let mut server = Server::start(&engine, "bench", &server::binary("release"))?;
    let measured = with_server(&engine, &mut server, is_wanted, runs, report);
    let stopped = server.stop();
    engine.remove(&server.leftovers(&engine)?);
    measured.and(stopped.map(drop))
}

fn with_server(
    engine: &Engine,
    server: &mut Server,
    is_wanted: &dyn Fn(&str) -> bool,
    runs: usize,
    report: &mut Report,
) -> Result<()> {
    if is_wanted("memory") {
        memory::server(server, "idle", report)?;
    }
    let key = ssh::key(server)?;
    if is_wanted("ssh") {
        ssh::compare(engine, server, &key, runs, report)?;
        memory::server(server, "idle after those pods", report)?;
    }
    if is_wanted("copy") {
        copy::compare(engine, server, &key, report)?;
    }
    Ok(())
}

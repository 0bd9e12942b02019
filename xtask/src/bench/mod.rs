//! `cargo xtask bench [name]`: measurements beside a reference that does the same work.
//!
//! Numbers are printed, not judged; what is worth keeping goes into `docs/performance.md` by hand, with the
//! machine it was measured on.

mod http;
mod memory;
mod ssh;
mod stats;

use crate::engine::Engine;
use crate::server::{self, Server};
use crate::sh::{self, Failure, Result};
use crate::{image, paths, setup};

const USAGE: &str = "usage: cargo xtask bench [ssh|http|memory|size] [--runs N]";

pub fn main(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, runs) = match words[..] {
        [] => ("all", None),
        [name] => (name, None),
        [name, "--runs", runs] => (name, runs.parse::<usize>().ok()),
        _ => return Err(Failure::with_code(USAGE, 2)),
    };
    if !["all", "ssh", "http", "memory", "size"].contains(&name) {
        return Err(Failure::with_code(USAGE, 2));
    }
    let is_wanted = |one: &str| name == "all" || name == one;
    let runs = runs.unwrap_or(30).max(1);
    setup::programs(setup::What::Bench)?;
    sh::run(sh::cargo().current_dir(paths::root()).args(["build", "--quiet", "--release", "-p", "podbay"]))?;
    if is_wanted("size") {
        memory::sizes()?;
    }
    if !["all", "ssh", "http", "memory"].contains(&name) {
        return Ok(());
    }
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    let mut server = Server::start(&engine, "bench", &server::binary("release"))?;
    if is_wanted("memory") {
        memory::server(&server)?;
    }
    if is_wanted("http") {
        http::compare(&server)?;
    }
    if is_wanted("ssh") {
        ssh::compare(&engine, &mut server, runs)?;
    }
    server.stop().map(drop)
}

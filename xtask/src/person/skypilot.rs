//! SkyPilot, unchanged, from `podbay skypilot install` to `sky down`. Only `cargo xtask test skypilot` runs it: it
//! takes minutes, and its set-up fetches things from the internet into the pod. On a machine where pods have none,
//! `PODBAY_SKYPILOT_IMAGE` names an image that has them already (docs/compatibility.md says what).

use super::{Step, Walk, contains};
use crate::sh::{self, Context, Result};
use crate::{postgres, python, server};
use std::fs;
use std::process::Command;

pub const STEPS: &[Step] = &[
    ("podbay skypilot install writes what it reads, with a key of its own", install),
    ("sky check finds the cloud", check),
    ("sky gpus list reads the catalog", gpus),
    ("sky launch runs a task", launch),
    ("sky exec runs another", exec),
    ("sky down leaves nothing", down),
    ("sky api stop", stop),
];

const PACKAGES: [&str; 1] = ["skypilot==0.14.1"];
const CLUSTER: &str = "walk";

/// The image of the pods.
pub fn image() -> Option<String> {
    std::env::var_os("PODBAY_SKYPILOT_IMAGE")?.into_string().ok().filter(|image| !image.is_empty())
}

fn install(walk: &mut Walk) -> Result<()> {
    python::environment("skypilot", &PACKAGES)?;
    // Whoever works on this machine may run one of these, too.
    fs::write(walk.home.join("sky-port"), postgres::free_port()?.to_string())?;
    let key = walk.home.join("sky.key");
    let key = key.to_str().context("a path that is no text")?;
    let scopes = ["--scope", "availability=read", "--scope", "instances=write", "--scope", "ssh_keys=write"];
    podbay(walk, &[&["api-keys", "create", "skypilot", "--save", key], &scopes[..]].concat())?;
    podbay(walk, &["skypilot", "install", "--key-file", key])?;
    let kept = fs::read_to_string(walk.home.join(".prime/config.json"))?;
    contains(&kept, fs::read_to_string(key)?.trim())
}

fn podbay(walk: &Walk, args: &[&str]) -> Result<String> {
    let mut command = walk.command(server::binary("debug"));
    command.env("PODBAY_URL", &walk.server.api.base).env("PODBAY_API_KEY", &walk.server.api.key);
    sh::capture(command.args(args))
}

fn sky(walk: &Walk, args: &[&str]) -> Result<String> {
    let bin = python::environment("skypilot", &PACKAGES)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin.clone()].into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new("timeout");
    command.args(["900".as_ref(), bin.join("sky").as_os_str()]).args(args);
    command.env_clear().env("HOME", &walk.home).env("PATH", path.context("PATH")?);
    command.env("SKYPILOT_API_SERVER_LOCAL_PORT", fs::read_to_string(walk.home.join("sky-port"))?);
    command.env("SKYPILOT_DISABLE_USAGE_COLLECTION", "1").env("NO_PROXY", "127.0.0.1").env("COLUMNS", "240");
    sh::capture(&mut command)
}

fn check(walk: &mut Walk) -> Result<()> {
    contains(&sky(walk, &["check", "primeintellect"])?, "PrimeIntellect: enabled")
}

fn gpus(walk: &mut Walk) -> Result<()> {
    sky(walk, &["gpus", "list", "--infra", "primeintellect", "--all"]).map(drop)
}

fn launch(walk: &mut Walk) -> Result<()> {
    let place = ["--infra", "primeintellect", "--cpus", "1"];
    let task = ["--", "echo answer-$((40 + 2))"];
    let said = sky(walk, &[&["launch", "-y", "-c", CLUSTER], &place[..], &task[..]].concat())?;
    contains(&said, "answer-42")
}

fn exec(walk: &mut Walk) -> Result<()> {
    contains(&sky(walk, &["exec", CLUSTER, "--", "sudo -n id -un"])?, "root")
}

fn down(walk: &mut Walk) -> Result<()> {
    sky(walk, &["down", "-y", CLUSTER])?;
    let list = walk.server.api.get("/api/v1/pods/")?.ok("pods")?;
    if list["total_count"] == serde_json::json!(0) { Ok(()) } else { Err(format!("left: {list}").into()) }
}

fn stop(walk: &mut Walk) -> Result<()> {
    sky(walk, &["api", "stop"]).map(drop)
}

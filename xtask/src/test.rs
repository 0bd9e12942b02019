//! `cargo xtask test [filter]`: every ring of tests, from pure functions to a person at a terminal.

use crate::engine::{DOCKER_SOCKET, Engine, Kind};
use crate::postgres::Postgres;
use crate::sh::{self, Context, Result};
use crate::{contract, image, paths, person, setup, small_images, upgrade};
use std::path::PathBuf;

/// How long new seeds are simulated, beside those that once found something.
const SIM_SECONDS: &str = "60";
/// The same with the servers on PostgreSQL.
const SIM_SECONDS_POSTGRES: &str = "20";
/// Operations of `cargo xtask chaos`.
const CHAOS_OPERATIONS: &str = "1000";

/// With a filter only the workspace's tests that match it run; `person` runs the last ring alone, `docker` the
/// provider's tests on Docker alone, and `skypilot` what is in no other run.
pub fn main(args: &[String]) -> Result<()> {
    let filter = args.first().map(String::as_str);
    setup::programs(setup::What::Test)?;
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    small_images::ensure(&engine)?;

    if filter == Some("skypilot") {
        return person::skypilot(&engine);
    }
    if filter == Some("docker") {
        return on_docker(&engine);
    }
    let workspace = if filter == Some("person") { Ok(()) } else { workspace(&engine, args) };
    if matches!(filter, Some(filter) if filter != "person") {
        return workspace;
    }
    if let Err(failure) = &workspace {
        sh::say(format!("the workspace's tests failed: {failure}"));
    }
    let docker = if filter.is_none() { on_docker(&engine) } else { Ok(()) };
    if let Err(failure) = &docker {
        sh::say(format!("the provider's tests failed on Docker: {failure}"));
    }
    let contract = if filter.is_none() { contract::check() } else { Ok(()) };
    if let Err(failure) = &contract {
        sh::say(format!("the contract does not hold: {failure}"));
    }
    let upgraded = if filter.is_none() { upgrade::main(&[]) } else { Ok(()) };
    if let Err(failure) = &upgraded {
        sh::say(format!("the upgrade from the commit before failed: {failure}"));
    }
    // The person's walk prints its count on the very last line; nothing may follow.
    person::walk(&engine)?;
    workspace.and(docker).and(contract).and(upgraded).map_err(|_| "".into())
}

fn workspace(engine: &Engine, args: &[String]) -> Result<()> {
    let postgres = Postgres::start()?;
    sh::say("PostgreSQL runs; cargo test --workspace");
    let mut command = sh::cargo();
    command.current_dir(paths::root()).args(["test", "--workspace", "--no-fail-fast"]).args(args);
    command.env("PODBAY_TEST_POSTGRES", postgres.url()).env("PODBAY_TEST_ENGINE", engine.name());
    command.envs(engine.url().map(|url| ("PODBAY_TEST_ENGINE_URL", url)));
    let first = sh::run(command.env("PODBAY_SIM_SECONDS", SIM_SECONDS));
    if !args.is_empty() {
        return first;
    }
    sh::say("the server's tests and the simulator again, with their servers on PostgreSQL");
    let mut again = sh::guarded(test_program("podbay-testkit", "it")?);
    // Whether deliberate bugs are seen has nothing to do with the database.
    again.current_dir(paths::root().join("crates/podbay-testkit")).args(["--skip", "deliberate_bug"]);
    again.env("PODBAY_TEST_SERVER_POSTGRES", postgres.url()).env("PODBAY_SIM_SECONDS", SIM_SECONDS_POSTGRES);
    let second = sh::run(&mut again);
    first.and(second)
}

/// The file of a test that `cargo test --workspace` has built.
fn test_program(package: &str, target: &str) -> Result<PathBuf> {
    let mut command = sh::cargo();
    let build = ["test", "--workspace", "--no-run", "--quiet", "--message-format=json"];
    let said = sh::capture(command.current_dir(paths::root()).args(build))?;
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let is_it = |artifact: &serde_json::Value| {
        let id = artifact["package_id"].as_str().unwrap_or_default();
        artifact["target"]["name"] == target && id.contains(package) && artifact["profile"]["test"] == true
    };
    let found =
        artifacts.filter(is_it).find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    found.context(format!("cargo does not name the test {target} of {package}"))
}

/// Random operations on the real engine while server and engine are killed: many more than in `test`.
pub fn chaos(args: &[String]) -> Result<()> {
    setup::programs(setup::What::Test)?;
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    let postgres = Postgres::start()?;
    let mut command = sh::cargo();
    command.env("PODBAY_TEST_POSTGRES", postgres.url());
    let test = ["test", "--workspace", "--test", "real", "chaos", "--", "--nocapture"];
    command.current_dir(paths::root()).args(test).env("PODBAY_TEST_ENGINE", engine.name());
    command.envs(engine.url().map(|url| ("PODBAY_TEST_ENGINE_URL", url)));
    let operations = args.first().map_or(CHAOS_OPERATIONS, String::as_str);
    sh::run(command.env("PODBAY_CHAOS_OPERATIONS", operations).env("PODBAY_CHAOS_ENGINE", "1"))
}

/// What every provider does, on the second kind of engine where that runs, too.
fn on_docker(engine: &Engine) -> Result<()> {
    let Some(docker) = engine.docker_beside() else {
        let is_first = engine.kind == Kind::Docker;
        sh::say(if is_first { "Docker: all of the tests are on it" } else { "Docker: not here" });
        return Ok(());
    };
    sh::say("Docker is here, too: the provider's tests on it");
    image::ensure_base(&docker)?;
    small_images::ensure(&docker)?;
    let mut command = sh::cargo();
    // The whole workspace, as above, so that nothing is built anew; other packages have no test of that name.
    command.current_dir(paths::root()).args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--test",
        "it",
        "engine::",
    ]);
    command.env("PODBAY_TEST_ENGINE", docker.name());
    sh::run(command.env("PODBAY_TEST_ENGINE_URL", format!("unix://{DOCKER_SOCKET}")))
}

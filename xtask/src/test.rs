//! `cargo xtask test [filter]`: every ring of tests, from pure functions to a person at a terminal.

use crate::engine::{DOCKER_SOCKET, Engine, Kind};
use crate::postgres::Postgres;
use crate::sh::{self, Result};
use crate::{contract, image, paths, person, setup, small_images};

/// How long new seeds are simulated, beside those that once found something.
const SIM_SECONDS: &str = "60";

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
    // The person's walk prints its count on the very last line; nothing may follow.
    person::walk(&engine)?;
    workspace.and(docker).and(contract).map_err(|_| "".into())
}

fn workspace(engine: &Engine, args: &[String]) -> Result<()> {
    let postgres = Postgres::start()?;
    sh::say("PostgreSQL runs; cargo test --workspace");
    let mut command = sh::cargo();
    command.current_dir(paths::root()).args(["test", "--workspace", "--no-fail-fast"]).args(args);
    command.env("PODBAY_TEST_POSTGRES", postgres.url()).env("PODBAY_TEST_ENGINE", engine.name());
    command.envs(engine.url().map(|url| ("PODBAY_TEST_ENGINE_URL", url)));
    sh::run(command.env("PODBAY_SIM_SECONDS", SIM_SECONDS))
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

//! `cargo xtask test [filter]`: every ring of tests, from pure functions to a person at a terminal.

use crate::engine::Engine;
use crate::postgres::Postgres;
use crate::sh::{self, Result};
use crate::{contract, image, paths, person, setup, small_images};

/// How long new seeds are simulated, beside those that once found something.
const SIM_SECONDS: &str = "60";

/// With a filter only the workspace's tests that match it run; `person` runs the last ring alone, and `skypilot`
/// what is in no other run.
pub fn main(args: &[String]) -> Result<()> {
    let filter = args.first().map(String::as_str);
    setup::programs(setup::What::Test)?;
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    small_images::ensure(&engine)?;

    if filter == Some("skypilot") {
        return person::skypilot(&engine);
    }
    let workspace = if filter == Some("person") { Ok(()) } else { workspace(&engine, args) };
    if matches!(filter, Some(filter) if filter != "person") {
        return workspace;
    }
    if let Err(failure) = &workspace {
        sh::say(format!("the workspace's tests failed: {failure}"));
    }
    let contract = if filter.is_none() { contract::check() } else { Ok(()) };
    if let Err(failure) = &contract {
        sh::say(format!("the contract does not hold: {failure}"));
    }
    // The person's walk prints its count on the very last line; nothing may follow.
    person::walk(&engine)?;
    workspace.and(contract).map_err(|_| "".into())
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

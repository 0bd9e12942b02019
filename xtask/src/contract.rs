//! `cargo xtask contract`: the served contract held against the server by thousands of calls that it allows or
//! forbids. No 5xx, no reply outside the schema, nothing accepted that the schema refuses.
//!
//! The server is the product's over a scripted engine; what is switched off and why is in
//! `xtask/contract/schemathesis.toml`.

use crate::http::text;
use crate::process::Process;
use crate::sh::{self, Result};
use crate::{paths, python};
use std::process::Command;

const TESTER: &str = "schemathesis==4.32.5";
/// The same calls every time; another seed is for the one who looks for more.
const SEED: &str = "1";
/// Calls of one kind to one operation: half a minute in all.
const EXAMPLES_MAX: &str = "100";
/// Lives of things of these kinds that are walked through, from order to deletion.
const WALKS_MAX: [(&str, &str); 5] =
    [("pods", "50"), ("disks", "15"), ("templates", "10"), ("template", "10"), ("teams", "15")];

/// `[SEED] [EXAMPLES]`
pub fn main(args: &[String]) -> Result<()> {
    let seed = args.first().map_or(SEED, String::as_str);
    run(seed, args.get(1).map_or(EXAMPLES_MAX, String::as_str))
}

/// The run that is part of `cargo xtask test`.
pub fn check() -> Result<()> {
    run(SEED, EXAMPLES_MAX)
}

fn run(seed: &str, examples: &str) -> Result<()> {
    sh::say(format!("the contract against the server, seed {seed}"));
    let build = ["build", "--quiet", "-p", "podbay-testkit", "--bin", "contract_server"];
    sh::run(sh::cargo().current_dir(paths::root()).args(build))?;
    let tester = python::environment("schemathesis", &[TESTER])?.join("schemathesis");
    let folder = paths::own_fresh("contract")?;
    let mut server = sh::guarded(paths::target().join("debug/contract_server"));
    let (_server, said) = Process::start_saying(server.arg(&folder), &folder.join("server.log"))?;
    let settings = paths::root().join("xtask/contract");
    let call = |options: &[&str]| {
        let mut command = Command::new(&tester);
        command
            .current_dir(&folder)
            .env("PODBAY_CONTRACT_KEY", text(&said, "/key"))
            .env("PYTHONPATH", &settings)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // A proxy between this machine and itself would see the key.
            .env("NO_PROXY", "127.0.0.1")
            .arg("--config-file")
            .arg(settings.join("schemathesis.toml"))
            .args(["run", &format!("{}/openapi.json", text(&said, "/base"))])
            // One worker: several make one another's cases depend on the moment.
            .args(["--workers", "1", "--continue-on-failure", "--no-color", "--seed", seed])
            .args(options);
        sh::run(&mut command)
    };
    call(&["--max-examples", examples])?;
    // An order needs an offer that it did not make itself, and what is made of random words is refused: a walk
    // through everything hardly ever begins with something that is there.
    for (tag, walks) in WALKS_MAX {
        call(&["--max-examples", walks, "--phases", "stateful", "--include-tag", tag])?;
    }
    Ok(())
}

//! `cargo xtask ci`: what a change has to pass. Every check runs, so that one run tells everything.

use crate::sh::{self, Failure, Result};
use crate::{paths, test, tidy};

pub fn main(args: &[String]) -> Result<()> {
    let with_tests = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => true,
        ["--no-test"] => false,
        _ => return Err(Failure::with_code("usage: cargo xtask ci [--no-test]", 2)),
    };
    let mut failed = Vec::new();
    let mut check = |name: &'static str, done: Result<()>| {
        if let Err(failure) = done {
            eprintln!("{failure}");
            failed.push(name);
        }
    };
    sh::say("cargo fmt --check");
    check("fmt", cargo(&["fmt", "--all", "--check"]));
    sh::say("tidy");
    check("tidy", tidy::main(&[]));
    sh::say("cargo clippy");
    check("clippy", cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    if with_tests {
        check("test", test::main(&[]));
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(format!("failed: {}", failed.join(", ")))) }
}

fn cargo(args: &[&str]) -> Result<()> {
    sh::run(sh::cargo().current_dir(paths::root()).args(args))
}

//! `cargo xtask upgrade`: an earlier commit's program is replaced by this one in the middle of its work.
//!
//! The earlier commit's crates are built for it, which takes about as long as building this one's. The
//! dependencies are not: what is built of them is shared by hard links.

use crate::engine::Engine;
use crate::sh::{self, Context, Result};
use crate::{image, paths, setup};
use std::path::PathBuf;
use std::process::Command;

pub fn main(args: &[String]) -> Result<()> {
    let wanted = args.first().map_or("HEAD^", String::as_str);
    let Some(commit) = commit(wanted) else {
        sh::say(format!("left out: there is no commit {wanted} here; a shallow clone has no earlier ones"));
        return Ok(());
    };
    setup::programs(setup::What::Test)?;
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    let previous = build(&commit)?;
    sh::say(format!("from {} to what is here", &commit[..12]));
    let mut command = sh::cargo();
    let test = ["test", "--workspace", "--test", "real", "upgrade", "--", "--nocapture"];
    command.current_dir(paths::root()).args(test).env("PODBAY_TEST_ENGINE", engine.name());
    command.envs(engine.url().map(|url| ("PODBAY_TEST_ENGINE_URL", url)));
    sh::run(command.env("PODBAY_PREVIOUS", previous))
}

fn commit(name: &str) -> Option<String> {
    let mut git = Command::new("git");
    git.current_dir(paths::root()).args(["rev-parse", "--verify", "--quiet"]);
    let said = sh::capture(git.arg(format!("{name}^{{commit}}"))).ok()?;
    Some(said.trim().to_owned())
}

/// What is built of members of the workspace. Cargo calls the files of two checkouts by the same names and tells
/// them apart by their times alone: in one folder it would take the one's for the other's.
const OURS: [&str; 11] = [
    "podbay",
    "podbay[-_]*",
    "libpodbay*",
    "it-*",
    "real-*",
    "xtask*",
    "bench_server*",
    "contract_server*",
    "sim",
    "sim-*",
    // A lock that is shared would be waited for.
    ".cargo-lock",
];

/// A folder for what is built, with the dependencies that are built already.
fn target() -> Result<PathBuf> {
    let folder = paths::own_fresh("upgrade-target")?;
    for part in ["debug", "agent-build"] {
        let from = paths::target().join(part);
        // Without it there is more to build, and nothing else.
        if from.is_dir() {
            sh::succeeds(Command::new("cp").arg("-al").arg(&from).arg(&folder));
        }
    }
    let mut find = Command::new("find");
    find.arg(&folder).args(["-depth", "("]);
    for (number, name) in OURS.iter().enumerate() {
        find.args(if number == 0 { &["-name"][..] } else { &["-o", "-name"] }).arg(name);
    }
    sh::run(find.args([")", "-exec", "rm", "-rf", "{}", "+"]))?;
    Ok(folder)
}

/// The program of a commit; kept, since a commit does not change.
fn build(commit: &str) -> Result<PathBuf> {
    let kept = paths::own("upgrade")?.join(commit);
    if sh::is_executable(&kept) {
        return Ok(kept);
    }
    sh::say(format!("building the program of {}", &commit[..12]));
    let (source, archive) = (paths::own_fresh("upgrade-source")?, paths::own("")?.join("upgrade.tar"));
    let mut git = Command::new("git");
    git.current_dir(paths::root()).args(["archive", "--format=tar", "--output"]);
    sh::run(git.arg(&archive).arg(commit))?;
    sh::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    let target = target()?;
    let mut cargo = sh::cargo();
    // As the tests here are built, so that the dependencies are those that are built already.
    let build = ["test", "--workspace", "--test", "real", "--no-run"];
    sh::run(cargo.current_dir(&source).args(build).env("CARGO_TARGET_DIR", &target))?;
    let built = target.join("debug/podbay");
    // By a name of its own at last, or one that was cut off would be taken for whole.
    let half = kept.with_extension("half");
    std::fs::copy(&built, &half).context(built.display())?;
    std::fs::rename(&half, &kept).context(kept.display())?;
    // Hard links, and what is large in it is this commit's alone.
    std::fs::remove_dir_all(&target).context(target.display())?;
    Ok(kept)
}

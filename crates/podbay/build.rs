//! Builds the program that runs inside every pod, as one static file, for `serve` to carry.
//!
//! It is a crate of this workspace with a profile and linker flags of its own, so a second cargo
//! builds it, in a folder of its own: sharing one would make the two wait for each other's lock.
//! That folder lies in the outer target folder, so that debug and release
//! builds share one agent. The second cargo gets none of what the first one says to its build
//! scripts, because it would take most of it for the user's wishes.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An agent that was built elsewhere: for packagers, and for targets that are not Linux.
const PREBUILT: &str = "PODBAY_AGENT_BINARY";
const FLAGS: &str = "-Ctarget-feature=+crt-static";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    if env::var_os("CARGO_FEATURE_SERVER").is_none() {
        return Ok(());
    }
    let built = match env::var_os(PREBUILT).filter(|path| !path.is_empty()) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            PathBuf::from(path)
        }
        None => build()?,
    };
    let agent = fs::read(&built).map_err(|error| format!("cannot read {}: {error}", built.display()))?;
    if !is_static(&agent) {
        return Err(format!(
            "{} is no static 64-bit Linux program: it would not run in every image",
            built.display()
        )
        .into());
    }
    // A copy of our own: the next build may overwrite the other while the compiler reads it.
    let copy = PathBuf::from(required("OUT_DIR")?).join("podbay-agent");
    if fs::read(&copy).ok().as_deref() != Some(&agent) {
        fs::write(&copy, &agent)?;
    }
    println!("cargo::rustc-env=PODBAY_AGENT={}", copy.display());
    Ok(())
}

fn required(name: &str) -> Result<OsString> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}").into())
}

fn build() -> Result<PathBuf> {
    let target = required("TARGET")?.into_string().map_err(|_| "TARGET is no text")?;
    if !target.contains("-linux-") {
        return Err(format!(
            "pods run Linux, and this is a build for {target}: name a Linux podbay-agent in {PREBUILT}, \
             or build the client commands alone with --no-default-features"
        )
        .into());
    }
    let own = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
    let root = own.ancestors().nth(2).ok_or("this crate is not in its workspace")?;
    if !root.join("crates/podbay-agent/Cargo.toml").is_file() {
        return Err(format!(
            "there is no crates/podbay-agent in {}: build from a checkout of podbay",
            root.display()
        )
        .into());
    }
    for part in [
        "crates/podbay-agent/Cargo.toml",
        "crates/podbay-agent/src",
        "crates/podbay-core/src",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
    let out = PathBuf::from(required("OUT_DIR")?);
    let folder = target_folder(&out, &target).join("agent-build");
    let mut cargo = Command::new(required("CARGO")?);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_for_us) {
            cargo.env_remove(&name);
        }
    }
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--package", "podbay-agent", "--profile", "agent", "--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        // A folder for intermediate files that the user has set for all builds would be shared with the outer one.
        .env("CARGO_BUILD_BUILD_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS);
    if let Some(jobs) = env::var_os("NUM_JOBS") {
        cargo.arg("--jobs").arg(jobs);
    }
    let status =
        cargo.status().map_err(|error| format!("cannot run {}: {error}", cargo.get_program().display()))?;
    if !status.success() {
        return Err(
            "the agent was not built (see above). If the linker lacks libc.a: install the static C library \
             (glibc-static on Fedora; part of libc6-dev on Debian)"
                .into(),
        );
    }
    Ok(folder.join(&target).join("agent/podbay-agent"))
}

/// What the outer cargo says to build scripts, or what tunes the outer build only.
fn is_for_us(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "DEBUG",
        "HOST",
        "MAKEFLAGS",
        "MFLAGS",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "TARGET",
    ];
    const STARTS: [&str; 3] = ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_"];
    NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start))
}

/// The outer target folder, by the mark that cargo puts there; or the output folder itself.
fn target_folder<'a>(out: &'a Path, target: &str) -> &'a Path {
    let is_marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let nearest = out.ancestors().find(is_marked).unwrap_or(out);
    // With `--target` that is a folder in the one that is looked for.
    let outer = nearest.parent().filter(|_| nearest.ends_with(target)).filter(is_marked);
    outer.unwrap_or(nearest)
}

/// Whether this is a 64-bit ELF file without an interpreter: one that needs nothing of the image.
fn is_static(file: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let word = |at: usize, size: usize| -> Option<u64> {
        let bytes = file.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let headers = || -> Option<bool> {
        let (start, size, count) = (word(32, 8)? as usize, word(54, 2)? as usize, word(56, 2)? as usize);
        let mut kinds = (0..count).map(|number| word(start + number * size, 4));
        Some(kinds.all(|kind| kind.is_some_and(|kind| kind != u64::from(INTERPRETER))))
    };
    file.starts_with(b"\x7fELF\x02\x01") && headers() == Some(true)
}

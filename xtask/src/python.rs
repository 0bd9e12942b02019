//! Python programs from outside, each in a virtual environment of its own below `target/podbay/venv`.

use crate::paths;
use crate::sh::{self, Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The `bin` folder of an environment with exactly these packages; made once.
pub fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = paths::own("venv")?.join(name);
    let stamp = folder.join("packages");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(folder.join("bin"));
    }
    sh::say(format!("python environment {name}: {}", packages.join(" ")));
    sh::capture(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    sh::capture(install.args(packages))?;
    std::fs::write(&stamp, wanted).context(stamp.display())?;
    Ok(folder.join("bin"))
}

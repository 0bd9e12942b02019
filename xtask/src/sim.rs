//! `cargo xtask sim`: the simulator, built for speed; the arguments are its own.

use crate::paths;
use crate::sh::{self, Failure, Result};

pub fn main(args: &[String]) -> Result<()> {
    let status = sh::cargo()
        .current_dir(paths::root())
        .args(["run", "--quiet", "--profile", "sim", "-p", "podbay-testkit", "--bin", "sim", "--"])
        .args(args)
        .status()?;
    // The simulator has said what it found, seed last; nothing may follow that line.
    if status.success() { Ok(()) } else { Err(Failure::new("")) }
}

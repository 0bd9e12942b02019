//! Where things are. "target" below always means cargo's target directory, wherever `CARGO_TARGET_DIR` puts it.

use crate::sh::{Context, Result};
use std::path::{Path, PathBuf};

/// The root of the workspace. `cargo run` tells where the package is; the compiled-in place is the fallback.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

pub fn target() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty());
    let path = given.map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&path).unwrap_or(path)
}

/// A folder of this tool's own, `target/podbay/<name>`, created when missing.
pub fn own(name: &str) -> Result<PathBuf> {
    let path = target().join("podbay").join(name);
    std::fs::create_dir_all(&path).context(path.display())?;
    Ok(path)
}

/// The same, but empty.
pub fn own_fresh(name: &str) -> Result<PathBuf> {
    let path = target().join("podbay").join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).context(path.display())?;
    }
    own(name)
}

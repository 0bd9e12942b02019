//! How large the programs are, on disk and in memory.

use crate::server::{self, Server};
use crate::sh::{Context, Result};
use crate::{paths, table};
use std::fs;
use std::path::{Path, PathBuf};

/// The server's binary, and the agent's wherever its build has put it.
pub fn sizes() -> Result<()> {
    let mut files = vec![server::binary("release")];
    find_agents(&paths::target(), 6, &mut files);
    let mut rows = Vec::new();
    for file in files {
        let bytes = file.metadata().context(file.display())?.len();
        let name = file.strip_prefix(paths::target()).unwrap_or(&file).display().to_string();
        rows.push(vec![name, format!("{:.2}", mebibytes(bytes))]);
    }
    println!("\nsize of the programs");
    print!("{}", table::render(&["file", "MiB"], &rows));
    Ok(())
}

fn find_agents(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            find_agents(&path, depth - 1, found);
        } else if path.file_name().is_some_and(|name| name == "podbay-agent") {
            found.push(path);
        }
    }
}

pub fn server(server: &Server) -> Result<()> {
    let rows = vec![vec!["podbay serve, idle".to_owned(), format!("{:.1}", resident_mib(server.pid())?)]];
    println!("\nresident memory");
    print!("{}", table::render(&["process", "MiB"], &rows));
    Ok(())
}

/// Resident memory of a process.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context(pid)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
    Ok(mebibytes(kibibytes * 1024))
}

/// Two decimals are enough for a table.
fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes * 100 / (1 << 20)).unwrap_or(u32::MAX)) / 100.0
}

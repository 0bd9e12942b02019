//! How large the programs are, on disk and in memory.

use super::report::{Report, Wanted};
use crate::paths;
use crate::server::{self, Server};
use crate::sh::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a page that several processes have is counted: for each of them, or once in all.
#[derive(Clone, Copy)]
pub enum Kind {
    Resident,
    Share,
}

/// The server's binary, and the agent's wherever its build has put it.
pub fn sizes(report: &mut Report) -> Result<()> {
    let agents = find_agents(&paths::target().join("agent-build"), 4);
    let agent = agents.first().context("no agent was built")?;
    for (what, file) in
        [("podbay, size of the file", &server::binary("release")), ("podbay-agent, size", agent)]
    {
        let bytes = file.metadata().context(file.display())?.len();
        report.value(what, of_bytes(bytes), "MB", Wanted::Nothing);
    }
    Ok(())
}

/// The newest first.
fn find_agents(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            found.extend(find_agents(&path, depth - 1));
        } else if path.ends_with("agent/podbay-agent") {
            found.push(path);
        }
    }
    found.sort_by_key(|path| std::cmp::Reverse(path.metadata().and_then(|meta| meta.modified()).ok()));
    found
}

pub fn server(server: &Server, when: &str, report: &mut Report) -> Result<()> {
    std::thread::sleep(Duration::from_secs(2));
    let resident = megabytes(server.pid(), Kind::Resident)?;
    report.value(&format!("server, {when}, resident"), resident, "MB", Wanted::AtMost(40.0));
    Ok(())
}

/// Memory of one process.
pub fn megabytes(pid: u32, kind: Kind) -> Result<f64> {
    let (file, field) = match kind {
        Kind::Resident => ("status", "VmRSS:"),
        Kind::Share => ("smaps_rollup", "Pss:"),
    };
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).context(pid)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context(field)?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context(field)?;
    Ok(of_bytes(kibibytes * 1024))
}

/// Two decimals are enough for a table.
fn of_bytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 10_000).unwrap_or(u32::MAX)) / 100.0
}

/// A process and all below it.
pub fn family(first: u32) -> Vec<u32> {
    let mut all = vec![first];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        // A process may end while it is looked at.
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    all
}

/// The file that a process runs, as its own machine calls it.
pub fn program(pid: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

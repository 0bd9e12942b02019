//! A persistent disk: what one pod writes on it the next one reads.

use super::{Step, Walk, contains, same};
use crate::http::{rows, text};
use crate::sh::{self, Context, Result};
use crate::ssh::Address;
use std::time::{Duration, Instant};

const NAME: &str = "walk-data";
const READY_MAX: Duration = Duration::from_secs(60);

pub const STEPS: &[Step] = &[
    ("availability disks shows where disks can be had", availability),
    ("disks create --yes makes a disk", create),
    ("disks list and disks get show it ACTIVE", look),
    ("disks update renames it", update),
    ("pods create --disks attaches it at /workspace", write),
    ("disks terminate is refused while a pod has it", terminate_attached),
    ("data outlives the pod", read),
    ("disks terminate --yes", terminate),
];

fn availability(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["availability", "disks"])?;
    let row = rows(&list, "/disks").first().context(format!("no disks: {list}"))?;
    same(text(row, "/stock_status"), "Available")?;
    walk.disk_offer = text(row, "/short_id").to_owned();
    contains(&walk.prime(&["availability", "disks"])?, &walk.disk_offer)
}

fn create(walk: &mut Walk) -> Result<()> {
    let said = walk.prime(&["disks", "create", "--id", &walk.disk_offer, "--size", "2", "--yes"])?;
    let (_, rest) = said.split_once("Successfully created disk").context(format!("no success: {said}"))?;
    walk.disk = rest.split_whitespace().next().unwrap_or_default().to_owned();
    let begin = Instant::now();
    loop {
        let disk = walk.prime_json(&["disks", "get", &walk.disk])?;
        match text(&disk, "/status") {
            "ACTIVE" => return Ok(()),
            "PROVISIONING" if begin.elapsed() < READY_MAX => {}
            other => return Err(format!("the disk is {other}: {disk}").into()),
        }
    }
}

fn look(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["disks", "list"])?;
    let is_ours = |row: &&serde_json::Value| text(row, "/id") == walk.disk;
    let row = rows(&list, "/disks").iter().find(is_ours).context(format!("absent: {list}"))?;
    same(text(row, "/status"), "ACTIVE")?;
    contains(&walk.prime(&["disks", "list"])?, &walk.disk)?;
    contains(&walk.prime(&["disks", "get", &walk.disk])?, "2GB")
}

fn update(walk: &mut Walk) -> Result<()> {
    contains(&walk.prime(&["disks", "update", &walk.disk, "--name", NAME])?, NAME)?;
    same(text(&walk.prime_json(&["disks", "get", &walk.disk])?, "/name"), NAME)
}

/// A pod with the disk, and what `remote` says in it.
fn run_with_disk(walk: &mut Walk, remote: &str) -> Result<String> {
    let args = [
        "pods",
        "create",
        "--id",
        &walk.offer,
        "--name",
        "walk-disk",
        "--image",
        "ubuntu_22_cuda_12",
        "--disks",
        &walk.disk,
        "--yes",
    ];
    let said = walk.prime(&args)?;
    let (_, rest) = said.split_once("Successfully created pod").context(format!("no success: {said}"))?;
    walk.pod = rest.split_whitespace().next().unwrap_or_default().to_owned();
    let row = walk.server.pod_ready(&walk.pod, |_| ())?;
    sh::capture(&mut walk.key.ssh(&Address::parse(text(&row, "/sshConnection"))?, remote))
}

fn end_pod(walk: &mut Walk) -> Result<()> {
    walk.prime(&["pods", "terminate", walk.pod()?, "--yes"])?;
    walk.server.pod_gone(&walk.pod).map(drop)
}

fn write(walk: &mut Walk) -> Result<()> {
    let said = run_with_disk(walk, "echo kept-$((40 + 2)) > /workspace/file && sync && cat /workspace/file")?;
    contains(&said, "kept-42")?;
    let status = walk.server.api.get(&format!("/api/v1/pods/{}", walk.pod))?.ok("the pod")?;
    same(text(&status, "/attachedResources/0/status"), "MOUNTED")?;
    contains(&walk.prime(&["disks", "get", &walk.disk])?, &walk.pod)
}

fn terminate_attached(walk: &mut Walk) -> Result<()> {
    match walk.prime(&["disks", "terminate", &walk.disk, "--yes"]) {
        Ok(said) => Err(format!("it was a success: {said}").into()),
        Err(failure) => contains(&failure.text, "attached"),
    }
}

fn read(walk: &mut Walk) -> Result<()> {
    end_pod(walk)?;
    let said = run_with_disk(walk, "cat /workspace/file")?;
    end_pod(walk)?;
    same(said.trim(), "kept-42")
}

fn terminate(walk: &mut Walk) -> Result<()> {
    contains(&walk.prime(&["disks", "terminate", &walk.disk, "--yes"])?, "Successfully deleted disk")?;
    let list = walk.prime_json(&["disks", "list"])?;
    let is_there = rows(&list, "/disks").iter().any(|row| text(row, "/id") == walk.disk);
    if is_there { Err(format!("it is still there: {list}").into()) } else { Ok(()) }
}

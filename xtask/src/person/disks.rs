//! A persistent disk: what one pod writes on it the next one reads.

use super::{Step, Walk, contains, same, teams};
use crate::http::{rows, text};
use crate::sh::{self, Context, Failure, Result};
use crate::ssh::Address;
use std::time::{Duration, Instant};

const NAME: &str = "walk-data";
const SECOND_NAME: &str = "walk-more";
const READY_MAX: Duration = Duration::from_secs(60);

pub const STEPS: &[Step] = &[
    ("availability disks shows where disks can be had, with every filter", availability),
    ("disks create --yes makes a disk", create),
    ("disks create with every other flag makes a disk of a team", create_for_team),
    ("disks list and disks get show it ACTIVE", look),
    ("disks list --watch shows it until it is interrupted", watch),
    ("availability list --disks shows offers where it is", offers),
    ("disks update renames it", update),
    ("pods create with two --disks attaches them at /workspace and /workspace-2", write),
    ("disks terminate is refused while a pod has it", terminate_attached),
    ("data outlives the pod", read),
    ("disks terminate --yes", terminate),
];

fn availability(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["availability", "disks"])?;
    let row = rows(&list, "/disks").first().context(format!("no disks: {list}"))?;
    same(text(row, "/stock_status"), "Available")?;
    walk.disk_offer = text(row, "/short_id").to_owned();
    contains(&walk.prime(&["availability", "disks"])?, &walk.disk_offer)?;
    let filters = |region, place| {
        let filters = ["--regions", region, "--data-center-id", place];
        let list = walk.prime_json(&[&["availability", "disks"][..], &filters].concat())?;
        Ok::<_, Failure>(list["total_count"].to_string())
    };
    same(&filters("eu_west", "here")?, "1")?;
    same(&filters("canada", "here")?, "0")?;
    same(&filters("eu_west", "elsewhere")?, "0")
}

/// The id in what the client says, once the disk is ACTIVE.
fn created(walk: &Walk, said: &str) -> Result<String> {
    let (_, rest) = said.split_once("Successfully created disk").context(format!("no success: {said}"))?;
    let id = rest.split_whitespace().next().unwrap_or_default();
    let begin = Instant::now();
    loop {
        let disk = walk.prime_json(&["disks", "get", id])?;
        match text(&disk, "/status") {
            "ACTIVE" => return Ok(id.to_owned()),
            "PROVISIONING" if begin.elapsed() < READY_MAX => {}
            other => return Err(format!("the disk is {other}: {disk}").into()),
        }
    }
}

fn create(walk: &mut Walk) -> Result<()> {
    let said = walk.prime(&["disks", "create", "--id", &walk.disk_offer, "--size", "2", "--yes"])?;
    walk.disk = created(walk, &said)?;
    Ok(())
}

fn create_for_team(walk: &mut Walk) -> Result<()> {
    let team = teams::team(walk)?;
    let offers = walk.server.api.get("/api/v1/availability/disks")?.ok("availability/disks")?;
    let place =
        ["--cloud-id", text(&offers, "/items/0/cloudId"), "--data-center-id", "here", "--country", "DE"];
    let rest = ["--name", SECOND_NAME, "--team-id", &team, "--provider-type", "primecompute", "-y"];
    let said = walk.prime(&[&["disks", "create", "--size", "1"][..], &place, &rest].concat())?;
    walk.second_disk = created(walk, &said)?;
    let disk = walk.prime_json(&["disks", "get", &walk.second_disk])?;
    same(text(&disk, "/name"), SECOND_NAME)?;
    same(text(&disk, "/team_id"), &team)
}

fn look(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["disks", "list"])?;
    let is_ours = |row: &&serde_json::Value| text(row, "/id") == walk.disk;
    let row = rows(&list, "/disks").iter().find(is_ours).context(format!("absent: {list}"))?;
    same(text(row, "/status"), "ACTIVE")?;
    contains(&walk.prime(&["disks", "list"])?, &walk.disk)?;
    // The newest comes first.
    let part = |offset| walk.prime_json(&["disks", "list", "--limit", "1", "--offset", offset]);
    same(text(&part("0")?, "/disks/0/id"), &walk.second_disk)?;
    same(text(&part("1")?, "/disks/0/id"), &walk.disk)?;
    contains(&walk.prime(&["disks", "get", &walk.disk])?, "2GB")
}

fn watch(walk: &mut Walk) -> Result<()> {
    walk.prime_watch(&["disks", "list", "--watch"], &walk.disk)
}

fn offers(walk: &mut Walk) -> Result<()> {
    let list = |disk: &str| walk.prime_json(&["availability", "list", "--disks", disk]);
    let here = list(&walk.disk)?;
    let is_there = rows(&here, "/gpu_resources").iter().any(|row| text(row, "/cloud_id") == walk.cloud_id);
    if !is_there {
        return Err(format!("no offer where the disk is: {here}").into());
    }
    let nowhere = list("00000000000000000000000000000000")?;
    same(&nowhere["total_count"].to_string(), "0")
}

fn update(walk: &mut Walk) -> Result<()> {
    contains(&walk.prime(&["disks", "update", &walk.disk, "--name", NAME])?, NAME)?;
    same(text(&walk.prime_json(&["disks", "get", &walk.disk])?, "/name"), NAME)
}

/// A pod with both disks, and what `remote` says in it.
fn run_with_disks(walk: &mut Walk, remote: &str) -> Result<String> {
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
        "--disks",
        &walk.second_disk,
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
    let remote = "echo kept-$((40 + 2)) > /workspace/file && echo too > /workspace-2/file && sync && \
                  cat /workspace/file && ls /workspace";
    same(&run_with_disks(walk, remote)?, "kept-42\nfile\n")?;
    let pod = walk.server.api.get(&format!("/api/v1/pods/{}", walk.pod))?.ok("the pod")?;
    for (place, path) in [(0, "/workspace"), (1, "/workspace-2")] {
        same(text(&pod, &format!("/attachedResources/{place}/status")), "MOUNTED")?;
        same(text(&pod, &format!("/attachedResources/{place}/mountPath")), path)?;
    }
    let status = walk.prime_json(&["pods", "status", &walk.pod])?;
    same(&rows(&status, "/attached_resources").len().to_string(), "2")?;
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
    let said = run_with_disks(walk, "cat /workspace/file /workspace-2/file")?;
    end_pod(walk)?;
    same(&said, "kept-42\ntoo\n")
}

fn terminate(walk: &mut Walk) -> Result<()> {
    for disk in [&walk.disk, &walk.second_disk] {
        contains(&walk.prime(&["disks", "terminate", disk, "--yes"])?, "Successfully deleted disk")?;
    }
    let list = walk.prime_json(&["disks", "list"])?;
    same(&rows(&list, "/disks").len().to_string(), "0")
}

//! A pod from the order to the bill.

use super::{Step, Walk, contains, same};
use crate::http::{rows, text};
use crate::sh::{self, Context, Result};
use crate::ssh::Address;

const POD_NAME: &str = "walk-1";
const SECOND_NAME: &str = "walk-2";

pub const STEPS: &[Step] = &[
    ("pods create --yes asks nothing and makes a pod", create),
    ("pods list shows it", list),
    ("pods status becomes ACTIVE with an address", status),
    ("pods status as a table", status_table),
    ("pods ssh with commands on its input", ssh_piped),
    ("pods ssh on a terminal", ssh_terminal),
    ("what orchestrators set up a machine with is in the image", bootstrap),
    ("pods list as a table, and in parts", list_table),
    ("pods list --watch shows it until it is interrupted", watch),
    ("pods create --env --cloud-id takes the image that is left", create_with_env),
    ("pods connect sees the variable", connect),
    ("pods terminate --yes", terminate),
    ("pods list no longer shows it", list_without),
    ("pods history shows what it was", history),
    ("pods status of the gone pod says so", status_gone),
];

fn create(walk: &mut Walk) -> Result<()> {
    let args =
        ["pods", "create", "--id", &walk.offer, "--name", POD_NAME, "--image", "ubuntu_22_cuda_12", "--yes"];
    walk.pod = created(&walk.prime(&args)?)?;
    Ok(())
}

/// The pod's id in what the client said.
fn created(said: &str) -> Result<String> {
    let (_, rest) = said.split_once("Successfully created pod").context(format!("no success: {said}"))?;
    let pod = rest.split_whitespace().next().unwrap_or_default().to_owned();
    let is_id = !pod.is_empty() && pod.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { Ok(pod) } else { Err(format!("no pod id in: {said}").into()) }
}

/// The client leaves the default image out when there are variables, and asks nothing if one is left.
fn create_with_env(walk: &mut Walk) -> Result<()> {
    let sizes =
        ["--disk-size", "10", "--vcpus", "1", "--memory", "2", "--gpu-type", "CPU_NODE", "--gpu-count", "1"];
    let args = [
        "pods",
        "create",
        "--cloud-id",
        &walk.cloud_id,
        "--name",
        SECOND_NAME,
        "--env",
        "GREETING=hello",
        "--yes",
    ];
    walk.second = created(&walk.prime(&[&args[..], &sizes[..]].concat())?)?;
    let list = walk.prime_json(&["pods", "list", "--limit", "1", "--offset", "0"])?;
    same(text(&list["pods"][0], "/id"), &walk.second)?;
    let list = walk.prime_json(&["pods", "list", "--limit", "1", "--offset", "1"])?;
    same(text(&list["pods"][0], "/id"), walk.pod()?)
}

fn connect(walk: &mut Walk) -> Result<()> {
    if walk.second.is_empty() {
        return Err("there is no pod to try it with".into());
    }
    walk.server.pod_ready(&walk.second, |_| ())?;
    let mut command = walk.command(&walk.client);
    let said = sh::feed(command.args(["pods", "connect", &walk.second]), b"echo it-says-$GREETING; exit\n")?;
    contains(&said, "it-says-hello")?;
    walk.prime(&["pods", "terminate", &walk.second, "-y"])?;
    walk.server.pod_gone(&walk.second).map(drop)
}

fn list(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["pods", "list"])?;
    let pod = walk.pod()?;
    let row =
        rows(&list, "/pods").iter().find(|row| text(row, "/id") == pod).context(format!("absent: {list}"))?;
    same(text(row, "/name"), POD_NAME)?;
    same(text(row, "/gpu"), "CPU_NODE x1")
}

fn status(walk: &mut Walk) -> Result<()> {
    let pod = walk.pod()?.to_owned();
    walk.server.pod_ready(&pod, |_| ())?;
    let status = walk.prime_json(&["pods", "status", &pod])?;
    same(text(&status, "/status"), "ACTIVE")?;
    same(text(&status, "/installation_status"), "FINISHED")?;
    contains(text(&status, "/ssh"), "@127.0.0.1 -p ")
}

fn status_table(walk: &mut Walk) -> Result<()> {
    let said = walk.prime(&["pods", "status", walk.pod()?])?;
    [walk.pod()?, POD_NAME, "ACTIVE", "SSH"].iter().try_for_each(|part| contains(&said, part))
}

fn ssh_piped(walk: &mut Walk) -> Result<()> {
    let mut command = walk.command(&walk.client);
    let said =
        sh::feed(command.args(["pods", "ssh", walk.pod()?]), b"echo answer-$((40 + 2)); id -un; exit\n")?;
    contains(&said, "answer-42")?;
    contains(&said, "root")
}

fn ssh_terminal(walk: &mut Walk) -> Result<()> {
    let typed = format!("{} pods ssh {}", walk.client.display(), walk.pod()?);
    let mut command = walk.command("script");
    let said =
        sh::feed(command.args(["-qec", &typed, "/dev/null"]), b"tty; echo answer-$((40 + 2))\nexit\n")?;
    contains(&said, "/dev/pts/")?;
    contains(&said, "answer-42")
}

/// What SkyPilot's set-up calls, as it calls it.
fn bootstrap(walk: &mut Walk) -> Result<()> {
    let row = walk.server.pod_ready(walk.pod()?, |_| ())?;
    let remote = "set -e; for program in bash sudo rsync curl python3 patch lsof systemctl; do \
                  command -v $program > /dev/null || { echo no $program; exit 1; }; done; sudo -n true; \
                  sudo -n systemctl daemon-reload; sudo -n systemctl stop unattended-upgrades || true; \
                  sudo -n systemctl disable unattended-upgrades || true; echo all there";
    let mut ssh = walk.key.ssh(&Address::parse(text(&row, "/sshConnection"))?, remote);
    contains(&sh::capture(&mut ssh)?, "all there")
}

fn list_table(walk: &mut Walk) -> Result<()> {
    for said in [walk.prime(&["pods", "list"])?, walk.prime(&["--plain", "pods", "list"])?] {
        [walk.pod()?, POD_NAME, "ACTIVE"].iter().try_for_each(|part| contains(&said, part))?;
    }
    Ok(())
}

fn watch(walk: &mut Walk) -> Result<()> {
    walk.prime_watch(&["pods", "list", "--watch"], walk.pod()?)
}

fn terminate(walk: &mut Walk) -> Result<()> {
    let said = walk.prime(&["pods", "terminate", walk.pod()?, "--yes"])?;
    contains(&said, "Successfully terminated")?;
    walk.server.pod_gone(&walk.pod).map(drop)
}

fn list_without(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["pods", "list"])?;
    let pod = walk.pod()?;
    let is_there = rows(&list, "/pods").iter().any(|row| text(row, "/id") == pod);
    if is_there { Err(format!("it is still there: {list}").into()) } else { Ok(()) }
}

fn history(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["pods", "history"])?;
    let pod = walk.pod()?;
    let found = rows(&list, "/history").iter().find(|row| text(row, "/id") == pod);
    let row = found.context(format!("absent: {list}"))?;
    same(text(row, "/name"), POD_NAME)?;
    if text(row, "/terminated_at").is_empty() || !row["total_cost"].is_number() {
        return Err(format!("no end or no cost: {row}").into());
    }
    contains(&walk.prime(&["pods", "history"])?, POD_NAME)?;
    let part = walk.prime_json(&["pods", "history", "--limit", "1", "--offset", "1"])?;
    same(text(&part["history"][0], "/name"), SECOND_NAME)
}

fn status_gone(walk: &mut Walk) -> Result<()> {
    match walk.prime(&["pods", "status", walk.pod()?]) {
        Ok(said) => Err(format!("it was a success: {said}").into()),
        Err(failure) if failure.text.contains("Traceback") => Err(failure),
        Err(_) => Ok(()),
    }
}

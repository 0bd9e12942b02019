//! What Podman can forget: a container's monitor.
//!
//! Podman starts a monitor (`conmon`) for each container, and the monitor runs the container. A service that
//! is killed before it has noted that knows nothing of either: a removal of the container then succeeds,
//! while the monitor stays, with the published ports, and what it runs in its control group. So after a
//! removal, and beside every list, the processes of this machine are looked through.
//!
//! **Invariant.** Only what is surely left over, and ours, is touched: a monitor of our own user, whose
//! container has the name of a machine of ours and lies in this engine's storage, under an id that this
//! engine says it does not know. Ids are never given twice, and a container is in Podman's books long
//! before it has a monitor: what is unknown stays unknown.

use super::errors::trim;
use super::io::{Kind, Link};
use super::limits::{ASK_MAX, MONITOR_END_MAX, RUNTIME_MAX};
use crate::{Answer, ListedMachine};
use podbay_core::pod::{CallError, MachineFact, MachinePhase};
use podbay_core::{PodId, Timestamp};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Between two looks at a process that was killed.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks at a monitor that is about to end.
const SETTLE_EVERY: Duration = Duration::from_millis(20);
const PROGRAM: &str = "conmon";
/// What an engine answers if a container is surely not in its books, and not if it lacks the question.
const NO_CONTAINER: [&str; 2] = ["no such container", "no container with"];
/// Of `/proc`, whatever the kernel's own clock does.
const TICKS_PER_SECOND: u64 = 100;
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
/// Controller, slice, the container's own group, and one more for engines that nest.
const CONTROL_GROUP_DEPTH: u32 = 4;

/// A monitor that runs on this machine, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Monitor {
    pid: i32,
    words: Words,
}

/// What its command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    id: String,
    name: String,
    runtime: PathBuf,
    storage: PathBuf,
}

impl Words {
    fn read(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split('\0');
        if Path::new(words.next()?).file_name()? != PROGRAM {
            return None;
        }
        let (mut id, mut name, mut runtime, mut at_end) = (None, None, None, Vec::new());
        while let Some(word) = words.next() {
            match word {
                "-c" => id = words.next(),
                "-n" => name = words.next(),
                "-r" => runtime = words.next().map(PathBuf::from),
                "--exit-command-arg" => at_end.extend(words.next()),
                _ => {}
            }
        }
        let is_id = |id: &&str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let root = at_end.iter().position(|word| *word == "--root")?;
        Some(Self {
            id: id.filter(is_id)?.to_owned(),
            name: name?.to_owned(),
            runtime: runtime.filter(|path| path.is_absolute())?,
            storage: at_end.get(root + 1)?.into(),
        })
    }
}

impl Monitor {
    fn look(pid: i32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let words = Words::read(&fs::read(folder.join("cmdline")).ok()?)?;
        // Anybody may call a process so; ours is the one that we could have started.
        let is_ours = fs::metadata(&folder).ok()?.uid() == geteuid().as_raw();
        let program = fs::read_link(folder.join("exe")).ok()?;
        let program = program.file_name()?.to_string_lossy().into_owned();
        // As the kernel says it of a program that was replaced by a newer one meanwhile.
        let is_monitor = program.trim_end_matches(" (deleted)") == PROGRAM;
        (is_ours && is_monitor).then_some(Self { pid, words })
    }

    /// Whether it runs something beside the command that tells Podman of the end.
    fn is_at_work(&self) -> bool {
        let tells = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            // What has ended and was not waited for yet has no words.
            line.is_empty()
                || words.contains(&b"cleanup".as_slice()) && words.contains(&self.words.id.as_bytes())
        };
        children(self.pid).iter().any(|child| !tells(child))
    }

    /// It counts as a machine that ended and whose removal was cut off.
    pub fn fact(&self, seen_at: Timestamp) -> MachineFact {
        let phase = MachinePhase::Exited { code: 0, oom: false, at: None, started_at: None };
        MachineFact { handle: self.words.name.clone(), phase, seen_at }
    }

    /// The same in a list.
    pub fn listed(&self, seen_at: Timestamp) -> ListedMachine {
        // The id is between the last two dashes; there is no other way to it than the name.
        let id = self.words.name.rsplit('-').nth(1).and_then(PodId::parse);
        let created_at = started_at(self.pid).unwrap_or(seen_at);
        ListedMachine { name: self.words.name.clone(), pod_id: id, created_at, fact: self.fact(seen_at) }
    }

    /// Ends what it runs, then itself, so that it is found again if this is cut off in between.
    async fn end(&self) -> Answer<()> {
        let Words { id, name, .. } = &self.words;
        tracing::warn!(machine = name, id, "clearing away what Podman has forgotten");
        self.runtime_delete().await;
        // A start that was still under way may have made something after the runtime has looked.
        let is_below = |pid| descendants(self.pid).contains(&pid);
        let late: Vec<Killed> =
            descendants(self.pid).into_iter().filter_map(|pid| kill(pid, is_below)).collect();
        ended(&late).await?;
        if !late.is_empty() {
            self.runtime_delete().await;
        }
        groups_remove(Path::new(CONTROL_GROUPS), id, CONTROL_GROUP_DEPTH);
        // It may have ended by itself, with what it had run.
        let itself = kill(self.pid, |pid| Self::look(pid).as_ref() == Some(self));
        ended(itself.as_slice()).await
    }

    /// The runtime knows its control groups and files best. What it cannot do is told of: without processes
    /// the rest holds nothing.
    async fn runtime_delete(&self) {
        let mut command = tokio::process::Command::new(&self.words.runtime);
        command.args(["delete", "--force", &self.words.id]).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let done = tokio::time::timeout(RUNTIME_MAX, command.stderr(Stdio::piped()).output()).await;
        let trouble = match done {
            Ok(Ok(output)) if output.status.success() => return,
            Ok(Ok(output)) => trim(&String::from_utf8_lossy(&output.stderr)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no end".to_owned(),
        };
        tracing::warn!(id = self.words.id, trouble, "the runtime could not remove a container");
    }
}

/// What is left over of the machines that `is_ours` names.
pub(super) async fn leftovers(
    link: &Link,
    is_ours: impl Fn(&str) -> bool + Send + 'static,
) -> Answer<Vec<Monitor>> {
    if link.kind != Kind::Podman {
        return Ok(Vec::new());
    }
    let look = move || {
        let monitors = processes().filter_map(Monitor::look);
        monitors.filter(|monitor| is_ours(&monitor.words.name)).collect::<Vec<_>>()
    };
    let monitors = tokio::task::spawn_blocking(look).await.unwrap_or_default();
    let mut found = Vec::new();
    for monitor in monitors {
        if !is_known(link, &monitor.words.id).await? {
            found.push(monitor);
        }
    }
    if !found.is_empty() {
        let storage = storage(link).await?;
        found.retain(|monitor| monitor.words.storage == storage);
    }
    Ok(found)
}

/// Clears away what is left of one machine that has just been removed.
pub(super) async fn clear(link: &Link, name: &str) -> Answer<()> {
    let name = name.to_owned();
    if link.kind == Kind::Podman {
        settle(&name).await;
    }
    for monitor in leftovers(link, move |found| found == name).await? {
        monitor.end().await?;
    }
    Ok(())
}

/// An ordinary removal does not wait for the monitor, which ends by itself when it has told Podman of the end,
/// and holds the ports until then. One that goes on for too long is cleared away like the others.
async fn settle(name: &str) {
    let ours = name.to_owned();
    let look = move || {
        processes().filter_map(Monitor::look).filter(|monitor| monitor.words.name == ours).collect::<Vec<_>>()
    };
    let monitors = tokio::task::spawn_blocking(look).await.unwrap_or_default();
    let is_ending =
        |monitor: &Monitor| Monitor::look(monitor.pid).as_ref() == Some(monitor) && !monitor.is_at_work();
    let wait = async {
        while monitors.iter().any(is_ending) {
            tokio::time::sleep(SETTLE_EVERY).await;
        }
    };
    // What has not ended by then is looked at next.
    let _ = tokio::time::timeout(MONITOR_END_MAX, wait).await;
}

/// Whether the engine has a container of that id in its books; an error if it does not say.
async fn is_known(link: &Link, id: &str) -> Answer<bool> {
    let reply = link.request("GET", &format!("/libpod/containers/{id}/exists"), ASK_MAX).await?;
    let message = reply.message();
    match reply.status {
        200..=299 => Ok(true),
        404 if NO_CONTAINER.iter().any(|words| message.contains(words)) => Ok(false),
        status => Err(CallError::Unknown(format!("the engine answered {status}: {message}"))),
    }
}

#[derive(Deserialize)]
struct Info {
    store: Store,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    graph_root: PathBuf,
}

async fn storage(link: &Link) -> Answer<PathBuf> {
    let info: Info = link.request("GET", "/libpod/info", ASK_MAX).await?.json()?;
    Ok(info.store.graph_root)
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The words of `/proc/<pid>/stat` after the program's name, which may have anything in it.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Every process with its parent.
fn parents() -> Vec<(i32, i32)> {
    processes().filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect()
}

fn children(of: i32) -> Vec<i32> {
    parents().into_iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| pid).collect()
}

/// Everything that `root` has started, and what that has, without `root`.
fn descendants(root: i32) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// When a process was started.
fn started_at(pid: i32) -> Option<Timestamp> {
    let ticks: u64 = stat(pid)?.get(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let millis = ticks.saturating_mul(1_000) / TICKS_PER_SECOND;
    Some(Timestamp::from_millis(boot * 1_000 + i64::try_from(millis).ok()?))
}

/// A process that was killed: its number, and when it had started, which no other one of that number has.
struct Killed(i32, Option<String>);

impl Killed {
    fn lives(&self) -> bool {
        let has_ended = |state: &str| matches!(state, "Z" | "X");
        stat(self.0).is_some_and(|now| now.get(19) == self.1.as_ref() && !has_ended(&now[0]))
    }
}

/// Kills a process if it is the one that is meant. That is asked with a hold on it: nobody else can have its
/// number from then on.
fn kill(pid: i32, is_meant: impl Fn(i32) -> bool) -> Option<Killed> {
    let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let killed = Killed(pid, stat(pid)?.get(19).cloned());
    // One that has ended meanwhile is as good as killed.
    is_meant(pid).then(|| pidfd_send_signal(&held, Signal::KILL).map(|()| killed).ok())?
}

/// Waits until killed processes have ended.
async fn ended(killed: &[Killed]) -> Answer<()> {
    let wait = async {
        while killed.iter().any(Killed::lives) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let slow = |_| CallError::Unknown("a process of the machine does not end".into());
    tokio::time::timeout(MONITOR_END_MAX, wait).await.map_err(slow)
}

/// Removes the control groups of a container. The kernel keeps those that have a process.
fn groups_remove(folder: &Path, id: &str, depth: u32) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // A link leads to a group that is met elsewhere.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            groups_remove(&entry.path(), id, depth);
            if entry.file_name().to_string_lossy().contains(id) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "aa58634b0b051a14c653ab9a593c6d972a9a8b51ac46abf0a3f96be5cee17ff9";

    fn line(id: &str, name: &str) -> Vec<u8> {
        let text = format!(
            "/usr/bin/conmon --api-version 1 -c {id} -u {id} -r /usr/bin/runc -b /x/userdata -p /y/pidfile -n {name} \
             --exit-dir /run/libpod/exits --full-attach --runtime-arg --log --exit-command /usr/bin/podman \
             --exit-command-arg --root --exit-command-arg /var/lib/containers/storage --exit-command-arg --runroot \
             --exit-command-arg /run/containers/storage --exit-command-arg -c --exit-command-arg cleanup "
        );
        text.split_whitespace().collect::<Vec<_>>().join("\0").into_bytes()
    }

    #[test]
    fn a_monitor_says_whose_it_is() {
        let pod = PodId::from_bits(7);
        let words = Words::read(&line(ID, &format!("podbay-{pod}-2"))).unwrap();
        assert_eq!((words.id.as_str(), words.runtime.as_path()), (ID, Path::new("/usr/bin/runc")));
        assert_eq!(words.storage, Path::new("/var/lib/containers/storage"));
        let listed = Monitor { pid: 0, words }.listed(Timestamp::EPOCH);
        assert_eq!(listed.pod_id, Some(pod));
    }

    #[test]
    fn what_does_not_say_it_all_is_no_monitor() {
        let whole = String::from_utf8(line(ID, "x")).unwrap();
        assert!(Words::read(whole.as_bytes()).is_some());
        let pieces =
            [ID, "-n\0x\0", "-r\0/usr/bin/runc\0", "--exit-command-arg\0--root\0", "/usr/bin/conmon"];
        for missing in pieces {
            assert_eq!(Words::read(whole.replace(missing, "").as_bytes()), None, "without {missing:?}");
        }
        assert_eq!(Words::read(&line("../../x", "x")), None);
        assert_eq!(Words::read(b""), None);
    }

    #[test]
    fn a_process_is_younger_than_the_machine_and_not_from_the_future() {
        let own = i32::try_from(std::process::id()).unwrap();
        let age = super::super::clock::now().since(started_at(own).unwrap());
        assert!(age < Duration::from_secs(24 * 3600), "{age:?}");
        assert!(Monitor::look(own).is_none());
    }
}

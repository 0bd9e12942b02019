//! The comparison of rows and engine, both ways. It only looks and wakes: what follows is done by
//! the same passes as everything else. The exceptions are machines of pods that have others or have
//! ended, which are removed after a grace, and volumes of disks that were deleted, whose making came
//! late. A volume of a disk or a machine of a pod that no row ever knew is a user's data of which this
//! database was never told (an older backup of it, perhaps): it is told of, and left alone.

use super::silence;
use crate::app::{App, Error, Host};
use futures_util::future::{join, join_all};
use podbay_core::disk::{self, Disk};
use podbay_core::mutation::{self, Mutation};
use podbay_core::pod::{Decision, MachinePhase, Pod, Resource, View, plan};
use podbay_core::{PodId, Subject, Timestamp, limits};
use podbay_provider::{ListedMachine, ListedVolume};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Pods and disks whose machine or volume differs from their row; they were woken.
    pub suspects: Vec<Subject>,
    /// Machines without a row that are too young to judge.
    pub young: Vec<String>,
    /// Machines without a row and volumes of deleted disks that were removed.
    pub removed: Vec<String>,
    /// Volumes of disks, and machines of pods, that no row knows; they are left alone.
    pub strays: Vec<String>,
    /// Why the comparison could not be made, or a removal failed.
    pub trouble: Option<String>,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.suspects.extend(other.suspects);
        self.young.extend(other.young);
        self.removed.extend(other.removed);
        self.strays.extend(other.strays);
        let troubles: Vec<String> = self.trouble.take().into_iter().chain(other.trouble).collect();
        self.trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
    }
}

/// Compares once, on all hosts at a time.
pub async fn sweep(app: &App) -> Found {
    let mut found = Found::default();
    for one in join_all(app.hosts.iter().map(|host| sweep_host(app, host))).await {
        found.add(one);
    }
    found
}

async fn sweep_host(app: &App, host: &Host) -> Found {
    let mut found = Found::default();
    if let Err(trouble) = compare(app, host, &mut found).await {
        found.trouble = Some(trouble);
    }
    if app.hosts.are_several() {
        found.trouble = found.trouble.map(|trouble| format!("{}: {trouble}", host.id));
    }
    found
}

/// What a host showed, and what the rows say of it.
struct Look {
    at: Timestamp,
    forced: Vec<(PodId, Timestamp)>,
    pods: Vec<Pod>,
    disks: Vec<Disk>,
}

fn text(error: impl Display) -> String {
    error.to_string()
}

async fn compare(app: &App, host: &Host, found: &mut Found) -> Result<(), String> {
    let at = app.now();
    // Before the list, or one that is ended meanwhile would be judged by a look from before.
    let forced = app.store.reader().await.map_err(text)?.forced_end_list(&host.id).await.map_err(text)?;
    // Both at a time: the longer the rows are read after a list, the more of them say what it could not show.
    let (machines, volumes) = join(host.provider.machine_list(), host.provider.volume_list()).await;
    let machines = match machines {
        Ok(machines) => {
            silence::broken(app, host);
            Some(machines)
        }
        Err(error) => {
            found.trouble = Some(error.to_string());
            // One that answers, and cannot list, is in trouble and not away. A look that got no answer has taken
            // long enough.
            if host.provider.ping().await.is_err() {
                return silence::missed(app, host, &error.to_string()).await.map_err(text);
            }
            silence::broken(app, host);
            None
        }
    };
    // Rows are read after the lists: a machine in the list of a pod whose row is not yet there
    // cannot exist, because rows come first.
    let (pods, disks) = rows(app, host).await.map_err(text)?;
    let look = Look { at, forced, pods, disks };
    if let Some(machines) = machines {
        judge_machines(app, host, &look, &machines, found).await;
    }
    match volumes {
        Ok(volumes) => judge_volumes(app, host, &look, &volumes, found).await,
        Err(error) => Err(error.to_string()),
    }
}

async fn judge_machines(app: &App, host: &Host, look: &Look, machines: &[ListedMachine], found: &mut Found) {
    let by_name: HashMap<&str, &ListedMachine> =
        machines.iter().map(|machine| (machine.name.as_str(), machine)).collect();
    let mut known = HashSet::new();
    let (mut running, mut missing) = (0, 0);
    for pod in &look.pods {
        let name = pod.machine_name();
        running += usize::from(is_running(pod));
        if differs(pod, by_name.get(name.as_str()).copied()) {
            missing += usize::from(is_running(pod));
            app.driver.wake_suspect(&pod.id);
            found.suspects.push(Subject::from(&pod.id));
        } else if matches!(plan(pod, View::default(), app.now()), Decision::Do(_)) {
            // Nobody should be in this state for long; if a wake was lost, this is the next.
            app.driver.wake(&pod.id);
        }
        if pod.attempt == 1 || !mutation::on(Mutation::SweepLaterAttempts) {
            known.insert(name);
        }
    }
    // While one is missing the stamp stays: it is what that one's bill may end at.
    let all_seen = running > 0 && missing == 0;
    if let Err(error) = answered(app, host, look.at, all_seen).await {
        found.trouble = Some(error.to_string());
    }
    for (pod, at) in &look.forced {
        if let Err(error) = settle(app, pod, *at, machines, look.at).await {
            found.trouble = Some(error.to_string());
        }
    }
    let unknown = machines.iter().filter(|machine| !known.contains(&machine.name));
    orphans(app, host, unknown, found).await;
}

/// Removes the machines that no row names, but those that it is not for this database to judge.
async fn orphans<'m>(
    app: &App,
    host: &Host,
    machines: impl Iterator<Item = &'m ListedMachine>,
    found: &mut Found,
) {
    let now = app.now();
    for machine in machines {
        if now.since(machine.created_at) < limits::ORPHAN_GRACE {
            found.young.push(machine.name.clone());
            continue;
        }
        match is_stray(app, host, machine).await {
            Ok(false) => {}
            Ok(true) => {
                stray(app, &machine.name, "no row knows this machine");
                found.strays.push(machine.name.clone());
                continue;
            }
            Err(error) => {
                found.trouble = Some(error.to_string());
                continue;
            }
        }
        match host.provider.machine_remove(&machine.fact.handle).await {
            Ok(()) => {
                tracing::warn!(host = %host.id, machine = machine.name, "removed a machine that no row knows");
                found.removed.push(machine.name.clone());
            }
            Err(error) => found.trouble = Some(error.to_string()),
        }
    }
}

/// Whether this database was never told of a machine. Rows come first, so one whose pod has no row was
/// made on the word of another database: of this one after an older copy of it was taken. The same is
/// true of a later machine of a pod that the copy knows. A machine of a pod that lives on another host is stray,
/// too: two hosts may be one engine under two names.
async fn is_stray(app: &App, host: &Host, machine: &ListedMachine) -> Result<bool, podbay_store::StoreError> {
    let mut tx = app.store.reader().await?;
    let row = match &machine.pod_id {
        Some(id) => tx.pod_get(id).await?,
        None => None,
    };
    let span = tx.unknown_span().await?;
    let in_span = span.is_some_and(|(from, to)| from <= machine.created_at && machine.created_at <= to);
    let is_elsewhere = |row: &Pod| row.terminated_at.is_none() && row.host != host.id;
    Ok(row.is_none() || row.as_ref().is_some_and(is_elsewhere) || in_span)
}

async fn judge_volumes(
    app: &App,
    host: &Host,
    look: &Look,
    volumes: &[ListedVolume],
    found: &mut Found,
) -> Result<(), String> {
    let there: HashSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    let mut known = HashSet::new();
    for disk in &look.disks {
        let name = disk.volume_name();
        if volume_differs(disk, there.contains(name.as_str())) {
            app.driver.wake_suspect(&disk.id);
            found.suspects.push(Subject::from(&disk.id));
        } else if matches!(disk::plan(disk, View::default(), app.now()), disk::Decision::Do(_)) {
            app.driver.wake(&disk.id);
        }
        known.insert(name);
    }
    for volume in volumes.iter().filter(|volume| !known.contains(&volume.name)) {
        let row = match &volume.disk_id {
            Some(id) => app.store.reader().await.map_err(text)?.disk_get(id).await.map_err(text)?,
            None => None,
        };
        if row.is_some_and(|disk| disk.terminated_at.is_some() && disk.volume_name() == volume.name) {
            host.provider.volume_remove(&volume.name).await.map_err(text)?;
            tracing::warn!(volume = volume.name, "removed the volume of a deleted disk");
            found.removed.push(volume.name.clone());
        } else {
            stray(app, &volume.name, "no row knows the disk of this volume");
            found.strays.push(volume.name.clone());
        }
    }
    Ok(())
}

/// Tells once of something that no row knows.
fn stray(app: &App, name: &str, what: &str) {
    if app.strays.lock().is_ok_and(|mut told| told.insert(name.to_owned())) {
        tracing::warn!(name, "{what}; it is left alone: remove it by hand if nobody needs what is in it");
    }
}

/// Whether the engine shows something else than the row says, and it matters.
fn volume_differs(disk: &Disk, is_there: bool) -> bool {
    match &disk.volume {
        Resource::Unknown { .. } => false,
        Resource::Absent => is_there,
        Resource::Present(_) => !is_there,
    }
}

/// Writes that the engine has answered, and whether it showed all that is to run.
async fn answered(app: &App, host: &Host, at: Timestamp, all_seen: bool) -> Result<(), Error> {
    let (host, engine) = (host.id.clone(), host.engine.clone());
    let written = app
        .store
        .write(move |tx| Box::pin(async move { silence::answered(tx, &host, &engine, at, all_seen).await }));
    written.await
}

/// Gives back what a pod held that was ended by force, once the host shows that nothing of it is left. A
/// call that was under way then may come through for a while.
async fn settle(
    app: &App,
    pod: &PodId,
    forced_at: Timestamp,
    machines: &[ListedMachine],
    looked_at: Timestamp,
) -> Result<(), Error> {
    let is_there = machines.iter().any(|machine| machine.pod_id.as_ref() == Some(pod));
    if is_there || looked_at.since(forced_at) < limits::ORPHAN_GRACE {
        return Ok(());
    }
    let (pod, now) = (pod.clone(), app.now());
    let settled = app.store.write(move |tx| {
        Box::pin(async move {
            if tx.forced_end_settle(&pod, now).await? {
                let text = "the host has shown that nothing of the pod is left";
                tx.event_insert(Some(&pod), now, "pod.cleared", text).await?;
            }
            Ok::<_, Error>(())
        })
    });
    settled.await
}

fn is_running(pod: &Pod) -> bool {
    matches!(&pod.machine, Resource::Present(machine) if matches!(machine.phase, MachinePhase::Running { .. }))
}

async fn rows(app: &App, host: &Host) -> Result<(Vec<Pod>, Vec<Disk>), podbay_store::StoreError> {
    let host = host.id.clone();
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move { Ok((tx.pod_list_on_host(&host).await?, tx.disk_list_on_host(&host).await?)) })
    });
    read.await
}

/// Whether the engine shows something else than the row says. A row in doubt, or one that is
/// being worked on, clears itself.
fn differs(pod: &Pod, machine: Option<&ListedMachine>) -> bool {
    match (&pod.machine, machine.map(|machine| &machine.fact.phase)) {
        (Resource::Unknown { .. }, _) | (Resource::Absent, None) => false,
        (Resource::Absent, Some(_)) | (Resource::Present(_), None) => true,
        (Resource::Present(row), Some(phase)) => {
            row.phase.was_restarted(phase)
                || std::mem::discriminant(&row.phase) != std::mem::discriminant(phase)
                    && !matches!((&row.phase, phase), (MachinePhase::Exited { .. }, MachinePhase::Created))
        }
    }
}

//! The invariants, as code: what must hold of the books at every moment, whatever calls, faults and
//! crashes came before, and what must hold between books and engine once things are at rest.
//!
//! The simulator runs this after every move and production runs it periodically; both judge the same
//! rows by the same functions. Numbers are those of `docs/invariants.md`. Nothing is repaired here:
//! repairs are the reconciler's own steps.

use crate::disk::{self, Attachment, Disk, volume_name};
use crate::place::CpuSize;
use crate::pod::{MachinePhase, Placement, Pod, Resource};
use crate::published::{PodStatus, Protocol};
use crate::usage::Interval;
use crate::{HostId, Timestamp, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The invariants that an audit can find broken, with what they say.
pub const INVARIANTS: [(&str, &str); 10] = [
    ("A1", "A GPU belongs to at most one pod."),
    ("A2", "What is counted as held is what live pods and disks hold, ports included."),
    ("B1", "Nothing is billed twice at the same time, nor at another price than its own."),
    ("B3", "What runs and is reachable is billed, and nothing else."),
    ("D1", "Every disk has its volume, every volume its disk, and a disk outlives the pods that it is at."),
    ("P2", "Every accepted pod becomes ACTIVE or ends with a reason within its deadline."),
    ("P4", "Every machine has its row, and every row that says so its machine."),
    ("P6", "Every delete ends."),
    ("P8", "Attempts and restarts are bounded."),
    ("W1", "What is ACTIVE can be reached."),
];

/// What the rows say of everything that is live, read at one moment.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Hosts, and how much of each is counted as held.
    pub hosts: Vec<(HostId, CpuSize)>,
    /// Pods that have not ended.
    pub pods: Vec<Pod>,
    /// When those of them that are to be gone were deleted, by id.
    pub deleted: BTreeMap<String, Timestamp>,
    /// Disks that have not ended.
    pub disks: Vec<Disk>,
    /// What is set aside: for whom (the id of a pod or a disk), where, how much.
    pub held: Vec<(String, HostId, CpuSize)>,
    /// Host ports that are set aside, and for whom.
    pub ports: Vec<(HostId, u16, Protocol, String)>,
    /// GPUs that are set aside, and for whom.
    pub gpus: Vec<(HostId, String, String)>,
    /// Intervals without an end, by the id of their pod or disk.
    pub open: Vec<(String, Interval)>,
    /// Disks at pods.
    pub attachments: Vec<Attachment>,
    /// Pods that were ended by force and still hold what they held, because nobody has seen their machines
    /// gone.
    pub forced: BTreeSet<String>,
}

/// What the engine of a host showed at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// Machines of this installation: name and phase.
    pub machines: BTreeMap<String, MachinePhase>,
    /// Volumes of this installation by name.
    pub volumes: BTreeSet<String>,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its number.
    pub invariant: &'static str,
    /// The id or name of what it does not hold for.
    pub of: String,
    /// What was seen.
    pub text: String,
}

/// Longest time that something may take beyond its own deadline before it is called stuck: an engine
/// that is away holds up what it must confirm.
pub const STUCK_GRACE: Duration = Duration::from_secs(15 * 60);

/// Every invariant that can be judged from the books alone.
#[must_use]
pub fn books(books: &Books) -> Vec<Finding> {
    let mut found = Findings::default();
    let index = Index::of(books);
    a1_a_gpu_has_one_holder(books, &index, &mut found);
    a2_sums_are_what_is_held(books, &mut found);
    a2_who_holds_is_live(books, &index, &mut found);
    a2_ports_are_those_of_placements(books, &index, &mut found);
    b1_one_open_interval_each(books, &mut found);
    b3_only_what_runs_is_billed(books, &index, &mut found);
    b3_what_runs_is_billed(books, &mut found);
    d1_attached_disks_are_there(books, &index, &mut found);
    p8_attempts_and_restarts_are_bounded(books, &mut found);
    w1_ready_means_reachable(books, &mut found);
    found.0
}

/// What has been in a middle state for longer than its deadline and a grace.
#[must_use]
pub fn deadlines(books: &Books, now: Timestamp) -> Vec<Finding> {
    let mut found = Findings::default();
    for pod in &books.pods {
        let (since, number) = match pod.status() {
            PodStatus::Provisioning => (now.since(pod.created_at), "P2"),
            PodStatus::Deleting => {
                let at = books.deleted.get(pod.id.as_str()).copied();
                (now.since(at.unwrap_or(pod.updated_at)), "P6")
            }
            _ => continue,
        };
        let most = if number == "P2" { limits::PROVISIONING_MAX } else { Duration::ZERO };
        if since > most + STUCK_GRACE {
            let minutes = since.as_secs() / 60;
            found.add(number, pod.id.as_str(), format!("{} for {minutes} minutes", pod.status()));
        }
    }
    found.0
}

/// What must hold between books and the engine of a host once nothing is on its way. A difference that is on its way
/// looks the same: judge only what two looks in a row have found.
#[must_use]
pub fn between(books: &Books, host: &HostId, sight: &Sight) -> Vec<Finding> {
    let mut found = Findings::default();
    let pods: Vec<&Pod> = books.pods.iter().filter(|pod| pod.host == *host).collect();
    let disks: Vec<&Disk> = books.disks.iter().filter(|disk| disk.host_id == *host).collect();
    p4_every_machine_has_its_row(&pods, sight, &mut found);
    p4_every_row_has_its_machine(&pods, sight, &mut found);
    d1_every_disk_has_its_volume(&disks, sight, &mut found);
    found.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, invariant: &'static str, of: &str, text: impl Into<String>) {
        self.0.push(Finding { invariant, of: of.to_owned(), text: text.into() });
    }
}

/// Live pods and disks by id.
struct Index<'b> {
    pods: BTreeMap<&'b str, &'b Pod>,
    disks: BTreeMap<&'b str, &'b Disk>,
}

impl<'b> Index<'b> {
    fn of(books: &'b Books) -> Self {
        Self {
            pods: books.pods.iter().map(|pod| (pod.id.as_str(), pod)).collect(),
            disks: books.disks.iter().map(|disk| (disk.id.as_str(), disk)).collect(),
        }
    }

    fn placement(&self, id: &str) -> Option<&'b Placement> {
        self.pods.get(id)?.placement.as_ref()
    }
}

fn a1_a_gpu_has_one_holder(books: &Books, index: &Index<'_>, found: &mut Findings) {
    for (host, uuid, owner) in books.gpus.iter().filter(|(_, _, owner)| !books.forced.contains(owner)) {
        let placement = index.placement(owner).filter(|placement| placement.host == *host);
        if !placement.is_some_and(|placement| placement.gpus.iter().any(|slot| slot.uuid == *uuid)) {
            found.add(
                "A1",
                owner,
                format!("the GPU {uuid} is set aside for it, and its row does not say so"),
            );
        }
    }
    let held: BTreeSet<(&str, &str)> =
        books.gpus.iter().map(|(_, uuid, owner)| (uuid.as_str(), owner.as_str())).collect();
    for pod in &books.pods {
        let slots = pod.placement.iter().flat_map(|placement| &placement.gpus);
        for slot in slots.filter(|slot| !held.contains(&(slot.uuid.as_str(), pod.id.as_str()))) {
            found.add("A1", pod.id.as_str(), format!("it has the GPU {}, which is not its own", slot.uuid));
        }
    }
}

fn a2_sums_are_what_is_held(books: &Books, found: &mut Findings) {
    for (host, counted) in &books.hosts {
        let mut sum = CpuSize { vcpus: 0, memory_gb: 0, disk_gb: 0 };
        for (_, _, size) in books.held.iter().filter(|(_, at, _)| at == host) {
            sum.vcpus += size.vcpus;
            sum.memory_gb += size.memory_gb;
            sum.disk_gb += size.disk_gb;
        }
        if sum != *counted {
            found.add("A2", host.as_str(), format!("{sum:?} are held and {counted:?} are counted"));
        }
    }
}

fn a2_who_holds_is_live(books: &Books, index: &Index<'_>, found: &mut Findings) {
    let mut holders = BTreeMap::new();
    for (owner, host, size) in &books.held {
        holders.insert(owner.as_str(), size);
        let due = match (index.placement(owner), index.disks.get(owner.as_str())) {
            (Some(placement), _) => Some(&placement.host),
            (None, Some(disk)) => Some(&disk.host_id),
            (None, None) => None,
        };
        if due != Some(host) && !books.forced.contains(owner) {
            found.add("A2", owner, format!("it holds {size:?} of {host} and is not placed there"));
        }
    }
    for pod in books.pods.iter().filter(|pod| pod.placement.is_some()) {
        let spec = &pod.spec;
        let due = CpuSize { vcpus: spec.vcpus, memory_gb: spec.memory_gb, disk_gb: spec.disk_gb };
        let has = holders.get(pod.id.as_str());
        if has != Some(&&due) {
            found.add("A2", pod.id.as_str(), format!("it is placed with {due:?} and holds {has:?}"));
        }
    }
    for disk in &books.disks {
        let has = holders.get(disk.id.as_str()).map(|size| size.disk_gb);
        if has != Some(disk.size_gb) {
            found.add("A2", disk.id.as_str(), format!("it has {} GB and holds {has:?}", disk.size_gb));
        }
    }
}

fn a2_ports_are_those_of_placements(books: &Books, index: &Index<'_>, found: &mut Findings) {
    for (host, port, protocol, owner) in &books.ports {
        let placement = index.placement(owner).filter(|placement| placement.host == *host);
        let has = placement.is_some_and(|placement| {
            placement.ports.iter().any(|one| one.external == *port && one.protocol == *protocol)
        });
        if !has && !books.forced.contains(owner) {
            let text = format!("the port {port}/{protocol} is set aside for it, and its row does not say so");
            found.add("A2", owner, text);
        }
    }
    let held: BTreeSet<(u16, &str, &str)> = books
        .ports
        .iter()
        .map(|(_, port, protocol, owner)| (*port, protocol.as_str(), owner.as_str()))
        .collect();
    for pod in &books.pods {
        for port in pod.placement.iter().flat_map(|placement| &placement.ports) {
            if !held.contains(&(port.external, port.protocol.as_str(), pod.id.as_str())) {
                let text = format!("it has the port {}, which is not set aside for it", port.external);
                found.add("A2", pod.id.as_str(), text);
            }
        }
    }
}

fn b1_one_open_interval_each(books: &Books, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (owner, _) in &books.open {
        if !seen.insert(owner.as_str()) {
            found.add("B1", owner, "it is billed twice at the same time");
        }
    }
}

fn b3_only_what_runs_is_billed(books: &Books, index: &Index<'_>, found: &mut Findings) {
    for (owner, interval) in &books.open {
        if let Some(pod) = index.pods.get(owner.as_str()) {
            // A machine in doubt may run; what it is billed for is settled by the look that follows.
            let may_run = match &pod.machine {
                Resource::Unknown { .. } => true,
                Resource::Present(machine) => matches!(machine.phase, MachinePhase::Running { .. }),
                Resource::Absent => false,
            };
            if pod.status() != PodStatus::Active || !may_run {
                found.add("B3", owner, format!("it is billed while {}: {:?}", pod.status(), pod.machine));
            } else if interval.price != pod.spec.price {
                let text = format!("it is billed at {:?} and costs {:?}", interval.price, pod.spec.price);
                found.add("B1", owner, text);
            }
        } else if let Some(disk) = index.disks.get(owner.as_str()) {
            if disk.status() != PodStatus::Active || interval.price != disk.price() {
                found.add("B3", owner, format!("the disk is {} and billed {interval:?}", disk.status()));
            }
        } else {
            found.add("B3", owner, "it has ended and is billed");
        }
    }
}

fn b3_what_runs_is_billed(books: &Books, found: &mut Findings) {
    let billed: BTreeSet<&str> = books.open.iter().map(|(owner, _)| owner.as_str()).collect();
    for pod in &books.pods {
        let runs = matches!(&pod.machine, Resource::Present(machine)
            if matches!(machine.phase, MachinePhase::Running { .. }));
        if runs && pod.status() == PodStatus::Active && !billed.contains(pod.id.as_str()) {
            found.add("B3", pod.id.as_str(), "it is ACTIVE and runs, and is not billed");
        }
    }
    for disk in books.disks.iter().filter(|disk| disk.status() == PodStatus::Active) {
        if !billed.contains(disk.id.as_str()) {
            found.add("B3", disk.id.as_str(), "the disk is ACTIVE and not billed");
        }
    }
}

fn d1_attached_disks_are_there(books: &Books, index: &Index<'_>, found: &mut Findings) {
    for attachment in &books.attachments {
        let (disk_id, pod_id) = (attachment.disk_id.as_str(), attachment.pod_id.as_str());
        if !index.pods.contains_key(pod_id) && !books.forced.contains(pod_id) {
            found.add("D1", disk_id, format!("it is attached to {pod_id}, which has ended"));
        }
        match index.disks.get(disk_id) {
            None => found.add("D1", disk_id, format!("it has ended and is attached to {pod_id}")),
            Some(disk) if disk.desired == disk::Desired::Gone => {
                found.add("D1", disk_id, format!("it is deleted while attached to {pod_id}"));
            }
            Some(_) => {}
        }
    }
}

fn p8_attempts_and_restarts_are_bounded(books: &Books, found: &mut Findings) {
    for pod in &books.pods {
        if pod.restarts > limits::RESTARTS_MAX {
            found.add("P8", pod.id.as_str(), format!("{} restarts", pod.restarts));
        }
        if pod.attempt > limits::ATTEMPTS_MAX {
            found.add("P8", pod.id.as_str(), format!("attempt {}", pod.attempt));
        }
    }
}

fn w1_ready_means_reachable(books: &Books, found: &mut Findings) {
    for pod in books.pods.iter().filter(|pod| pod.status() == PodStatus::Active) {
        if pod.placement.as_ref().and_then(Placement::ssh_port).is_none() {
            found.add("W1", pod.id.as_str(), "it is ACTIVE and has no port for SSH");
        }
    }
}

fn p4_every_machine_has_its_row(pods: &[&Pod], sight: &Sight, found: &mut Findings) {
    let known: BTreeSet<String> =
        pods.iter().filter(|pod| pod.machine != Resource::Absent).map(|pod| pod.machine_name()).collect();
    for name in sight.machines.keys().filter(|name| !known.contains(*name)) {
        found.add("P4", name, "the machine is there, and no row knows it");
    }
}

fn p4_every_row_has_its_machine(pods: &[&Pod], sight: &Sight, found: &mut Findings) {
    for pod in pods {
        let Resource::Present(machine) = &pod.machine else { continue };
        let seen = sight.machines.get(&pod.machine_name());
        let runs = |phase: &MachinePhase| matches!(phase, MachinePhase::Running { .. });
        if seen.is_none() {
            found.add("P4", pod.id.as_str(), format!("its machine {} is not there", pod.machine_name()));
        } else if runs(&machine.phase) && !seen.is_some_and(runs) {
            found.add("P4", pod.id.as_str(), "its row says that it runs, and its machine does not");
        }
    }
}

fn d1_every_disk_has_its_volume(disks: &[&Disk], sight: &Sight, found: &mut Findings) {
    let known: BTreeSet<String> = disks.iter().map(|disk| volume_name(&disk.id)).collect();
    for name in sight.volumes.iter().filter(|name| !known.contains(*name)) {
        found.add("D1", name, "the volume is there, and no row knows its disk");
    }
    for disk in disks.iter().filter(|disk| disk.status() == PodStatus::Active) {
        if !sight.volumes.contains(&disk.volume_name()) {
            found.add("D1", disk.id.as_str(), "the disk is ACTIVE, and its volume is not there");
        }
    }
}

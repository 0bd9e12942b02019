//! The watch: what no order of calls and faults may lead to.
//!
//! A machine that an effect made or started *after* its answer had been given up is not judged:
//! its caller could not know of it. It is judged again once a call has adopted or started it.

use super::state::Machine;
use podbay_core::PodId;
use podbay_core::place::HostFacts;
use podbay_core::pod::PublishedPort;
use podbay_core::published::Protocol;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Violations that are kept; one is enough to fail a test.
const VIOLATIONS_MAX: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Watch {
    pub violations: Vec<String>,
    /// Host ports of other programs.
    pub occupied: HashSet<u16>,
    pods: HashMap<PodId, Vec<String>>,
    ports: HashMap<(u16, bool), String>,
    gpus: HashMap<String, String>,
    running: usize,
    vcpus: u64,
    memory_gb: u64,
}

type Machines = BTreeMap<String, Machine>;

fn key(port: &PublishedPort) -> (u16, bool) {
    (port.external, port.protocol == Protocol::Tcp)
}

impl Watch {
    pub fn report(&mut self, text: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(text);
        }
    }

    /// A machine comes beside `others`.
    pub fn made(&mut self, machine: &Machine, others: &Machines) {
        let names = self.pods.entry(machine.spec.pod_id.clone()).or_default();
        let other = names.iter().find(|name| others.get(*name).is_some_and(|other| !other.late)).cloned();
        names.push(machine.spec.name.clone());
        if let Some(other) = other.filter(|_| !machine.late) {
            self.report(format!("{} was made while {other} of the same pod was there", machine.spec.name));
        }
    }

    /// A machine is gone.
    pub fn gone(&mut self, machine: &Machine) {
        if let Some(names) = self.pods.get_mut(&machine.spec.pod_id) {
            names.retain(|name| *name != machine.spec.name);
            if names.is_empty() {
                self.pods.remove(&machine.spec.pod_id);
            }
        }
    }

    /// The first of these ports that cannot be had.
    pub fn port_taken(
        &mut self,
        name: &str,
        ports: &[PublishedPort],
        late: bool,
        machines: &Machines,
    ) -> Option<u16> {
        let taken = |port: &&PublishedPort| {
            self.ports.contains_key(&key(port))
                || (port.protocol == Protocol::Tcp && self.occupied.contains(&port.external))
        };
        let port = ports.iter().find(taken)?;
        if let Some(holder) = self.ports.get(&key(port)) {
            let judged = !late && machines.get(holder).is_some_and(|holder| !holder.late);
            if judged {
                self.report(format!("{name} was started on port {}, which {holder} has", port.external));
            }
        }
        Some(port.external)
    }

    /// The machine of that name runs now.
    pub fn started(&mut self, name: &str, machines: &Machines, facts: &HostFacts) {
        let Some(machine) = machines.get(name) else { return };
        let judged = |other: &&String| !machine.late && machines.get(*other).is_some_and(|other| !other.late);
        let mut found = Vec::new();
        for gpu in &machine.spec.gpus {
            if let Some(holder) = self.gpus.insert(gpu.uuid.clone(), name.to_owned())
                && judged(&&holder)
            {
                found.push(format!("{name} was started on GPU {}, which {holder} has", gpu.uuid));
            }
        }
        let siblings = self.pods.get(&machine.spec.pod_id).into_iter().flatten();
        let running = |other: &&String| machines.get(*other).is_some_and(Machine::is_running);
        if let Some(other) = siblings.filter(|other| *other != name).filter(running).find(judged) {
            found.push(format!("{name} was started while {other} of the same pod runs"));
        }
        for port in &machine.spec.ports {
            self.ports.insert(key(port), name.to_owned());
        }
        self.running += 1;
        self.vcpus += u64::from(machine.spec.vcpus);
        self.memory_gb += u64::from(machine.spec.memory_gb);
        let over = self.vcpus > u64::from(facts.vcpus) || self.memory_gb > u64::from(facts.memory_gb);
        // A late start may hold what was given to another since.
        if over && machines.values().all(|machine| !machine.late || !machine.is_running()) {
            let (vcpus, memory) = (self.vcpus, self.memory_gb);
            found.push(format!(
                "{name} was started, and {vcpus} vCPUs and {memory} GB are more than the host has"
            ));
        }
        found.into_iter().for_each(|text| self.report(text));
    }

    /// A machine that ran has ended.
    pub fn ended(&mut self, machine: &Machine) {
        let name = &machine.spec.name;
        for port in &machine.spec.ports {
            if self.ports.get(&key(port)) == Some(name) {
                self.ports.remove(&key(port));
            }
        }
        for gpu in &machine.spec.gpus {
            if self.gpus.get(&gpu.uuid) == Some(name) {
                self.gpus.remove(&gpu.uuid);
            }
        }
        self.running -= 1;
        self.vcpus -= u64::from(machine.spec.vcpus);
        self.memory_gb -= u64::from(machine.spec.memory_gb);
    }

    /// The running machine that a host port leads to.
    pub fn port_holder(&self, port: u16, protocol: Protocol) -> Option<&str> {
        self.ports.get(&(port, protocol == Protocol::Tcp)).map(String::as_str)
    }

    /// Machines that run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Names of the machines of a pod.
    pub fn of_pod(&self, pod: &PodId) -> &[String] {
        self.pods.get(pod).map_or(&[], Vec::as_slice)
    }
}

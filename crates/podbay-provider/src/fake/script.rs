//! What a test says to a world and asks of it.

use super::fault::{Call, Fault, Swarm};
use super::gate::Place;
use super::image::{self, Image};
use super::state::Machine;
use super::volume::Volume;
use super::{Seen, World};
use crate::Stats;
use podbay_core::place::HostFacts;
use podbay_core::{PodId, Timestamp};
use std::collections::BTreeSet;

/// What is on the host.
impl World {
    /// The registry has this image under that reference from now on, and the one before by its
    /// digest only. What was on the host under it is not any more.
    pub fn image(&self, reference: &str, mut image: Image) {
        if image.fact.digest.is_empty() {
            image.fact.digest = image::digest_of(reference);
        }
        let mut state = self.lock();
        if let Some(mut before) = state.images.insert(reference.to_owned(), image) {
            before.on_host = false;
            let pinned = format!("{reference}@{}", before.fact.digest);
            state.images.insert(pinned, before);
        }
    }

    /// Changes the host: a GPU that falls off the bus, a disk that is added.
    pub fn facts(&self, change: impl FnOnce(&mut HostFacts)) {
        change(&mut self.lock().facts);
    }

    /// Another program takes that TCP port of the host.
    pub fn port_occupy(&self, port: u16) {
        self.lock().watch.occupied.insert(port);
    }

    /// The other program gives it back.
    pub fn port_free(&self, port: u16) {
        self.lock().watch.occupied.remove(&port);
    }

    /// Whether anybody speaks SSH in machines. Where nobody does, connections open and end.
    pub fn ssh(&self, answers: bool) {
        self.lock().all_silent = !answers;
    }

    /// The same for one machine.
    pub fn machine_ssh(&self, name: &str, answers: bool) {
        let mut state = self.lock();
        if answers {
            state.silent.remove(name);
        } else {
            state.silent.insert(name.to_owned());
        }
    }

    /// A machine writes a line.
    pub fn machine_print(&self, name: &str, text: &str, stderr: bool) {
        let (mut state, now) = self.present();
        state.print(name, text.to_owned(), stderr, now);
    }

    /// What a machine's load is from now on.
    pub fn machine_load(&self, name: &str, stats: Stats) {
        self.lock().stats.insert(name.to_owned(), stats);
    }

    /// A running machine ends by itself.
    pub fn machine_end(&self, name: &str, code: i64, oom: bool) {
        let (mut state, now) = self.present();
        state.end(name, code, oom, now);
    }

    /// Somebody else starts a machine that has ended; whether it runs now.
    pub fn machine_revive(&self, name: &str) -> bool {
        let (mut state, now) = self.present();
        let handle = state.machines.get(name).map(|machine| machine.handle.clone());
        let effect = handle.map(|handle| super::state::Effect::Start { handle });
        effect.is_some_and(|effect| state.apply(&effect, now, true).is_ok())
    }

    /// Somebody else removes a machine.
    pub fn machine_vanish(&self, name: &str) {
        let (mut state, now) = self.present();
        state.memory.vanished.insert(name.to_owned());
        state.drop_machine(name, now);
    }

    /// Somebody else removes a volume; what it was.
    pub fn volume_vanish(&self, name: &str) -> Option<Volume> {
        self.present().0.volumes.remove(name)
    }

    /// Somebody brings a volume back as it was.
    pub fn volume_restore(&self, volume: Volume) {
        self.present().0.volumes.insert(volume.spec.name.clone(), volume);
    }

    /// Somebody else removes an image from the host.
    pub fn image_vanish(&self, reference: &str) {
        if let Some(image) = self.lock().images.get_mut(reference) {
            image.on_host = false;
        }
    }
}

/// What goes wrong.
impl World {
    /// The next call of that kind meets this fault; several are met in order.
    pub fn fault(&self, call: Call, fault: Fault) {
        self.lock().faults.queue(call, fault);
    }

    /// The next `times` calls of that kind meet it.
    pub fn faults(&self, call: Call, fault: Fault, times: usize) {
        (0..times).for_each(|_| self.fault(call, fault));
    }

    /// Faults happen by themselves from now on.
    pub fn swarm(&self, swarm: Swarm) {
        self.swarm_without(swarm, BTreeSet::new());
    }

    /// The same, but those at the calls of these numbers, as [`World::swarm_met`] names them.
    pub fn swarm_without(&self, swarm: Swarm, left_out: BTreeSet<u64>) {
        self.lock().faults.set_swarm(swarm, left_out);
    }

    /// The faults that happened by themselves, and the numbers of their calls.
    #[must_use]
    pub fn swarm_met(&self) -> Vec<(u64, Call, Fault)> {
        self.lock().faults.met.clone()
    }

    /// Nothing goes wrong from now on: no faults, no outage, no held calls. What has gone wrong
    /// stays so, and effects that are late still come.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.engine_down = Timestamp::from_millis(i64::MIN);
        state.host_gone = Timestamp::from_millis(i64::MIN);
        drop(state);
        Call::ALL.into_iter().for_each(|call| self.release(call));
    }

    /// The engine answers nothing before that time.
    pub fn engine_down(&self, until: Timestamp) {
        self.lock().engine_down = until;
    }

    /// The host cannot be reached before that time; its machines run on.
    pub fn host_gone(&self, until: Timestamp) {
        self.lock().host_gone = until;
    }

    /// The host loses power and is back at that time; what ran has ended.
    pub fn host_reboot(&self, until: Timestamp) {
        let (mut state, now) = self.present();
        state.host_reboot(until, now);
    }

    /// Calls of that kind stand still before their effect. A fetch has then reported some progress.
    pub fn hold(&self, call: Call) {
        self.0.gates.at(call, Place::Before).close();
    }

    /// Calls of that kind stand still between effect and answer: dropped there, they are what a
    /// crash leaves.
    pub fn hold_reply(&self, call: Call) {
        self.0.gates.at(call, Place::After).close();
    }

    /// Calls of that kind go on.
    pub fn release(&self, call: Call) {
        self.0.gates.at(call, Place::Before).open();
        self.0.gates.at(call, Place::After).open();
    }

    /// Calls of that kind that stand still now.
    #[must_use]
    pub fn held(&self, call: Call) -> usize {
        self.0.gates.waiting(call)
    }

    /// Returns once a call of that kind stands still.
    pub async fn reached(&self, call: Call) {
        self.0.gates.reached(call).await;
    }

    /// Lets late effects happen that are due; how many. Every call does that, too.
    pub fn tick(&self) -> usize {
        let now = self.now();
        self.lock().land(now)
    }

    /// When the next late effect happens.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().pending.keys().next().map(|(at, _)| *at)
    }
}

/// What happened.
impl World {
    /// All machines, by name.
    #[must_use]
    pub fn machines(&self) -> Vec<Machine> {
        self.present().0.machines.values().cloned().collect()
    }

    /// The first machine for which that is true.
    pub fn machine_where(&self, is_it: impl Fn(&Machine) -> bool) -> Option<Machine> {
        self.present().0.machines.values().find(|machine| is_it(machine)).cloned()
    }

    /// One machine.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<Machine> {
        self.present().0.machines.get(name).cloned()
    }

    /// All volumes, by name.
    #[must_use]
    pub fn volumes(&self) -> Vec<Volume> {
        self.present().0.volumes.values().cloned().collect()
    }

    /// One volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<Volume> {
        self.present().0.volumes.get(name).cloned()
    }

    /// The machines of a pod.
    #[must_use]
    pub fn machines_of(&self, pod: &PodId) -> Vec<Machine> {
        let (state, _) = self.present();
        state.watch.of_pod(pod).iter().filter_map(|name| state.machines.get(name).cloned()).collect()
    }

    /// How many machines are there.
    #[must_use]
    pub fn count(&self) -> usize {
        self.present().0.machines.len()
    }

    /// How many of them run.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.present().0.watch.running()
    }

    /// A file of a machine.
    #[must_use]
    pub fn file(&self, machine: &str, file: &str) -> Option<Vec<u8>> {
        self.lock().folders.get(machine)?.files.get(file).cloned()
    }

    /// How often an image was fetched.
    #[must_use]
    pub fn pulls(&self, reference: &str) -> u64 {
        self.lock().images.get(reference).map_or(0, |image| image.pulls)
    }

    /// How many calls of that kind there were.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.lock().counts[call as usize]
    }

    /// The last calls, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.iter().cloned().collect()
    }

    /// How many machines a pod was ever given, but those that came late.
    #[must_use]
    pub fn made(&self, pod: &PodId) -> u32 {
        self.present().0.memory.made.get(pod).copied().unwrap_or(0)
    }

    /// The first pod of which that is true among those that ever had a machine here.
    pub fn made_where(&self, is_it: impl Fn(&PodId) -> bool) -> Option<PodId> {
        self.present().0.memory.made.keys().find(|pod| is_it(pod)).cloned()
    }

    /// When a machine ran: from when, and until when.
    #[must_use]
    pub fn runs(&self, machine: &str) -> Vec<(Timestamp, Option<Timestamp>)> {
        self.present().0.memory.runs.get(machine).cloned().unwrap_or_default()
    }

    /// Whether somebody else has removed a machine of that name.
    #[must_use]
    pub fn has_vanished(&self, machine: &str) -> bool {
        self.present().0.memory.vanished.contains(machine)
    }

    /// Whether a machine's SSH has ever greeted somebody who came through a published port.
    #[must_use]
    pub fn has_greeted(&self, machine: &str) -> bool {
        self.present().0.memory.greeted.contains(machine)
    }

    /// What happened that never may.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().watch.violations.clone()
    }
}

//! What is on the host, and what calls do to it. Every function here runs under one lock, takes
//! the time as an argument and is done at once.

use super::fault::{Call, Fault, Faults, Met, met, refused};
use super::image::{Answered, Image};
use super::memory::Memory;
use super::volume::Volume;
use super::watch::Watch;
use super::{Seen, image};
use crate::{Answer, Credentials, File, ImageRequest, LogLine, MachineSpec, Stats, VolumeSpec};
use podbay_core::place::HostFacts;
use podbay_core::pod::{CallError, FailureCode, ImageFact, MachineFact, MachinePhase, SSH_PORT};
use podbay_core::published::Protocol;
use podbay_core::{InstallId, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Calls that are remembered.
const SEEN_MAX: usize = 1_000;
/// Age at which files of a machine that never came are dropped.
const FILES_GRACE: Duration = Duration::from_secs(600);
/// Exit code of what was killed.
const KILLED: i64 = 137;
/// Exit code of what ended because the host did.
const HOST_ENDED: i64 = 255;

/// A machine as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// What it was made from.
    pub spec: Arc<MachineSpec>,
    /// The installation that made it.
    pub install_id: InstallId,
    /// What the provider calls it; another one for each machine that ever was.
    pub handle: String,
    /// How far it is.
    pub phase: MachinePhase,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it was started.
    pub starts: u32,
    /// It was made or started by an effect that came late, and no call has adopted or started it
    /// since.
    pub late: bool,
}

impl Machine {
    /// Whether its first process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.phase, MachinePhase::Running { .. })
    }

    pub(super) fn fact(&self, now: Timestamp) -> MachineFact {
        MachineFact { handle: self.handle.clone(), phase: self.phase.clone(), seen_at: now }
    }
}

/// What a call changes; kept by itself because it may come late.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Image { reference: String, credentials: Option<Credentials> },
    Create { spec: Arc<MachineSpec>, install_id: InstallId },
    Start { handle: String },
    Stop { handle: String },
    Remove { handle: String },
    FilesPut { name: String, files: Vec<File> },
    VolumeEnsure { spec: VolumeSpec, install_id: InstallId },
    VolumeRemove { name: String },
}

#[derive(Debug)]
pub(super) struct Folder {
    put_at: Timestamp,
    pub files: BTreeMap<&'static str, Vec<u8>>,
}

pub(super) struct State {
    pub facts: HostFacts,
    pub images: BTreeMap<String, Image>,
    pub machines: BTreeMap<String, Machine>,
    pub volumes: BTreeMap<String, Volume>,
    pub folders: HashMap<String, Folder>,
    pub output: HashMap<String, Vec<LogLine>>,
    pub stats: HashMap<String, Stats>,
    pub silent: HashSet<String>,
    pub all_silent: bool,
    pub engine_down: Timestamp,
    pub host_gone: Timestamp,
    pub faults: Faults,
    pub pending: BTreeMap<(Timestamp, u64), Effect>,
    pub watch: Watch,
    pub counts: [u64; Call::ALL.len()],
    pub seen: VecDeque<Seen>,
    pub sequence: u64,
    pub memory: Memory,
}

fn not_there() -> CallError {
    refused(FailureCode::MachineLost, false, "the machine is not there any more")
}

/// The name within a handle; a name is its own.
fn name_of(handle: &str) -> &str {
    handle.split_once('@').map_or(handle, |(name, _)| name)
}

impl State {
    pub fn new(facts: HostFacts) -> Self {
        Self {
            facts,
            images: BTreeMap::new(),
            machines: BTreeMap::new(),
            volumes: BTreeMap::new(),
            folders: HashMap::new(),
            output: HashMap::new(),
            stats: HashMap::new(),
            silent: HashSet::new(),
            all_silent: false,
            engine_down: Timestamp::from_millis(i64::MIN),
            host_gone: Timestamp::from_millis(i64::MIN),
            faults: Faults::default(),
            pending: BTreeMap::new(),
            watch: Watch::default(),
            counts: [0; Call::ALL.len()],
            seen: VecDeque::new(),
            sequence: 0,
            memory: Memory::default(),
        }
    }

    /// Counts a call and says what it meets. `on` is what it is about.
    pub fn meet(&mut self, call: Call, on: &str, now: Timestamp) -> (Option<Fault>, Met) {
        self.land(now);
        self.counts[call as usize] += 1;
        let fault = self.faults.next(call, now);
        self.strike(fault, call, on, now);
        let engine = call != Call::DialPublished;
        let met = if self.host_gone > now {
            Met::Fail(CallError::NotSent("the host cannot be reached".into()))
        } else if engine && self.engine_down > now {
            Met::Fail(CallError::NotSent("the engine does not answer".into()))
        } else {
            met(fault, call, now)
        };
        (fault, met)
    }

    /// What a fault does to the world before the call.
    fn strike(&mut self, fault: Option<Fault>, call: Call, on: &str, now: Timestamp) {
        match fault {
            Some(Fault::EngineDown(until)) => self.engine_down = self.engine_down.max(until),
            Some(Fault::HostGone(until)) => self.host_gone = self.host_gone.max(until),
            Some(Fault::HostReboots(until)) => self.host_reboot(until, now),
            Some(Fault::MachineDies { code, oom }) => {
                if let Some(name) = self.subject(call, on, true) {
                    self.end(&name, code, oom, now);
                }
            }
            Some(Fault::MachineVanishes) => {
                if let Some(name) = self.subject(call, on, false) {
                    self.memory.vanished.insert(name.clone());
                    self.drop_machine(&name, now);
                }
            }
            Some(Fault::ImageVanishes) => self.images.values_mut().for_each(|image| image.on_host = false),
            _ => {}
        }
    }

    /// The machine that a call is about, or any.
    fn subject(&mut self, call: Call, on: &str, running: bool) -> Option<String> {
        let name = match call {
            Call::Facts | Call::Ping | Call::ImageEnsure | Call::List => None,
            call if call.is_of_volumes() => None,
            Call::DialPublished => {
                let port = on.rsplit(':').next().and_then(|port| port.parse().ok())?;
                Some(self.watch.port_holder(port, Protocol::Tcp)?.to_owned())
            }
            _ => Some(name_of(on).to_owned()),
        };
        if let Some(name) = name {
            return self.machines.get(&name).filter(|machine| !running || machine.is_running()).map(|_| name);
        }
        let count = self.machines.values().filter(|machine| !running || machine.is_running()).count();
        let picked = self.faults.pick(count);
        let mut fitting = self.machines.iter().filter(|(_, machine)| !running || machine.is_running());
        fitting.nth(picked).map(|(name, _)| name.clone())
    }

    pub fn host_reboot(&mut self, until: Timestamp, now: Timestamp) {
        self.host_gone = self.host_gone.max(until);
        self.pending.clear();
        let running: Vec<String> = self
            .machines
            .iter()
            .filter(|(_, machine)| machine.is_running())
            .map(|(name, _)| name.clone())
            .collect();
        for name in running {
            self.end(&name, HOST_ENDED, false, now);
        }
    }

    /// Remembers a call.
    pub fn see(&mut self, seen: Seen) {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }

    /// Keeps an effect for later.
    pub fn postpone(&mut self, at: Timestamp, effect: Effect) {
        self.sequence += 1;
        self.pending.insert((at, self.sequence), effect);
    }

    /// Lets the effects happen that are due; how many.
    pub fn land(&mut self, now: Timestamp) -> usize {
        let mut landed = 0;
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= now) {
            let effect = entry.remove();
            // Nobody waits for this answer.
            let _ = self.apply(&effect, now, true);
            landed += 1;
        }
        landed
    }

    /// Does what a call asks; a create answers with the handle.
    pub fn apply(&mut self, effect: &Effect, now: Timestamp, late: bool) -> Answer<String> {
        match effect {
            Effect::Image { reference, credentials } => {
                self.pull(reference, credentials.as_ref()).map(|fact| fact.digest)
            }
            Effect::Create { spec, install_id } => self.create(spec, install_id, now, late),
            Effect::Start { handle } => self.start(handle, now, late),
            Effect::Stop { handle } => {
                let name = self.resolve(handle).ok_or_else(not_there)?.to_owned();
                self.end(&name, KILLED, false, now);
                Ok(String::new())
            }
            Effect::Remove { handle } => {
                if let Some(name) = self.resolve(handle).map(str::to_owned) {
                    self.drop_machine(&name, now);
                    self.folders.remove(&name);
                }
                Ok(String::new())
            }
            Effect::FilesPut { name, files } => {
                if self.folders.contains_key(name) {
                    self.put(name, files, now);
                }
                Ok(String::new())
            }
            Effect::VolumeEnsure { spec, install_id } => self.volume_ensure(spec, install_id, now),
            Effect::VolumeRemove { name } => self.volume_remove(name),
        }
    }

    /// What the registry says of a reference: the image, or why there is none.
    pub fn look_up(&self, reference: &str, credentials: Option<&Credentials>) -> Answer<&Image> {
        let missing = || refused(FailureCode::ImageNotFound, true, format!("there is no image {reference}"));
        let image = self.images.get(reference).ok_or_else(missing)?;
        let denied = image.credentials.as_ref().is_some_and(|(username, password)| {
            credentials.is_none_or(|given| given.username != *username || given.password != *password)
        });
        match image.answered {
            Answered::Missing => return Err(missing()),
            Answered::Bad => {
                let text = format!("{reference} is no image reference");
                return Err(refused(FailureCode::ImageReference, true, text));
            }
            Answered::Image if !denied => {}
            Answered::Denied | Answered::Image => {
                let text = format!("the registry does not give {reference} to these credentials");
                return Err(refused(FailureCode::ImageDenied, true, text));
            }
        }
        if image.architecture.as_ref().is_some_and(|only| *only != self.facts.architecture) {
            let text = format!("{reference} does not exist for {}", self.facts.architecture);
            return Err(refused(FailureCode::ImagePlatform, true, text));
        }
        if image.bytes > u64::from(self.facts.disk_gb) << 30 {
            return Err(refused(FailureCode::DiskFull, false, "the host's disk is full"));
        }
        Ok(image)
    }

    /// Under which name the registry has what is asked for.
    pub fn named(&self, request: &ImageRequest) -> String {
        let (reference, digest) = (&request.reference, request.digest.as_deref());
        let tagged = self.images.get(reference).map(|image| image.fact.digest.as_str());
        match digest {
            Some(digest) if tagged != Some(digest) => format!("{reference}@{digest}"),
            _ => reference.clone(),
        }
    }

    pub fn pull(&mut self, reference: &str, credentials: Option<&Credentials>) -> Answer<ImageFact> {
        let lies_here = self.images.get(reference).is_some_and(|image| image.on_host);
        if !lies_here {
            self.look_up(reference, credentials)?;
        }
        let Some(image) = self.images.get_mut(reference) else { return Err(not_there()) };
        if !lies_here {
            image.pulls += 1;
            image.on_host = true;
        }
        if image.fact.digest.is_empty() {
            image.fact.digest = image::digest_of(reference);
        }
        Ok(image.fact.clone())
    }

    pub fn image_of(&self, spec: &MachineSpec) -> Option<&Image> {
        self.images
            .get(&spec.image_reference)
            .filter(|image| image.fact.digest == spec.image.digest)
            .or_else(|| self.images.values().find(|image| image.fact.digest == spec.image.digest))
    }

    fn create(
        &mut self,
        spec: &Arc<MachineSpec>,
        install_id: &InstallId,
        now: Timestamp,
        late: bool,
    ) -> Answer<String> {
        if let Some(found) = self.machines.get_mut(&spec.name) {
            if found.install_id != *install_id || found.spec.pod_id != spec.pod_id {
                let text = format!("a machine named {} is there, and somebody else made it", spec.name);
                return Err(refused(FailureCode::Engine, true, text));
            }
            found.late &= late;
            return Ok(found.handle.clone());
        }
        if self.image_of(spec).is_none_or(|image| !image.on_host) {
            let text = "the image is not on the host any more";
            return Err(refused(FailureCode::ImageNotFound, false, text));
        }
        self.volumes_check(spec)?;
        self.put(&spec.name, &spec.files, now);
        self.sequence += 1;
        let machine = Machine {
            spec: spec.clone(),
            install_id: install_id.clone(),
            handle: format!("{}@{}", spec.name, self.sequence),
            phase: MachinePhase::Created,
            created_at: now,
            starts: 0,
            late,
        };
        self.watch.made(&machine, &self.machines);
        let handle = machine.handle.clone();
        if !late {
            *self.memory.made.entry(spec.pod_id.clone()).or_default() += 1;
        }
        self.machines.insert(spec.name.clone(), machine);
        Ok(handle)
    }

    fn start(&mut self, handle: &str, now: Timestamp, late: bool) -> Answer<String> {
        let name = self.resolve(handle).ok_or_else(not_there)?.to_owned();
        let Some(machine) = self.machines.get_mut(&name) else { return Err(not_there()) };
        if machine.is_running() {
            machine.late &= late;
            return Ok(String::new());
        }
        let spec = machine.spec.clone();
        let image = self.image_of(&spec);
        let exits = image.and_then(|image| image.exits);
        let says: Vec<String> = image.map(|image| image.says.clone()).unwrap_or_default();
        if let Some(gone) =
            spec.gpus.iter().find(|gpu| self.facts.gpus.iter().all(|fact| fact.uuid != gpu.uuid))
        {
            let text = format!("the host has no GPU {}", gone.uuid);
            return Err(refused(FailureCode::Engine, true, text));
        }
        if let Some(port) = self.watch.port_taken(&name, &spec.ports, late, &self.machines) {
            let text = format!("the host port {port} is taken by another program");
            return Err(refused(FailureCode::PortTaken, false, text));
        }
        let Some(machine) = self.machines.get_mut(&name) else { return Err(not_there()) };
        machine.starts += 1;
        machine.late = late;
        machine.phase = MachinePhase::Running { started_at: now };
        self.watch.started(&name, &self.machines, &self.facts);
        self.memory.started(&name, now);
        for text in says {
            self.print(&name, text, false, now);
        }
        if let Some(code) = exits {
            self.end(&name, code, false, now);
        }
        Ok(String::new())
    }

    /// A running machine ends.
    pub fn end(&mut self, name: &str, code: i64, oom: bool, now: Timestamp) {
        if let Some(machine) = self.machines.get_mut(name).filter(|machine| machine.is_running()) {
            let started_at = match machine.phase {
                MachinePhase::Running { started_at } => Some(started_at),
                _ => None,
            };
            machine.phase = MachinePhase::Exited { code, oom, at: Some(now), started_at };
            self.watch.ended(machine);
            self.memory.ended(name, now);
        }
    }

    /// A machine is gone, whatever it did. Its files are not in it and stay.
    pub fn drop_machine(&mut self, name: &str, now: Timestamp) {
        if let Some(machine) = self.machines.remove(name) {
            if machine.is_running() {
                self.watch.ended(&machine);
                self.memory.ended(name, now);
            }
            self.watch.gone(&machine);
            self.output.remove(name);
            self.stats.remove(name);
            self.silent.remove(name);
        }
    }

    /// The name of the machine that has this handle.
    pub fn resolve<'a>(&self, handle: &'a str) -> Option<&'a str> {
        let name = name_of(handle);
        self.machines.get(name).filter(|machine| machine.handle == handle).map(|_| name)
    }

    pub fn by_handle(&self, handle: &str) -> Answer<&Machine> {
        self.resolve(handle).and_then(|name| self.machines.get(name)).ok_or_else(not_there)
    }

    fn put(&mut self, name: &str, files: &[File], now: Timestamp) {
        let empty = || Folder { put_at: now, files: BTreeMap::new() };
        let folder = self.folders.entry(name.to_owned()).or_insert_with(empty);
        folder.put_at = now;
        folder.files.extend(files.iter().map(|file| (file.name, file.bytes.clone())));
    }

    /// Drops the files of machines that never came.
    pub fn prune(&mut self, now: Timestamp) {
        let machines = &self.machines;
        self.folders
            .retain(|name, folder| machines.contains_key(name) || now.since(folder.put_at) < FILES_GRACE);
    }

    pub fn print(&mut self, name: &str, text: String, stderr: bool, now: Timestamp) {
        self.output.entry(name.to_owned()).or_default().push(LogLine { at: Some(now), stderr, text });
    }

    /// What the one who listens on a port of a machine says first; `None` if nobody listens. What
    /// accepts and says nothing is an empty greeting.
    pub fn greeting(&self, name: &str, port: u16) -> Option<&[u8]> {
        let machine = self.machines.get(name).filter(|machine| machine.is_running())?;
        let image = self.image_of(&machine.spec);
        if port != SSH_PORT {
            return image?.greetings.get(&port).map(Vec::as_slice);
        }
        self.folders.get(name).filter(|folder| folder.files.contains_key("host_key"))?;
        let speaks =
            !self.all_silent && !self.silent.contains(name) && image.is_none_or(|image| image.answers_ssh);
        Some(if speaks { b"SSH-2.0-podbay\r\n" } else { b"" })
    }
}

//! The contract over a world: every call passes the same gates and meets the same faults.

use super::fault::{Call, Fault, Met, refused};
use super::gate::Place;
use super::state::{Effect, State};
use super::{Seen, World};
use crate::{
    Answer, File, ImageRequest, ListedMachine, ListedVolume, Logs, MachineSpec, ProgressSink, Provider,
    PullProgress, Stats, Stream, VolumeSpec,
};
use async_trait::async_trait;
use podbay_core::disk::VolumeFact;
use podbay_core::place::HostFacts;
use podbay_core::pod::{CallError, FailureCode, ImageFact, MachineFact, MachinePhase, SSH_PORT};
use podbay_core::published::Protocol;
use podbay_core::{InstallId, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Parts in which the progress of a fetch is reported.
const PARTS: u64 = 4;

/// One installation's access to a [`World`].
#[derive(Clone, Debug)]
pub struct Fake {
    world: World,
    install_id: InstallId,
    turnstile: Option<Arc<dyn Turnstile>>,
}

/// What a test puts in the way of every call of one [`Fake`]: a server that may stand still there for
/// ever, or for a while during which others go on.
#[async_trait]
pub trait Turnstile: std::fmt::Debug + Send + Sync {
    /// Passed before a call and before its answer.
    async fn pass(&self);

    /// Whether the caller has stood still, so that what it does now it does without knowing what
    /// others did meanwhile.
    fn is_stale(&self) -> bool;
}

fn lost() -> CallError {
    CallError::Unknown("the connection broke before the answer came".into())
}

impl Fake {
    /// The access of that installation.
    #[must_use]
    pub fn new(world: World, install_id: InstallId) -> Self {
        Self { world, install_id, turnstile: None }
    }

    /// The same access, all calls of which pass a turnstile.
    #[must_use]
    pub fn behind(self, turnstile: Arc<dyn Turnstile>) -> Self {
        Self { turnstile: Some(turnstile), ..self }
    }

    async fn pass(&self, call: Call, place: Place) {
        self.world.0.gates.pass(call, place).await;
        if let Some(turnstile) = &self.turnstile {
            turnstile.pass().await;
        }
    }

    fn is_stale(&self) -> bool {
        self.turnstile.as_ref().is_some_and(|turnstile| turnstile.is_stale())
    }

    /// The world behind it.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A call that changes nothing.
    async fn read<T>(
        &self,
        call: Call,
        on: &str,
        look: impl FnOnce(&mut State, Timestamp) -> Answer<T> + Send,
    ) -> Answer<T> {
        self.pass(call, Place::Before).await;
        let answer = {
            let now = self.world.now();
            let mut state = self.world.lock();
            let (fault, met) = state.meet(call, on, now);
            let answer = match met {
                Met::Nothing => look(&mut state, now),
                Met::Fail(error) => Err(error),
                Met::Lost | Met::Late(_) => Err(lost()),
            };
            state.see(Seen { at: now, call, on: on.to_owned(), fault, ok: answer.is_ok() });
            answer
        };
        self.pass(call, Place::After).await;
        answer
    }

    /// A call that changes something.
    async fn change(&self, call: Call, on: &str, effect: Effect) -> Answer<String> {
        self.pass(call, Place::Before).await;
        let answer = self.change_now(call, on, effect).1;
        self.pass(call, Place::After).await;
        answer
    }

    fn change_now(&self, call: Call, on: &str, effect: Effect) -> (Option<Fault>, Answer<String>) {
        let now = self.world.now();
        let mut state = self.world.lock();
        let (fault, met) = state.meet(call, on, now);
        let answer = match met {
            Met::Nothing => {
                self.own(&state, &effect).and_then(|()| state.apply(&effect, now, self.is_stale()))
            }
            Met::Fail(error) => Err(error),
            Met::Lost => {
                // Done or refused: the caller cannot know.
                let _ = self.own(&state, &effect).and_then(|()| state.apply(&effect, now, self.is_stale()));
                Err(lost())
            }
            Met::Late(at) => {
                if self.own(&state, &effect).is_ok() {
                    state.postpone(at, effect);
                }
                Err(lost())
            }
        };
        state.see(Seen { at: now, call, on: on.to_owned(), fault, ok: answer.is_ok() });
        (fault, answer)
    }

    /// Nobody touches another installation's machines and volumes.
    fn own(&self, state: &State, effect: &Effect) -> Answer<()> {
        if let Effect::VolumeRemove { name } = effect {
            return match state.volumes.get(name) {
                Some(volume) if volume.install_id != self.install_id => Err(foreign(name)),
                _ => Ok(()),
            };
        }
        let (Effect::Start { handle } | Effect::Stop { handle } | Effect::Remove { handle }) = effect else {
            return Ok(());
        };
        match state.by_handle(handle) {
            Ok(machine) if machine.install_id != self.install_id => Err(foreign(&machine.spec.name)),
            _ => Ok(()),
        }
    }
}

fn foreign(name: &str) -> CallError {
    refused(FailureCode::Engine, true, format!("something named {name} is there, and somebody else made it"))
}

fn unreachable_port() -> CallError {
    CallError::NotSent("connection refused".into())
}

/// A connection on which the other side has said `greeting` and then ended.
async fn connection(greeting: Vec<u8>) -> Answer<Box<dyn Stream>> {
    let (near, mut far) = tokio::io::duplex(greeting.len().max(1));
    far.write_all(&greeting).await.map_err(|error| CallError::NotSent(error.to_string()))?;
    Ok(Box::new(near))
}

#[async_trait]
impl Provider for Fake {
    async fn facts(&self) -> Answer<HostFacts> {
        self.read(Call::Facts, "", |state, _| Ok(state.facts.clone())).await
    }

    async fn ping(&self) -> Answer<()> {
        self.read(Call::Ping, "", |_, _| Ok(())).await
    }

    async fn image_ensure(&self, image: &ImageRequest, progress: ProgressSink<'_>) -> Answer<ImageFact> {
        let (reference, credentials) = (self.world.lock().named(image), image.credentials.as_ref());
        let reference = reference.as_str();
        // What there is to fetch; a call that is held has made some progress.
        let total = {
            let (state, now) = self.world.present();
            let away = state.host_gone.max(state.engine_down) > now;
            let lies_here = state.images.get(reference).is_some_and(|image| image.on_host);
            let found = state.look_up(reference, credentials).ok().filter(|_| !away && !lies_here);
            found.map(|image| image.bytes)
        };
        let report = |parts: u64| {
            if let Some(total) = total {
                progress(PullProgress { bytes: total / PARTS * parts, total });
            }
        };
        report(1);
        self.pass(Call::ImageEnsure, Place::Before).await;
        let effect = Effect::Image { reference: reference.to_owned(), credentials: credentials.cloned() };
        let (fault, answer) = self.change_now(Call::ImageEnsure, reference, effect);
        if answer.is_ok() {
            (2..=PARTS).for_each(report);
        } else if fault == Some(Fault::PullStalls) {
            report(2);
        }
        self.pass(Call::ImageEnsure, Place::After).await;
        answer?;
        let state = self.world.lock();
        let fact = state.images.get(reference).map(|image| image.fact.clone());
        fact.ok_or_else(|| {
            refused(FailureCode::ImageNotFound, false, "the image is not on the host any more")
        })
    }

    async fn machine_create(&self, spec: &MachineSpec) -> Answer<String> {
        let effect = Effect::Create { spec: Arc::new(spec.clone()), install_id: self.install_id.clone() };
        self.change(Call::Create, &spec.name, effect).await
    }

    async fn machine_start(&self, handle: &str) -> Answer<()> {
        self.change(Call::Start, handle, Effect::Start { handle: handle.to_owned() }).await.map(drop)
    }

    async fn machine_inspect(&self, name: &str) -> Answer<Option<MachineFact>> {
        self.read(Call::Inspect, name, |state, now| match state.machines.get(name) {
            Some(machine) if machine.install_id != self.install_id => Err(foreign(name)),
            Some(machine) => Ok(Some(machine.fact(now))),
            None => Ok(None),
        })
        .await
    }

    async fn machine_list(&self) -> Answer<Vec<ListedMachine>> {
        self.read(Call::List, "", |state, now| {
            state.prune(now);
            let ours = state.machines.values().filter(|machine| machine.install_id == self.install_id);
            let list = ours.map(|machine| ListedMachine {
                name: machine.spec.name.clone(),
                pod_id: Some(machine.spec.pod_id.clone()),
                created_at: machine.created_at,
                fact: machine.fact(now),
            });
            Ok(list.collect())
        })
        .await
    }

    async fn machine_stop(&self, handle: &str, _grace: Duration) -> Answer<()> {
        self.change(Call::Stop, handle, Effect::Stop { handle: handle.to_owned() }).await.map(drop)
    }

    async fn machine_remove(&self, handle: &str) -> Answer<()> {
        self.change(Call::Remove, handle, Effect::Remove { handle: handle.to_owned() }).await.map(drop)
    }

    async fn machine_logs(&self, handle: &str, tail: u32) -> Answer<Logs> {
        self.read(Call::Logs, handle, |state, _| {
            let name = &state.by_handle(handle)?.spec.name;
            let lines = state.output.get(name).map_or(&[][..], Vec::as_slice);
            let skip = lines.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
            Ok(Logs { lines: lines[skip..].to_vec() })
        })
        .await
    }

    async fn machine_stats(&self, handle: &str) -> Answer<Stats> {
        self.read(Call::Stats, handle, |state, now| {
            let machine = state.by_handle(handle)?;
            if let Some(scripted) = state.stats.get(&machine.spec.name) {
                return Ok(*scripted);
            }
            let MachinePhase::Running { started_at } = machine.phase else { return Ok(Stats::default()) };
            let cpu_nanos = u64::try_from(now.since(started_at).as_nanos()).unwrap_or(u64::MAX);
            Ok(Stats { cpu_nanos, memory_bytes: 64 << 20, pids: 2, ..Stats::default() })
        })
        .await
    }

    async fn files_put(&self, name: &str, files: &[File]) -> Answer<()> {
        let effect = Effect::FilesPut { name: name.to_owned(), files: files.to_vec() };
        self.change(Call::FilesPut, name, effect).await.map(drop)
    }

    async fn volume_ensure(&self, spec: &VolumeSpec) -> Answer<VolumeFact> {
        let effect = Effect::VolumeEnsure { spec: spec.clone(), install_id: self.install_id.clone() };
        self.change(Call::VolumeEnsure, &spec.name, effect).await?;
        self.world.lock().volumes.get(&spec.name).map(super::Volume::fact).ok_or_else(lost)
    }

    async fn volume_inspect(&self, name: &str) -> Answer<Option<VolumeFact>> {
        self.read(Call::VolumeInspect, name, |state, _| match state.volumes.get(name) {
            Some(volume) if volume.install_id != self.install_id => Err(foreign(name)),
            found => Ok(found.map(super::Volume::fact)),
        })
        .await
    }

    async fn volume_list(&self) -> Answer<Vec<ListedVolume>> {
        self.read(Call::VolumeList, "", |state, _| {
            let ours = state.volumes.values().filter(|volume| volume.install_id == self.install_id);
            let list = ours.map(|volume| ListedVolume {
                name: volume.spec.name.clone(),
                disk_id: Some(volume.spec.disk_id.clone()),
                created_at: volume.created_at,
            });
            Ok(list.collect())
        })
        .await
    }

    async fn volume_remove(&self, name: &str) -> Answer<()> {
        self.change(Call::VolumeRemove, name, Effect::VolumeRemove { name: name.to_owned() }).await.map(drop)
    }

    async fn dial(&self, handle: &str, port: u16) -> Answer<Box<dyn Stream>> {
        let greeting = self
            .read(Call::Dial, handle, |state, _| {
                let name = &state.by_handle(handle)?.spec.name;
                state.greeting(name, port).map(<[u8]>::to_vec).ok_or_else(unreachable_port)
            })
            .await?;
        connection(greeting).await
    }

    async fn dial_published(&self, address: IpAddr, port: u16) -> Answer<Box<dyn Stream>> {
        let on = format!("{address}:{port}");
        let greeting = self
            .read(Call::DialPublished, &on, |state, _| {
                let name = state.watch.port_holder(port, Protocol::Tcp).ok_or_else(unreachable_port)?;
                let ports = state.machines.get(name).map_or(&[][..], |machine| &machine.spec.ports);
                let leads = |one: &&podbay_core::pod::PublishedPort| {
                    one.external == port && one.protocol == Protocol::Tcp
                };
                let internal = ports.iter().find(leads).ok_or_else(unreachable_port)?.internal;
                // The engine's forwarder accepts before it looks who listens.
                let (name, greeting) = (name.to_owned(), state.greeting(name, internal));
                let greeting = greeting.unwrap_or_default().to_vec();
                if internal == SSH_PORT && !greeting.is_empty() {
                    state.memory.greeted.insert(name);
                }
                Ok(greeting)
            })
            .await?;
        connection(greeting).await
    }
}

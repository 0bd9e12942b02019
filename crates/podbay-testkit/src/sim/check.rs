//! The invariants: those of the books (`podbay_core::audit`), those of the world, and those that need
//! both, or a memory. Numbers are those of `docs/invariants.md`.

use super::Run;
use podbay_core::audit::{self, Books, Finding, Sight};
use podbay_core::pod::{Desired, FailureCode, Pod, Resource};
use podbay_core::published::PodStatus;
use podbay_core::usage::{Interval, total};
use podbay_core::{HostId, Micros, PodId, Timestamp};
use podbay_provider::fake::Machine;
use podbay_store::{Event, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const MILLIS_PER_HOUR: i128 = 3_600_000;

/// What was seen of pods before.
#[derive(Default)]
pub(super) struct Watchbook {
    ready: BTreeSet<String>,
    /// Pods whose host their owner gave up.
    given_up: BTreeSet<String>,
    /// Pods that were deleted before any machine of theirs was asked for.
    never: BTreeSet<String>,
    gone: BTreeSet<String>,
    /// What ended pods have cost.
    ended: BTreeMap<String, Micros>,
}

impl Watchbook {
    pub fn ready_count(&self) -> u64 {
        self.ready.len() as u64
    }

    pub fn ended_count(&self) -> u64 {
        self.ended.len() as u64
    }
}

fn rows(error: StoreError) -> String {
    format!("rows: {error}")
}

/// Whether that is news.
fn note(known: &mut BTreeSet<String>, pod: &Pod) -> bool {
    !known.contains(pod.id.as_str()) && known.insert(pod.id.to_string())
}

fn told(findings: &[Finding]) -> Result<(), String> {
    match findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("{}: {}: {}", finding.invariant, finding.of, finding.text)),
    }
}

impl Run {
    /// The books, read again only after a write: most of the moves of a quiet world write nothing.
    pub(super) async fn books(&mut self) -> Result<Arc<Books>, String> {
        let version = self.server.app.store.version();
        if let Some((of, books)) = &self.kept
            && *of == version
            && self.server.app.store.is_single_writer()
        {
            return Ok(books.clone());
        }
        // Nobody else has them: they are taken apart, and not copied.
        let before = self.kept.take().and_then(|(_, books)| Arc::into_inner(books));
        let read = self.server.app.store.snapshot(|tx| match before {
            Some(before) => Box::pin(tx.books_after(before)),
            None => Box::pin(tx.books()),
        });
        let books = Arc::new(read.await.map_err(rows)?);
        self.kept = Some((version, books.clone()));
        Ok(books)
    }

    /// The books as they were read piece by piece are what they are when all is read.
    pub(super) async fn check_marks(&mut self) -> Result<(), String> {
        let before = Books::clone(&*self.books().await?);
        let read =
            self.server.app.store.snapshot(|tx| {
                Box::pin(async move { Ok((tx.books_after(before).await?, tx.books().await?)) })
            });
        let (pieces, whole) = read.await.map_err(rows)?;
        if pieces.pods == whole.pods {
            return Ok(());
        }
        let differs = pieces.pods.iter().zip(&whole.pods).find(|(piece, whole)| piece != whole);
        let (pieces, whole) = (pieces.pods.len(), whole.pods.len());
        Err(format!(
            "marks: of {pieces} pods in pieces and {whole} in whole the first to differ is {differs:?}"
        ))
    }

    /// Every row and every machine, against the invariants.
    pub(super) async fn check(&mut self) -> Result<(), String> {
        self.summary.checks += 1;
        for (host, world) in &self.server.worlds {
            if let Some(violation) = world.violations().first() {
                return Err(format!("A1: {host}: {violation}"));
            }
        }
        let books = self.books().await?;
        told(&audit::books(&books))?;
        for pod in &books.pods {
            // One whose order was answered with an error has no user who knows it.
            note(&mut self.pods, pod);
            self.check_live(pod)?;
        }
        self.check_places(&books)?;
        for id in self.newly_ended(&books) {
            let billed = self.check_ended(&id).await?;
            self.book.ended.insert(id, billed);
        }
        self.check_forced(&books)?;
        self.check_disks(&books).await
    }

    fn newly_ended(&self, books: &Books) -> Vec<String> {
        if self.pods.len() == books.pods.len() + self.book.ended.len() {
            return Vec::new();
        }
        let live: BTreeSet<&str> = books.pods.iter().map(|pod| pod.id.as_str()).collect();
        let is_new = |id: &&String| !live.contains(id.as_str()) && !self.book.ended.contains_key(*id);
        self.pods.iter().filter(is_new).cloned().collect()
    }

    /// How many pods that were ended by force still hold what they held.
    pub(super) async fn forced(&self) -> Result<usize, String> {
        let (mut tx, mut count) = (self.server.app.store.reader().await.map_err(rows)?, 0);
        for (host, _) in &self.server.worlds {
            count += tx.forced_end_list(host).await.map_err(rows)?.len();
        }
        Ok(count)
    }

    /// What a pod that was ended by force had is not given to others while its machine may run.
    fn check_forced(&self, books: &Books) -> Result<(), String> {
        let held: BTreeSet<&str> = books.held.iter().map(|(owner, _, _)| owner.as_str()).collect();
        let is_left = |machine: &Machine| {
            let owner = machine.spec.pod_id.as_str();
            let runs = machine.is_running() && !machine.late;
            runs && self.book.ended.contains_key(owner) && !held.contains(owner)
        };
        match self.server.worlds.iter().find_map(|(_, world)| world.machine_where(is_left)) {
            None => Ok(()),
            Some(Machine { spec, .. }) => {
                Err(format!("A2: {} has ended, holds nothing, and {} runs", spec.pod_id, spec.name))
            }
        }
    }

    fn check_live(&mut self, pod: &Pod) -> Result<(), String> {
        let (id, name, world) = (&pod.id, pod.machine_name(), self.server.world_of(&pod.host));
        if pod.ready_at.is_some() && note(&mut self.book.ready, pod) && !world.has_greeted(&name) {
            return Err(format!("W2: {id} is ready, and nobody has seen its SSH"));
        }
        if let Some(failure) = &pod.failure
            && failure.code == FailureCode::MachineLost
            && !world.has_vanished(&name)
        {
            return Err(format!("P7: {id} has lost its machine, and nobody but podbay took it"));
        }
        if pod.is_given_up() && note(&mut self.book.given_up, pod) {
            self.summary.met("GivenUp", 1);
            if !self.server.gives_up() {
                return Err(format!("P7: {id} was given up by nobody"));
            }
        }
        let keeps = |machine: &Machine| !machine.late && (machine.is_running() || pod.ready_at.is_none());
        if pod.placement.is_none()
            && let Some(machine) = world.machines_of(&pod.id).into_iter().find(keeps)
        {
            return Err(format!("A2: {id} has given its place back and has {}", machine.spec.name));
        }
        if pod.desired == Desired::Gone
            && note(&mut self.book.gone, pod)
            && pod.machine == Resource::Absent
            && world.made(&pod.id) == 0
        {
            note(&mut self.book.never, pod);
        }
        self.check_never(&pod.id)
    }

    /// A machine is only ever asked for where its pod is placed; of those that are live.
    fn check_places(&self, books: &Books) -> Result<(), String> {
        let worlds = &self.server.worlds;
        if worlds.len() == 1 {
            return Ok(());
        }
        let placed: HashMap<&PodId, &HostId> = books.pods.iter().map(|pod| (&pod.id, &pod.host)).collect();
        for (host, world) in worlds {
            let is_elsewhere = |pod: &PodId| placed.get(pod).is_some_and(|placed| *placed != host);
            if let Some(pod) = world.made_where(is_elsewhere) {
                return Err(format!("A1: {pod} is placed elsewhere, and had a machine on {host}"));
            }
        }
        Ok(())
    }

    /// The same of one that has ended.
    fn check_place(&self, pod: &Pod) -> Result<(), String> {
        let mut elsewhere = self.server.worlds.iter().filter(|(host, _)| *host != pod.host);
        match elsewhere.find(|(_, world)| world.made(&pod.id) > 0) {
            Some((host, _)) => {
                Err(format!("A1: {} is placed on {}, and had a machine on {host}", pod.id, pod.host))
            }
            None => Ok(()),
        }
    }

    /// What was deleted before a machine was asked for never has one.
    fn check_never(&self, id: &PodId) -> Result<(), String> {
        if !self.book.never.contains(id.as_str()) {
            return Ok(());
        }
        match self.server.worlds.iter().map(|(_, world)| world.made(id)).sum() {
            0 => Ok(()),
            _ => Err(format!("P8: {id} was given a machine after its delete")),
        }
    }

    async fn check_ended(&self, text: &str) -> Result<Micros, String> {
        let id = PodId::from_stored(text.to_owned());
        let mut tx = self.server.app.store.reader().await.map_err(rows)?;
        let pod = tx.pod_get(&id).await.map_err(rows)?;
        let pod = pod.ok_or_else(|| format!("P2: the accepted pod {id} has no row"))?;
        let left: Vec<_> = self.server.worlds.iter().flat_map(|(_, world)| world.machines_of(&id)).collect();
        // What an engine had in its queue, or a server that stood still, may land late: the sweep has it. The
        // same is true of what nobody could ask about.
        let by_force = tx.forced_end_list(&pod.host).await.map_err(rows)?;
        if left.iter().any(|machine| !machine.late) && by_force.iter().all(|(forced, _)| *forced != id) {
            return Err(format!("P3: {id} is {} and has machines: {left:?}", pod.status()));
        }
        if pod.status() != PodStatus::Terminated || pod.placement.is_some() {
            return Err(format!("P3: {id} is {} and holds {:?}", pod.status(), pod.placement));
        }
        self.check_never(&id)?;
        self.check_place(&pod)?;
        let intervals = tx.usage_list(&id).await.map_err(rows)?;
        let events = tx.event_list(&id, 0, 10_000).await.map_err(rows)?;
        check_events(&pod, &events)?;
        self.check_bill(&pod, &intervals, &events)
    }

    /// Against the world's own memory of when the machine ran.
    fn check_bill(&self, pod: &Pod, intervals: &[Interval], events: &[Event]) -> Result<Micros, String> {
        let id = &pod.id;
        let mut numerator: i128 = 0;
        for interval in intervals {
            let Some(end) = interval.ended_at else {
                return Err(format!("B1: {id} has ended and is billed"));
            };
            let length = i128::from(end.as_millis()) - i128::from(interval.started_at.as_millis());
            numerator += i128::from(interval.price.0) * length;
        }
        let billed = (numerator + MILLIS_PER_HOUR / 2).div_euclid(MILLIS_PER_HOUR);
        let told = total(intervals, self.server.clock.now()).billed;
        if i128::from(told.0) != billed {
            return Err(format!("B1: {id} is billed {told:?} for {intervals:?}"));
        }
        if self.clock_jumps {
            // Then there is no telling what was before what.
            return Ok(told);
        }
        if let Some(pair) = intervals.windows(2).find(|pair| pair[0].ended_at > Some(pair[1].started_at)) {
            return Err(format!("B1: intervals of {id} overlap: {pair:?}"));
        }
        let (world, name) = (self.server.world_of(&pod.host), pod.machine_name());
        let (runs, vanished) = (world.runs(&name), world.has_vanished(&name));
        let deleted = events.iter().find(|event| event.kind == "pod.delete_requested").map(|event| event.at);
        for interval in intervals {
            let (start, end) = (interval.started_at, interval.ended_at.unwrap_or(interval.started_at));
            let ran =
                |(from, to): &(Timestamp, Option<Timestamp>)| *from <= start && to.is_none_or(|to| end <= to);
            // Until the delete is billed what nobody can tell any more by then: whether a machine that somebody
            // else has removed had ended before.
            let untold = deleted == Some(end) && vanished;
            if start < end && !runs.iter().any(ran) && !untold {
                return Err(format!("B3: {id} is billed for {start} to {end}, and ran {runs:?}"));
            }
        }
        let active = events.iter().find(|event| event.kind == "pod.active").map(|event| event.at);
        if intervals.first().map(|first| first.started_at) != active {
            return Err(format!("B3: {id} was ready {active:?} and is billed {intervals:?}"));
        }
        Ok(told)
    }

    /// Once more, when everything is over: what has ended never changes.
    pub(super) async fn last_check(&mut self) -> Result<(), String> {
        self.check_disk_rows(self.disks.keys()).await?;
        let mut tx = self.server.app.store.reader().await.map_err(rows)?;
        for (id, billed) in &self.book.ended {
            let intervals = tx.usage_list(&PodId::from_stored(id.clone())).await.map_err(rows)?;
            let now = total(&intervals, self.server.clock.now()).billed;
            if now != *billed {
                return Err(format!("B2: the bill of {id} was {billed:?} and is {now:?}"));
            }
        }
        Ok(())
    }

    /// Why things are not as they are wanted.
    pub(super) async fn restless(&mut self, lost: &[HostId]) -> Result<Option<String>, String> {
        let books = self.books().await?;
        for pod in &books.pods {
            if let Some(why) = restless(pod, lost.contains(&pod.host), self.server.gives_up()) {
                return Ok(Some(format!("{}: {why}", pod.id)));
            }
        }
        if let Some(why) = self.restless_disks(&books, lost) {
            return Ok(Some(why));
        }
        // What is left on a lost one is removed when it returns.
        for (host, world) in self.server.worlds.iter().filter(|(host, _)| !lost.contains(host)) {
            let (machines, volumes) = (world.machines().into_iter(), world.volumes().into_iter());
            let sight = Sight {
                machines: machines.map(|machine| (machine.spec.name.clone(), machine.phase)).collect(),
                volumes: volumes.map(|volume| volume.spec.name).collect(),
            };
            if let Some(found) = audit::between(&books, host, &sight).first() {
                return Ok(Some(format!("{}: {}: {}", found.invariant, found.of, found.text)));
            }
        }
        Ok(None)
    }
}

fn restless(pod: &Pod, is_lost: bool, gives_up: bool) -> Option<&'static str> {
    if is_lost {
        if pod.status() == PodStatus::Active && gives_up {
            return Some("it is ACTIVE on a host that is given up");
        }
        // Nothing can be confirmed; but nobody waits for an installation that will not come.
        return (pod.status() == PodStatus::Provisioning).then_some("it is neither ACTIVE nor ERROR");
    }
    if pod.desired == Desired::Gone {
        return Some("it is not gone");
    }
    if pod.failure.is_none() && pod.ready_at.is_none() {
        return Some("it is neither ACTIVE nor ERROR");
    }
    if pod.failure.is_some() && pod.placement.is_some() {
        return Some("it failed and holds its place");
    }
    match &pod.machine {
        Resource::Unknown { .. } => Some("its machine is unknown"),
        Resource::Absent if pod.failure.is_none() => Some("it is ACTIVE without a machine"),
        _ => None,
    }
}

/// Every change has left its event, once.
fn check_events(pod: &Pod, events: &[Event]) -> Result<(), String> {
    let id = &pod.id;
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    if events.iter().zip(1..).any(|(event, number)| event.seq != number) {
        return Err(format!("W1: the events of {id} have gaps: {events:?}"));
    }
    let due = [
        ("pod.created", 1),
        ("pod.delete_requested", 1),
        ("pod.terminated", 1),
        ("pod.active", usize::from(pod.ready_at.is_some())),
        ("pod.failed", usize::from(pod.failure.is_some())),
    ];
    for (kind, most) in due {
        if count(kind) != most {
            return Err(format!("P5: {id} has {} events {kind}, not {most}", count(kind)));
        }
    }
    Ok(())
}

//! The simulator: the real store, verbs, reconciler and sweep over a world full of faults, moved
//! by one seed, on one thread.
//!
//! First *safety*: users order and delete while calls fail, replies are lost, effects come late,
//! the engine goes away, the database refuses, clocks jump, and servers stand still or die at any
//! point, some of them beside a second server that works on the same rows; after every move the
//! invariants must hold. Then *liveness*: the faults stop, and everything must come to what is wanted
//! within a bound, with nothing left over.
//!
//! A seed is a list of moves, each of which draws its own chance: [`minimise`] leaves out what a
//! failure does not need.

mod check;
mod disks;
mod draw;
mod many;
mod minimise;
mod points;
mod servers;
mod users;

pub use many::{many, mutations, runtime};
pub use minimise::minimise;
pub use points::{Points, Trouble};

use crate::{Client, TestServer};
use check::Watchbook;
use draw::Draw;
use podbay_core::audit::Books;
use podbay_core::mutation::{self, Mutation};
use podbay_core::place::{GpuFact, HostFacts};
use podbay_core::published::{GpuType, Socket};
use podbay_core::{HostId, Timestamp};
use podbay_provider::fake::Swarm;
use podbay_server::config::WhenLost;
use servers::Servers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Moves of the safety phase.
const MOVES: u64 = 80;
/// Simulated time in which everything must have come to rest once faults have stopped. More than
/// the longest deadline of a pod, since an attempt may have begun just before. It counts from the latest time that
/// any clock has shown: after one has jumped back, deadlines that were set before are as much later.
const REST_MAX: Duration = Duration::from_secs(2 * 3600);
/// Between two sweeps of the second phase: longer than those of a server, so that what needs none is seen to.
const SWEEP: Duration = Duration::from_secs(60);
/// Calls to one world are fewer than this many bits count.
const CALL_BITS: u32 = 48;
/// Purposes of draws beside the moves, whose purpose is their number.
const FOR_SCENE: u64 = u64::MAX;
const FOR_TROUBLE: u64 = u64::MAX - 1;

/// What is left out of a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Moves, by number.
    pub moves: BTreeSet<u64>,
    /// Faults of the worlds, by the number of their call; see [`numbered`].
    pub faults: BTreeSet<u64>,
}

/// The number of a call among those of all worlds.
fn numbered(world: usize, call: u64) -> u64 {
    (world as u64) << CALL_BITS | call
}

/// What a run met.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Hosts in all of them.
    pub hosts: u64,
    /// Pods that were accepted.
    pub pods: u64,
    /// Pods that were ACTIVE at some check.
    pub active: u64,
    /// Pods of which everything was over and checked at the end.
    pub lifetimes: u64,
    /// Faults by kind, crashes and stand-stills among them.
    pub faults: BTreeMap<String, u64>,
    /// Checks of all invariants.
    pub checks: u64,
}

impl Summary {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.hosts += other.hosts;
        self.pods += other.pods;
        self.active += other.active;
        self.lifetimes += other.lifetimes;
        self.checks += other.checks;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind.clone()).or_insert(0) += count;
        }
    }

    fn met(&mut self, kind: &str, count: u64) {
        if count > 0 {
            *self.faults.entry(kind.to_owned()).or_insert(0) += count;
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let (seeds, pods, over, checks) = (self.seeds, self.pods, self.lifetimes, self.checks);
        let (hosts, active, faults) = (self.hosts, self.active, faults.join(", "));
        write!(
            f,
            "{seeds} seeds, {hosts} hosts, {pods} pods, {active} of them were ACTIVE and {over} have ended; "
        )?;
        write!(f, "faults: {faults}; ")?;
        write!(f, "{checks} checks of all invariants, violations 0")
    }
}

/// A run that found something.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Reproduces it.
    pub seed: u64,
    /// Number of the invariant and what was seen.
    pub what: String,
    /// The moves that led there.
    pub trace: Vec<String>,
    /// The moves that were made, by number.
    pub moves: Vec<u64>,
    /// The faults that were met, by the number of their call, and what they were.
    pub faults: BTreeMap<u64, String>,
}

impl Violation {
    /// The invariant's number.
    #[must_use]
    pub fn invariant(&self) -> &str {
        self.what.split(':').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        for (call, fault) in &self.faults {
            writeln!(f, "call {call} met {fault}")?;
        }
        writeln!(f, "{}", self.what)?;
        write!(f, "reproduce it with: cargo xtask sim --seed {}", self.seed)
    }
}

/// What a seed is like, beside its moves.
struct Scene {
    swarm: Swarm,
    trouble: Trouble,
    clock_jumps: bool,
    servers: u64,
    /// They know of each other, and share the work by leases.
    has_leases: bool,
    /// What each host has.
    hosts: Vec<HostFacts>,
    /// Hosts, by their number, that do not come back by themselves.
    lost: Vec<usize>,
    /// All that is on a lost host is ended by force before it comes back after all.
    is_forced: bool,
    /// The owner gives up a host after so many minutes.
    gives_up: Option<u32>,
}

impl Scene {
    fn drawn(seed: u64) -> Self {
        let mut draw = Draw::of(seed, FOR_SCENE);
        let trouble = Trouble { refused: draw.one_of([0, 0, 10, 40]), lost: draw.one_of([0, 0, 10, 40]) };
        let (clock_jumps, servers) = (draw.below(3) == 0, 1 + draw.below(2));
        let (is_lost, has_leases) = (draw.below(20) == 0, draw.below(3) == 0);
        let more = if has_leases { draw.below(2) } else { 0 };
        let (swarm, servers) = (Swarm::drawn(seed), servers + more);
        let (is_forced, patience) = (draw.below(2) == 0, 2 + draw.below(12) as u32);
        let gives_up = (draw.below(2) == 0).then_some(patience);
        let hosts = Self::hosts(&mut draw);
        let lost = match (is_lost, draw.below(2)) {
            (true, 0) => (0..hosts.len()).collect(),
            (true, _) => vec![draw.below(hosts.len() as u64) as usize],
            _ => Vec::new(),
        };
        Self { swarm, trouble, clock_jumps, servers, has_leases, hosts, lost, is_forced, gives_up }
    }

    /// One that has room for all, or up to fifty smaller ones, some with GPUs.
    fn hosts(draw: &mut Draw) -> Vec<HostFacts> {
        let count = match draw.below(16) {
            0..=7 => return vec![crate::facts()],
            8..=13 => 2 + draw.below(3),
            14 => 5 + draw.below(8),
            _ => 13 + draw.below(38),
        };
        let gpu = |host, index| GpuFact {
            uuid: format!("GPU-{host}-{index}"),
            index,
            gpu_type: GpuType::H100,
            memory_gb: 80,
            socket: Socket::Sxm5,
        };
        let mut host = |number| HostFacts {
            vcpus: 1 + draw.below(64) as u32,
            memory_gb: 4 + draw.below(252) as u32,
            disk_gb: 20 + draw.below(1600) as u32,
            gpus: (0..draw.one_of([0, 1, 2, 4, 8])).map(|index| gpu(number, index)).collect(),
            ..crate::facts()
        };
        (0..count).map(&mut host).collect()
    }

    /// Faults of a world; each has its own.
    fn swarm_of(&self, world: usize) -> Swarm {
        let seed = self.swarm.seed ^ (world as u64).wrapping_mul(0xA076_1D64_78BD_642F);
        Swarm { seed, ..self.swarm }
    }
}

struct Run {
    server: TestServer,
    servers: Servers,
    clock_jumps: bool,
    /// The latest time that there was.
    latest: Timestamp,
    /// Of the present move.
    draw: Draw,
    /// Pods that were accepted, and those that a lost answer has hidden from their users.
    pods: BTreeSet<String>,
    /// Disks that were accepted, and, once seen ready, which volume theirs is.
    disks: BTreeMap<String, Option<u64>>,
    /// Disks that have ended, and whose rows were there then.
    disks_over: BTreeSet<String>,
    book: Watchbook,
    /// The books as they were read last, and the version of the store before.
    kept: Option<(u64, Arc<Books>)>,
    trace: Vec<String>,
    moves: Vec<u64>,
    summary: Summary,
}

/// Runs one seed through both phases.
///
/// # Errors
/// The first violation, with the way to it.
pub async fn run(seed: u64) -> Result<Summary, Box<Violation>> {
    run_without(seed, &Without::default()).await
}

/// Runs what is left of a seed.
///
/// # Errors
/// As [`run`].
pub async fn run_without(seed: u64, without: &Without) -> Result<Summary, Box<Violation>> {
    let scene = Scene::drawn(seed);
    let configure = |config: &mut podbay_server::Config| {
        if let Some(minutes) = scene.gives_up {
            (config.engine.when_lost, config.engine.lost_after_minutes) = (WhenLost::Fail, minutes);
        }
    };
    let server = TestServer::in_memory(scene.hosts.clone(), configure).await;
    for (nth, (_, world)) in server.worlds.iter().enumerate() {
        let left_out = without.faults.range(numbered(nth, 0)..numbered(nth + 1, 0));
        let left_out = left_out.map(|number| number - numbered(nth, 0)).collect();
        world.swarm_without(scene.swarm_of(nth), left_out);
    }
    let servers = Servers::start(&server, &scene, seed).await;
    let mut run = Run {
        latest: server.clock.now(),
        server,
        servers,
        clock_jumps: scene.clock_jumps,
        draw: Draw::of(seed, 0),
        pods: BTreeSet::new(),
        disks: BTreeMap::new(),
        disks_over: BTreeSet::new(),
        book: Watchbook::default(),
        kept: None,
        trace: Vec::new(),
        moves: Vec::new(),
        summary: Summary::default(),
    };
    let found = match run.safety(seed, without).await {
        Ok(()) => run.liveness(&scene).await,
        found => found,
    };
    run.summary.seeds = 1;
    run.summary.pods = run.pods.len() as u64;
    (run.summary.active, run.summary.lifetimes) = (run.book.ready_count(), run.book.ended_count());
    let mut met = Vec::new();
    for (nth, (_, world)) in run.server.worlds.iter().enumerate() {
        met.extend(world.swarm_met().into_iter().map(|(call, on, fault)| (numbered(nth, call), on, fault)));
    }
    run.summary.hosts = run.server.worlds.len() as u64;
    for (_, _, fault) in &met {
        let kind = format!("{fault:?}");
        run.summary.met(kind.split([' ', '(']).next().unwrap_or_default(), 1);
    }
    // The worlds' own complaints are part of the invariants, and told with the seed.
    run.server.forgive();
    found.map(|()| run.summary).map_err(|what| {
        let faults = met.into_iter().map(|(number, call, fault)| (number, format!("{call:?}: {fault:?}")));
        let (trace, moves) = (run.trace, run.moves);
        Box::new(Violation { seed, what, trace, moves, faults: faults.collect() })
    })
}

/// Looks for a seed on which the simulator sees that bug, from 1 to `most`.
pub async fn caught(mutation: Mutation, most: u64) -> Option<Box<Violation>> {
    mutation::put_in_force(Some(mutation));
    let mut found = None;
    for seed in 1..=most {
        if let Err(violation) = run(seed).await {
            found = Some(violation);
            break;
        }
    }
    mutation::put_in_force(None);
    found
}

impl Run {
    /// A user, at one of the servers.
    async fn user(&mut self) -> Client {
        let name = self.draw.one_of(["ada", "eve"]);
        self.user_named(name).await
    }

    async fn user_named(&mut self, name: &str) -> Client {
        let client = self.server.user(name).await;
        client.through(self.servers.any(&mut self.draw))
    }

    /// A pod; half the time one of the youngest, with which most is going on. Ids begin with the time.
    fn pick(&mut self) -> Option<String> {
        let young = self.draw.below(2) == 0;
        let among = if young { self.pods.len().min(3) } else { self.pods.len() };
        let nth = self.draw.below(among as u64) as usize;
        self.pods.iter().nth_back(nth).cloned()
    }

    async fn safety(&mut self, seed: u64, without: &Without) -> Result<(), String> {
        for number in (1..=MOVES).filter(|number| !without.moves.contains(number)) {
            self.draw = Draw::of(seed, number);
            self.moves.push(number);
            let what = self.make_move().await;
            self.latest = self.latest.max(self.server.clock.now());
            let (now, what) = (self.server.clock.now(), what?);
            self.trace.push(format!("{number:3} {now} {what}"));
            self.check().await?;
        }
        Ok(())
    }

    async fn make_move(&mut self) -> Result<String, String> {
        match self.draw.below(35) {
            34 if self.draw.below(2) == 0 => self.vigil().await,
            34 => self.force_one().await,
            0..=5 => self.create().await,
            6..=8 => self.delete().await,
            9..=14 => {
                let passes = 1 + self.draw.below(24);
                for _ in 0..passes {
                    self.servers.pass(&mut self.draw).await;
                }
                Ok(format!("{passes} passes"))
            }
            15..=18 => {
                let longest = self.draw.one_of([1_000, 40_000, 40_000, 40_000, 600_000, 4_000_000]);
                let span = Duration::from_millis(self.draw.below(longest));
                self.server.clock.advance(span);
                Ok(format!("{span:?} pass"))
            }
            19 if self.clock_jumps => {
                let jump = self.draw.below(7_200_000) as i64 - 3_600_000;
                let now = self.server.clock.now().as_millis();
                self.latest = self.latest.max(self.server.clock.now());
                self.server.clock.set(Timestamp::from_millis(now + jump));
                Ok(format!("the clock jumps {jump} ms"))
            }
            19..=20 => Ok(self.servers.sweep(&mut self.draw).await),
            21..=22 => self.crash().await,
            23..=25 => Ok(self.stand_still().await),
            26 => self.insist().await,
            27..=28 => self.disk_create().await,
            29 => self.disk_change().await,
            30 => self.revoke().await,
            31 => self.plague().await,
            32 => self.change_of_mind().await,
            _ => self.look().await,
        }
    }

    /// The faults stop; everything must come to rest, and nothing be left.
    async fn liveness(&mut self, scene: &Scene) -> Result<(), String> {
        self.summary.met("Crash", self.servers.crashes);
        self.summary.met("StandStill", self.servers.stand_stills);
        self.summary.met("LeaseOver", self.servers.leases_over);
        let (refused, lost) = self.servers.troubles();
        self.summary.met("WriteRefused", refused);
        self.summary.met("WriteAnswerLost", lost);
        self.check_marks().await?;
        self.servers.end();
        self.server.worlds.iter().for_each(|(_, world)| world.calm());
        let lost = scene.lost.iter().map(|nth| &self.server.worlds[*nth]);
        lost.clone().for_each(|(_, world)| world.host_gone(Timestamp::from_millis(i64::MAX)));
        let lost: Vec<HostId> = lost.map(|(id, _)| id.clone()).collect();
        self.summary.met("HostLost", lost.len() as u64);
        // With leases, those of the dead have to run out.
        self.server.share = self.servers.share();
        self.server.restart().await;
        // A database that was opened again counts from the beginning.
        self.kept = None;
        self.come_to_rest(&lost).await?;
        if !lost.is_empty() {
            if scene.is_forced {
                self.force(&lost).await?;
            }
            // They come back after all.
            self.server.worlds.iter().for_each(|(_, world)| world.calm());
            self.come_to_rest(&[]).await?;
        }
        self.settle_forced().await?;
        self.check_marks().await?;
        self.clear().await?;
        self.last_check().await
    }

    fn rest_end(&self) -> Timestamp {
        self.latest.max(self.server.clock.now()).plus(REST_MAX)
    }

    async fn come_to_rest(&mut self, lost: &[HostId]) -> Result<(), String> {
        let end = self.rest_end();
        loop {
            self.server.advance(SWEEP).await;
            self.server.sweep().await;
            self.check().await?;
            match self.restless(lost).await? {
                None => return Ok(()),
                Some(why) if self.server.clock.now() > end => return Err(format!("L1: {why}")),
                Some(_) => {}
            }
        }
    }

    /// What was ended by force gives its place back once the host shows that nothing of it is left.
    async fn settle_forced(&mut self) -> Result<(), String> {
        let end = self.rest_end();
        while self.forced().await? > 0 {
            if self.server.clock.now() > end {
                return Err("P6: what was ended by force still holds its place".into());
            }
            self.server.advance(SWEEP).await;
            self.server.sweep().await;
            self.check().await?;
        }
        Ok(())
    }

    /// Users delete all that they have, and nothing is left.
    async fn clear(&mut self) -> Result<(), String> {
        self.server.clear().await;
        let end = self.rest_end();
        loop {
            self.server.advance(SWEEP).await;
            self.server.sweep().await;
            self.check().await?;
            let worlds = self.server.worlds.iter().map(|(_, world)| world);
            let machines: Vec<_> = worlds.clone().flat_map(|world| world.machines()).collect();
            let volumes: Vec<_> = worlds.clone().flat_map(|world| world.volumes()).collect();
            let is_over = worlds.clone().all(|world| world.next_due().is_none());
            if machines.is_empty() && volumes.is_empty() && is_over {
                break;
            }
            if self.server.clock.now() > end {
                let names: Vec<_> = machines.iter().map(|machine| &machine.spec.name).collect();
                return Err(format!("P4: everything was deleted, and left are {names:?} and {volumes:?}"));
            }
        }
        if self.book.ended_count() < self.pods.len() as u64 {
            return Err("L1: everything was deleted, and not all has ended".into());
        }
        Ok(())
    }
}

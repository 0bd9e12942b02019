//! The simulator: the real store, verbs, reconciler and sweep over a world full of faults, moved
//! by one seed.
//!
//! First *safety*: users order and delete while calls fail, replies are lost, effects come late,
//! the engine goes away, clocks jump, and the server is dropped in the middle of a pass, at any
//! point where it waits; after every move the invariants must hold. Then *liveness*: the faults
//! stop, and everything must come to what is wanted within a bound, with nothing left over.
//!
//! A crash is a future that is polled a drawn number of times and dropped, and a server that is
//! built anew on the same database and the same world.

mod disks;

use crate::{Client, TestServer};
use podbay_core::pod::{Desired, Pod, Resource};
use podbay_core::usage::Interval;
use podbay_core::{PodId, Timestamp};
use podbay_provider::fake::Swarm;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Moves of the safety phase.
const MOVES: u64 = 60;
/// Simulated time in which everything must have come to rest once faults have stopped. More than
/// the longest deadline of a pod, since an attempt may have begun just before.
const REST_MAX: Duration = Duration::from_secs(2 * 3600);
/// Between two sweeps of the second phase.
const SWEEP: Duration = Duration::from_secs(15);

/// What a run met.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Pods that were accepted.
    pub pods: u64,
    /// Servers that were dropped in the middle of something.
    pub crashes: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Checks of all invariants.
    pub checks: u64,
}

impl Summary {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.pods += other.pods;
        self.crashes += other.crashes;
        self.checks += other.checks;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind.clone()).or_insert(0) += count;
        }
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
}

struct Run {
    server: TestServer,
    draw: Draw,
    accepted: BTreeSet<String>,
    /// Disks that were accepted, and, once seen ready, which volume theirs is.
    disks: BTreeMap<String, Option<u64>>,
    trace: Vec<String>,
    summary: Summary,
}

/// splitmix64
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most.max(1)
    }
}

/// Runs one seed through both phases.
///
/// # Errors
/// The first violation, with the way to it.
pub async fn run(seed: u64) -> Result<Summary, Box<Violation>> {
    let server = TestServer::new().await;
    server.world.swarm(Swarm::drawn(seed));
    let mut run = Run {
        server,
        draw: Draw(seed),
        accepted: BTreeSet::new(),
        disks: BTreeMap::new(),
        trace: Vec::new(),
        summary: Summary::default(),
    };
    let found = match run.safety().await {
        Ok(()) => run.liveness().await,
        found => found,
    };
    run.summary.seeds = 1;
    run.summary.pods = run.accepted.len() as u64;
    for seen in run.server.world.seen() {
        if let Some(fault) = seen.fault {
            let kind = format!("{fault:?}");
            let kind = kind.split([' ', '(']).next().unwrap_or_default().to_owned();
            *run.summary.faults.entry(kind).or_insert(0) += 1;
        }
    }
    // The world's own complaints are part of the invariants, and told with the seed.
    run.server.forgive();
    found.map(|()| run.summary).map_err(|what| Box::new(Violation { seed, what, trace: run.trace }))
}

impl Run {
    async fn user(&mut self) -> Client {
        let name = ["ada", "eve"][self.draw.below(2) as usize];
        self.server.user(name).await
    }

    fn pick(&mut self) -> Option<String> {
        let nth = self.draw.below(self.accepted.len() as u64) as usize;
        self.accepted.iter().nth(nth).cloned()
    }

    async fn safety(&mut self) -> Result<(), String> {
        for _ in 0..MOVES {
            let what = self.make_move().await?;
            self.trace.push(format!("{} {what}", self.server.clock.now()));
            self.check().await?;
        }
        Ok(())
    }

    async fn make_move(&mut self) -> Result<String, String> {
        match self.draw.below(23) {
            0..=4 => self.create().await,
            5..=6 => self.delete().await,
            7..=11 => {
                let passes = 1 + self.draw.below(8);
                for _ in 0..passes {
                    self.server.app.driver.step(&self.server.app).await;
                }
                Ok(format!("{passes} passes"))
            }
            12..=14 => {
                let span = Duration::from_millis(self.draw.below(40_000));
                self.server.clock.advance(span);
                Ok(format!("{span:?} pass"))
            }
            15 => {
                let jump = self.draw.below(7_200_000) as i64 - 3_600_000;
                let now = self.server.clock.now().as_millis();
                self.server.clock.set(Timestamp::from_millis(now + jump));
                Ok(format!("the clock jumps {jump} ms"))
            }
            16 => Ok(format!("{:?}", podbay_server::reconcile::sweep::sweep(&self.server.app).await)),
            17 => self.crash().await,
            18 => self.insist().await,
            19..=20 => self.disk_create().await,
            21 => self.disk_change().await,
            _ => self.look().await,
        }
    }

    async fn create(&mut self) -> Result<String, String> {
        let mut order = TestServer::order();
        order["pod"]["autoRestart"] = (self.draw.below(3) == 0).into();
        if let Some(disk) = self.pick_disk().filter(|_| self.draw.below(2) == 0) {
            order["disks"] = serde_json::json!([disk]);
        }
        let reply = self.user().await.post("/api/v1/pods", &order).await;
        match reply.status.as_u16() {
            200 => {
                let id = reply.json["id"].as_str().unwrap_or_default().to_owned();
                let told = format!("create {id}");
                self.accepted.insert(id);
                Ok(told)
            }
            // 422: somebody else's disk, or one that is gone.
            409 | 422 | 503 => Ok(format!("create refused: {}", reply.json)),
            _ => Err(format!("a create was answered {}: {}", reply.status, reply.json)),
        }
    }

    async fn delete(&mut self) -> Result<String, String> {
        let Some(id) = self.pick() else { return Ok("nothing to delete".into()) };
        let reply = self.user().await.delete(&format!("/api/v1/pods/{id}")).await;
        match reply.status.as_u16() {
            // 404: somebody else's, or gone already.
            200 | 404 | 503 => Ok(format!("delete {id}: {}", reply.status)),
            _ => Err(format!("a delete was answered {}: {}", reply.status, reply.json)),
        }
    }

    /// An order with a key, the answer to which is lost in a crash; then the same order until it is
    /// answered, twice.
    async fn insist(&mut self) -> Result<String, String> {
        let name = ["ada", "eve"][self.draw.below(2) as usize];
        let key = format!("insist-{}", self.summary.checks);
        let mut order = TestServer::order();
        order["pod"]["name"] = key.as_str().into();
        let polls = self.draw.below(8);
        let lost = self.server.user(name).await.once(&key);
        abandon(lost.post("/api/v1/pods", &order), polls).await;
        self.server.restart().await;
        self.summary.crashes += 1;
        let user = self.server.user(name).await;
        let client = user.once(&key);
        let (one, other) = (client.post("/api/v1/pods", &order), client.post("/api/v1/pods", &order));
        let (one, other) = tokio::join!(one, other);
        let last = client.post("/api/v1/pods", &order).await;
        if last.status.is_server_error() {
            return Ok(format!("insisted in vain: {}", last.json));
        }
        for reply in [one, other].iter().filter(|reply| reply.status == 200) {
            if reply.text != last.text {
                return Err(format!("P1: {key} has two answers: {} and {}", reply.json, last.json));
            }
        }
        let page = user.get("/api/v1/pods?limit=1000").await.json;
        let made: Vec<_> =
            page["data"].as_array().into_iter().flatten().filter(|pod| pod["name"] == *key).collect();
        match (last.status.as_u16(), &made[..]) {
            (200, [pod]) if pod["id"] == last.json["id"] => {
                self.accepted.insert(pod["id"].as_str().unwrap_or_default().to_owned());
                Ok(format!("insisted, lost after waiting {polls} times: {}", pod["id"]))
            }
            (409, []) => Ok(format!("insisted in vain: {}", last.json)),
            _ => Err(format!("P1: {key} was answered {} and has made {made:?}", last.json)),
        }
    }

    /// Drops the server after it has waited a drawn number of times within a pass.
    async fn crash(&mut self) -> Result<String, String> {
        let polls = self.draw.below(14);
        let app = self.server.app.clone();
        abandon(async move { app.driver.step(&app).await }, polls).await;
        self.server.restart().await;
        self.summary.crashes += 1;
        Ok(format!("crash after waiting {polls} times"))
    }

    /// What a client sees must make sense at any time.
    async fn look(&mut self) -> Result<String, String> {
        let page = self.user().await.get("/api/v1/pods?limit=1000").await;
        if page.status != 200 {
            return Err(format!("a list was answered {}: {}", page.status, page.json));
        }
        for pod in page.json["data"].as_array().into_iter().flatten() {
            let status = pod["status"].as_str().unwrap_or_default();
            let reachable = !pod["sshConnection"].is_null() && !pod["ip"].is_null();
            if (status == "ACTIVE") != reachable {
                return Err(format!("W: {status} and reachable {reachable}: {pod}"));
            }
            if status == "ERROR" && pod["installationFailure"].is_null() {
                return Err(format!("W: ERROR without a reason: {pod}"));
            }
        }
        Ok("look".into())
    }

    /// Every row and every machine, against the invariants.
    async fn check(&mut self) -> Result<(), String> {
        self.summary.checks += 1;
        let violations = self.server.world.violations();
        if !violations.is_empty() {
            return Err(violations.join("; "));
        }
        let pods = self.pods().await?;
        for id in &self.accepted {
            let Some((pod, intervals)) = pods.get(id) else {
                return Err(format!("P2: the accepted pod {id} has no row"));
            };
            self.check_pod(pod, intervals)?;
        }
        let disks_gb = self.check_disks().await?;
        self.check_places(pods.values().map(|(pod, _)| pod), disks_gb).await
    }

    async fn pods(&self) -> Result<BTreeMap<String, (Pod, Vec<Interval>)>, String> {
        let error = |error: podbay_store::StoreError| format!("rows: {error}");
        let mut tx = self.server.app.store.reader().await.map_err(error)?;
        let mut pods = BTreeMap::new();
        for text in &self.accepted {
            let id = PodId::from_stored(text.clone());
            if let Some(pod) = tx.pod_get(&id).await.map_err(error)? {
                pods.insert(text.clone(), (pod, tx.usage_list(&id).await.map_err(error)?));
            }
        }
        Ok(pods)
    }

    fn check_pod(&self, pod: &Pod, intervals: &[Interval]) -> Result<(), String> {
        let id = &pod.id;
        let open = intervals.iter().filter(|interval| interval.ended_at.is_none()).count();
        let ends = pod.desired == Desired::Gone || pod.failure.is_some() || pod.ready_at.is_none();
        if open > 0 && ends {
            return Err(format!("B3: {id} is billed though it is {:?}", pod.status()));
        }
        if open > 1 || intervals.windows(2).any(|pair| pair[0].ended_at.is_none()) {
            return Err(format!("B1: intervals of {id} overlap: {intervals:?}"));
        }
        if pod.terminated_at.is_some() {
            let left = self.server.world.machines_of(id);
            // A create that the engine still had in its queue may land late: the sweep has it.
            if left.iter().any(|machine| !machine.late) {
                return Err(format!("P3: {id} is TERMINATED and has machines: {left:?}"));
            }
        }
        if pod.terminated_at.is_some() && pod.placement.is_some() {
            return Err(format!("A2: {id} is TERMINATED and holds {:?}", pod.placement));
        }
        Ok(())
    }

    async fn check_places<'p>(
        &self,
        pods: impl Iterator<Item = &'p Pod>,
        disks_gb: u32,
    ) -> Result<(), String> {
        let error = |error: podbay_store::StoreError| format!("rows: {error}");
        let mut tx = self.server.app.store.reader().await.map_err(error)?;
        let facts = tx.host_get(&self.server.app.host).await.map_err(error)?.unwrap_or_default();
        let free = tx.host_free(&self.server.app.host).await.map_err(error)?.unwrap_or_default();
        let held: Vec<&Pod> = pods.filter(|pod| pod.placement.is_some()).collect();
        let vcpus: u32 = held.iter().map(|pod| pod.spec.vcpus).sum();
        let memory: u32 = held.iter().map(|pod| pod.spec.memory_gb).sum();
        let disk = disks_gb + held.iter().map(|pod| pod.spec.disk_gb).sum::<u32>();
        let sums = (vcpus + free.vcpus, memory + free.memory_gb, disk + free.disk_gb);
        if sums != (facts.vcpus, facts.memory_gb, facts.disk_gb) {
            let free = free.describe();
            return Err(format!("A2: {vcpus} vCPU, {memory} GB, {disk} GB disk are held, {free} are free"));
        }
        let ports = tx.port_list(&self.server.app.host).await.map_err(error)?;
        let stray = ports.iter().find(|(_, _, owner)| held.iter().all(|pod| pod.id != *owner));
        match stray {
            Some((port, _, owner)) => Err(format!("A2: port {port} is held by {owner}, which holds nothing")),
            None => Ok(()),
        }
    }

    /// The faults stop; everything must come to rest, and nothing be left.
    async fn liveness(&mut self) -> Result<(), String> {
        self.server.world.calm();
        self.server.restart().await;
        let end = self.server.clock.now().plus(REST_MAX);
        loop {
            self.server.advance(SWEEP).await;
            self.server.sweep().await;
            self.check().await?;
            match self.restless().await? {
                None => return Ok(()),
                Some(why) if self.server.clock.now() > end => return Err(format!("L1: {why}")),
                Some(_) => {}
            }
        }
    }

    /// Why things are not as they are wanted.
    async fn restless(&self) -> Result<Option<String>, String> {
        let pods = self.pods().await?;
        let mut wanted = BTreeSet::new();
        for (pod, _) in pods.values().filter(|(pod, _)| pod.terminated_at.is_none()) {
            if pod.desired == Desired::Gone {
                return Ok(Some(format!("{} is not gone", pod.id)));
            }
            if pod.failure.is_none() && pod.ready_at.is_none() {
                return Ok(Some(format!("{} is neither ACTIVE nor ERROR", pod.id)));
            }
            if pod.failure.is_some() && pod.placement.is_some() {
                return Ok(Some(format!("{} failed and holds its place", pod.id)));
            }
            match &pod.machine {
                Resource::Unknown { .. } => return Ok(Some(format!("the machine of {} is unknown", pod.id))),
                Resource::Present(_) => {
                    wanted.insert(pod.machine_name());
                }
                Resource::Absent if pod.failure.is_none() => {
                    return Ok(Some(format!("{} is ACTIVE without a machine", pod.id)));
                }
                Resource::Absent => {}
            }
        }
        if let Some(why) = self.restless_disks().await? {
            return Ok(Some(why));
        }
        let have: BTreeSet<String> =
            self.server.world.machines().iter().map(|machine| machine.spec.name.clone()).collect();
        Ok((have != wanted).then(|| format!("P4: machines {have:?}, rows want {wanted:?}")))
    }
}

/// Drops a future once it has waited so many times.
async fn abandon<T>(future: impl Future<Output = T>, polls: u64) {
    let mut future = pin!(future);
    let mut waited = 0;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending if waited >= polls => Poll::Ready(()),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await;
}

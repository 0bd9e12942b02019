//! Who is worked on, and when: a queue with one flight per pod and per disk.

use super::pass::{self, Next};
use crate::app::App;
use podbay_core::pod::View;
use podbay_core::{Subject, Timestamp, limits};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The queue. It holds hints only and may be lost at any time: [`Driver::wake_all`] at start
/// rebuilds it from the rows.
pub struct Driver {
    queue: Mutex<Queue>,
    work: Notify,
    /// Permits for steps, but those that wait for a registry or for SSH.
    pub(super) slots: Semaphore,
    /// Permits for image fetches.
    pub(super) fetches: Semaphore,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            work: Notify::new(),
            slots: Semaphore::new(limits::STEPS_PARALLEL_MAX),
            fetches: Semaphore::new(limits::FETCHES_PARALLEL_MAX),
        }
    }
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Subject>,
    queued: HashSet<Subject>,
    suspects: HashSet<Subject>,
    delayed: BTreeSet<(Timestamp, Subject)>,
    delay_of: HashMap<Subject, Timestamp>,
    flights: HashMap<Subject, Arc<Flight>>,
    again: HashSet<Subject>,
}

/// A pass that runs now.
#[derive(Default)]
pub struct Flight {
    /// Told when the user has changed their mind: long steps are given up.
    pub changed: Notify,
}

impl Queue {
    fn push(&mut self, id: &Subject) {
        if let Some(at) = self.delay_of.remove(id) {
            self.delayed.remove(&(at, id.clone()));
        }
        if self.flights.contains_key(id) {
            self.again.insert(id.clone());
        } else if self.queued.insert(id.clone()) {
            self.ready.push_back(id.clone());
        }
    }

    fn delay(&mut self, id: &Subject, until: Timestamp) {
        if let Some(at) = self.delay_of.insert(id.clone(), until) {
            self.delayed.remove(&(at, id.clone()));
        }
        self.delayed.insert((until, id.clone()));
    }

    fn release_due(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.delayed.first().filter(|(at, _)| *at <= now).cloned() {
            self.push(&id);
        }
        // A wait that is longer than any began before the clock jumped back: the plan says what now.
        while let Some((_, id)) =
            self.delayed.last().filter(|(at, _)| at.since(now) > limits::BACKOFF_MAX).cloned()
        {
            self.push(&id);
        }
    }

    fn take(&mut self, now: Timestamp) -> Option<(Subject, View, Arc<Flight>)> {
        self.release_due(now);
        let id = self.ready.pop_front()?;
        self.queued.remove(&id);
        let view = View { suspect: self.suspects.remove(&id), lost: None };
        let flight = Arc::new(Flight::default());
        self.flights.insert(id.clone(), flight.clone());
        Some((id, view, flight))
    }

    fn finish(&mut self, id: &Subject, next: Next) {
        self.flights.remove(id);
        let again = self.again.remove(id);
        match next {
            _ if again => self.push(id),
            Next::At(until) => self.delay(id, until),
            Next::Again => self.push(id),
            Next::Idle => {}
        }
    }
}

impl Driver {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit for a step, and whether it had to be waited for.
    pub(super) async fn slot(&self) -> (Option<SemaphorePermit<'_>>, bool) {
        match self.slots.try_acquire() {
            Ok(slot) => (Some(slot), false),
            Err(_) => (self.slots.acquire().await.ok(), true),
        }
    }

    /// Something about this pod or disk may have changed.
    pub fn wake(&self, id: impl Into<Subject>) {
        self.lock().push(&id.into());
        self.work.notify_one();
    }

    /// The user changed their mind about it: a long step under way is given up.
    pub fn wake_changed(&self, id: impl Into<Subject>) {
        let id = id.into();
        let mut queue = self.lock();
        if let Some(flight) = queue.flights.get(&id) {
            flight.changed.notify_one();
        }
        queue.push(&id);
        drop(queue);
        self.work.notify_one();
    }

    /// Its machine or volume was seen to differ from its row.
    pub fn wake_suspect(&self, id: impl Into<Subject>) {
        let id = id.into();
        let mut queue = self.lock();
        queue.push(&id);
        queue.suspects.insert(id);
        drop(queue);
        self.work.notify_one();
    }

    /// Queues every live pod and disk: what a start does.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn wake_all(&self, app: &App) -> Result<usize, podbay_store::StoreError> {
        let mut tx = app.store.reader().await?;
        let disks = tx.disk_live_ids().await?;
        let pods = tx.pod_live_ids().await?;
        let mut ids: Vec<Subject> = disks.iter().map(Subject::from).collect();
        ids.extend(pods.iter().map(|(id, _)| Subject::from(id)));
        let mut queue = self.lock();
        for id in &ids {
            // What happened while nobody looked is unknown.
            queue.suspects.insert(id.clone());
            queue.push(id);
        }
        drop(queue);
        self.work.notify_one();
        Ok(ids.len())
    }

    /// When the next one that waits is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().delayed.first().map(|(at, _)| *at)
    }

    /// Runs one pass of one that is due, to its end; whether there was one. For tests and the
    /// simulator, which move by hand.
    pub async fn step(&self, app: &App) -> bool {
        let Some((id, view, flight)) = self.lock().take(app.now()) else { return false };
        let next = pass::run(app, &id, view, &flight).await;
        self.lock().finish(&id, next);
        true
    }

    /// Works for ever, on several at a time.
    pub async fn run(app: Arc<App>) {
        let mut running = tokio::task::JoinSet::new();
        loop {
            while running.len() < limits::RECONCILE_PARALLEL_MAX {
                let Some((id, view, flight)) = app.driver.lock().take(app.now()) else { break };
                let app = app.clone();
                running.spawn(async move {
                    let next = pass::run(&app, &id, view, &flight).await;
                    app.driver.lock().finish(&id, next);
                });
            }
            let due = app.driver.next_due().map(|at| at.since(app.now()));
            // A long back-off is looked at again in between: the clock may jump.
            let wait = due
                .unwrap_or(Duration::from_secs(3600))
                .clamp(Duration::from_millis(1), Duration::from_secs(5));
            let full = running.len() >= limits::RECONCILE_PARALLEL_MAX;
            tokio::select! {
                Some(ended) = running.join_next() => report_panic(&app, ended),
                () = app.driver.work.notified() => {}
                () = tokio::time::sleep(wait), if !full => {}
            }
        }
    }
}

/// A pass that panicked is a defect; what it was about is picked up again by the sweep.
fn report_panic(app: &App, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a reconcile pass panicked");
        let mut queue = app.driver.lock();
        let lost: Vec<Subject> = queue
            .flights
            .iter()
            .filter(|(_, flight)| Arc::strong_count(flight) == 1)
            .map(|(id, _)| id.clone())
            .collect();
        for id in lost {
            queue.finish(&id, Next::At(app.now().plus(limits::BACKOFF_MAX)));
        }
    }
}

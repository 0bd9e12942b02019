//! Many runs at a time: a thread for each core, and each thread kept on its core.
//!
//! A run is one thread, which the kernel would move from core to core otherwise, away from what is in their caches.

use super::{Summary, Violation, caught, run};
use crate::database;
use podbay_core::mutation::Mutation;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs seeds until there are none any more; what they met.
///
/// # Errors
/// The first violation that was found.
pub fn many(seeds: impl Iterator<Item = u64> + Send) -> Result<Summary, Box<Violation>> {
    let (found, summary) = (Mutex::new(None), Mutex::new(Summary::default()));
    let is_over = AtomicBool::new(false);
    on_every_core(seeds.take_while(|_| !is_over.load(Ordering::SeqCst)), async |seed| {
        match run(seed).await {
            Ok(met) => lock(&summary).add(&met),
            Err(violation) => {
                is_over.store(true, Ordering::SeqCst);
                lock(&found).get_or_insert(violation);
            }
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.map_or_else(|| Ok(lock(&summary).clone()), Err)
}

/// Looks for a seed on which the simulator sees each deliberate bug, from 1 to `most`.
#[must_use]
pub fn mutations(most: u64) -> Vec<(Mutation, Option<Box<Violation>>)> {
    let seen = Mutex::new(Vec::new());
    on_every_core(Mutation::ALL.into_iter(), async |mutation| {
        let found = caught(mutation, most).await;
        lock(&seen).push((mutation, found));
    });
    seen.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn on_every_core<T: Send>(tasks: impl Iterator<Item = T> + Send, work: impl AsyncFn(T) + Sync) {
    let cores: Vec<usize> = match sched_getaffinity(None) {
        Ok(allowed) => (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect(),
        Err(_) => vec![0],
    };
    let (tasks, work) = (Mutex::new(tasks), &work);
    std::thread::scope(|scope| {
        for core in cores {
            let tasks = &tasks;
            scope.spawn(move || {
                let mut only = CpuSet::new();
                only.set(core);
                // Without it everything is slower and nothing else.
                let _ = sched_setaffinity(None, &only);
                let runtime = runtime().expect("a runtime");
                loop {
                    let Some(task) = lock(tasks).next() else { break };
                    runtime.block_on(work(task));
                }
            });
        }
    });
}

/// A runtime of one thread. Where nothing can arrive from outside it does not look for that, which is a call of the
/// kernel again and again.
///
/// # Errors
/// The machine has no descriptor left.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if database::postgres().is_some() {
        builder.enable_io();
    }
    builder.enable_time().build()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! SSH keys of running pods: written anew whenever an account's keys, a team's members or a pod
//! change.
//!
//! Level-triggered: what is written is the whole list as the rows have it now, to every machine
//! that the change concerns now. A write that fails leaves its pod marked and is done again.

use crate::app::{App, Error, KeysOf};
use crate::reconcile::files;
use podbay_core::PodId;
use podbay_core::pod::machine_name;
use podbay_provider::File;
use podbay_store::Door;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Pods whose keys are read together: who has many pods has the same keys in most of them.
const READ_TOGETHER: usize = 64;
/// A change is to be in the pods by then, however many they are, as long as the machine can do it at all.
const WITHIN: Duration = Duration::from_secs(1);
/// Longest rest after all that was marked has been served.
const REST_MAX: Duration = Duration::from_millis(500);
/// How much longer than its work the task rests, up to that.
const REST: u32 = 40;
/// A rest between two pieces of work. Who is woken on a core on which this works waits until its turn is over,
/// some milliseconds, even if another core is idle: so a turn has to be short.
const BREATH: Duration = Duration::from_millis(1);

/// Pods served and marks left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distributed {
    /// Pods that have the present keys.
    pub done: usize,
    /// Marks that must be looked at again.
    pub left: usize,
}

/// Serves everything that is marked once.
pub async fn distribute(app: &App) -> Distributed {
    let marked = app.keys_dirty.lock().map(|mut dirty| std::mem::take(&mut *dirty)).unwrap_or_default();
    let (mut done, mut left) = (0, Vec::new());
    let mut pods: BTreeSet<PodId> = BTreeSet::new();
    for mark in marked {
        match concerned(app, &mark).await {
            Ok(found) => pods.extend(found),
            Err(error) => {
                tracing::warn!(?mark, cause = ?error, "SSH keys");
                left.push(mark);
            }
        }
    }
    let pods: Vec<PodId> = pods.into_iter().collect();
    for (nth, some) in pods.chunks(READ_TOGETHER).enumerate() {
        if nth > 0 {
            tokio::time::sleep(BREATH).await;
        }
        let doors = match doors(app, some).await {
            Ok(doors) => doors,
            Err(error) => {
                tracing::warn!(pods = some.len(), cause = ?error, "SSH keys");
                left.extend(some.iter().cloned().map(KeysOf::Pod));
                continue;
            }
        };
        // One pod that cannot be reached must not keep a revoked key in the others.
        for (pod, served) in doors.iter().zip(serve(app, &doors).await) {
            match served {
                Ok(()) => done += 1,
                Err(error) => {
                    tracing::warn!(pod = %pod.id, cause = ?error, "SSH keys");
                    left.push(KeysOf::Pod(pod.id.clone()));
                }
            }
        }
    }
    let result = Distributed { done, left: left.len() };
    if let Ok(mut dirty) = app.keys_dirty.lock() {
        dirty.extend(left);
    }
    result
}

/// The live pods that a mark concerns. Only their ids: an account may have a thousand.
async fn concerned(app: &App, mark: &KeysOf) -> Result<Vec<PodId>, Error> {
    Ok(match mark {
        KeysOf::Pod(id) => vec![id.clone()],
        KeysOf::User(user) => app.store.reader().await?.pod_ids_of_user(user).await?,
        KeysOf::Team(team) => app.store.reader().await?.pod_ids_of_team(team).await?,
    })
}

/// What decides about the keys of those of these pods that have a machine.
async fn doors(app: &App, ids: &[PodId]) -> Result<Vec<Door>, Error> {
    let mut doors = app.store.reader().await?.pod_doors(ids).await?;
    doors.retain(|pod| pod.has_machine);
    Ok(doors)
}

/// Writes the keys of those pods. Where other servers write, too, until what was written is what the rows say
/// now: another one may have written what it had read before.
async fn serve(app: &App, pods: &[Door]) -> Vec<Result<(), Error>> {
    let mut served: Vec<Result<(), Error>> = pods.iter().map(|_| Ok(())).collect();
    let mut written: Vec<Option<File>> = pods.iter().map(|_| None).collect();
    loop {
        let files = match files::authorized_keys(app, pods).await {
            Ok(files) => files,
            Err(error) => {
                let failed = |_| Err(Error::Unavailable(error.to_string()));
                return pods.iter().map(failed).collect();
            }
        };
        let mut is_done = true;
        for (nth, file) in files.into_iter().enumerate() {
            if written[nth].as_ref() == Some(&file) {
                continue;
            }
            let name = machine_name(&pods[nth].id, pods[nth].attempt);
            served[nth] = match app.host(&pods[nth].host) {
                Ok(host) => {
                    let put = host.provider.files_put(&name, std::slice::from_ref(&file)).await;
                    put.map_err(|error| Error::Unavailable(error.to_string()))
                }
                Err(unknown) => Err(unknown),
            };
            written[nth] = Some(file);
            is_done = false;
        }
        if is_done || app.lease.is_none() {
            return served;
        }
    }
}

/// How long to rest after so much work. A change that comes right after a round has read the rows waits for it,
/// for the rest, and for the next round.
fn rest(worked: Duration) -> Duration {
    (worked * REST).min(REST_MAX).min(WITHIN.saturating_sub(2 * worked))
}

/// Serves for ever, woken by changes. After each time it rests for longer than that took: an account with a
/// thousand pods whose keys change all the time must not be all that this machine does.
pub async fn run(app: Arc<App>) {
    loop {
        let changed = app.keys_changed.notified();
        let begin = tokio::time::Instant::now();
        let left = distribute(&app).await.left;
        tokio::time::sleep(rest(begin.elapsed())).await;
        if left > 0 {
            // What is new need not wait for what has failed.
            let _ = tokio::time::timeout(Duration::from_secs(1), changed).await;
        } else {
            changed.await;
        }
    }
}

//! SSH keys of running pods: written anew whenever an account's keys, a team's members or a pod
//! change.
//!
//! Level-triggered: what is written is the whole list as the rows have it now, to every machine
//! that the change concerns now. A write that fails leaves its pod marked and is done again.

use crate::app::{App, Error, KeysOf};
use crate::reconcile::files;
use podbay_core::PodId;
use podbay_core::pod::{Pod, Resource};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    let mut left = Vec::new();
    let mut pods: BTreeMap<PodId, Pod> = BTreeMap::new();
    for mark in marked {
        match concerned(app, &mark).await {
            Ok(found) => pods.extend(found.into_iter().map(|pod| (pod.id.clone(), pod))),
            Err(error) => {
                tracing::warn!(?mark, cause = ?error, "SSH keys");
                left.push(mark);
            }
        }
    }
    let mut done = 0;
    for (id, pod) in pods {
        // One pod that cannot be reached must not keep a revoked key in the others.
        match serve(app, &pod).await {
            Ok(()) => done += 1,
            Err(error) => {
                tracing::warn!(pod = %id, cause = ?error, "SSH keys");
                left.push(KeysOf::Pod(id));
            }
        }
    }
    let result = Distributed { done, left: left.len() };
    if let Ok(mut dirty) = app.keys_dirty.lock() {
        dirty.extend(left);
    }
    result
}

/// The pods with a machine that a mark concerns.
async fn concerned(app: &App, mark: &KeysOf) -> Result<Vec<Pod>, Error> {
    let mut tx = app.store.reader().await?;
    let mut pods = match mark {
        KeysOf::Pod(id) => tx.pod_get(id).await?.into_iter().collect(),
        KeysOf::User(user) => tx.pod_list_with_keys_of(user).await?,
        KeysOf::Team(team) => tx.pod_list_of_team(team).await?,
    };
    pods.retain(|pod| pod.terminated_at.is_none() && pod.machine != Resource::Absent);
    Ok(pods)
}

/// Until what was written is what the rows say: another server may have written what it had read before.
async fn serve(app: &App, pod: &Pod) -> Result<(), Error> {
    let mut file = files::authorized_keys(app, pod).await?;
    loop {
        let put = app.provider.files_put(&pod.machine_name(), std::slice::from_ref(&file)).await;
        put.map_err(|error| Error::Unavailable(error.to_string()))?;
        let now = files::authorized_keys(app, pod).await?;
        if now == file {
            return Ok(());
        }
        file = now;
    }
}

/// Serves for ever, woken by changes.
pub async fn run(app: Arc<App>) {
    loop {
        let changed = app.keys_changed.notified();
        if distribute(&app).await.left > 0 {
            // What is new need not wait for what has failed.
            let _ = tokio::time::timeout(Duration::from_secs(1), changed).await;
        } else {
            changed.await;
        }
    }
}

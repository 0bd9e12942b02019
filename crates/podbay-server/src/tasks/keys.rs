//! SSH keys of running pods: written anew whenever an account's keys change.
//!
//! Level-triggered: what is written is the whole list as the rows have it now, to every machine
//! the account has now. A write that fails leaves the account marked and is done again.

use crate::app::{App, Error};
use crate::reconcile::files;
use podbay_core::UserId;
use podbay_core::pod::Resource;
use std::sync::Arc;
use std::time::Duration;

/// Accounts served and accounts left marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distributed {
    /// Accounts whose pods all have the present keys.
    pub done: usize,
    /// Accounts with a pod that could not be reached.
    pub left: usize,
}

/// Serves every marked account once.
pub async fn distribute(app: &App) -> Distributed {
    let marked = app.keys_dirty.lock().map(|mut dirty| std::mem::take(&mut *dirty)).unwrap_or_default();
    let mut result = Distributed::default();
    for user in marked {
        match serve(app, &user).await {
            Ok(()) => result.done += 1,
            Err(error) => {
                tracing::warn!(%user, cause = ?error, "SSH keys");
                result.left += 1;
                if let Ok(mut dirty) = app.keys_dirty.lock() {
                    dirty.insert(user);
                }
            }
        }
    }
    result
}

async fn serve(app: &App, user: &UserId) -> Result<(), Error> {
    let file = files::authorized_keys(app, user).await?;
    let pods = app.store.reader().await?.pod_list_live_of_user(user).await?;
    let mut failed = None;
    for pod in pods.iter().filter(|pod| pod.machine != Resource::Absent) {
        // One pod that cannot be reached must not keep a revoked key in the others.
        let put = app.provider.files_put(&pod.machine_name(), std::slice::from_ref(&file)).await;
        failed = put.err().or(failed);
    }
    failed.map_or(Ok(()), |error| Err(Error::Unavailable(error.to_string())))
}

/// Serves for ever, woken by changes.
pub async fn run(app: Arc<App>) {
    loop {
        if distribute(&app).await.left > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        } else {
            app.keys_changed.notified().await;
        }
    }
}

//! Periodic duties that belong to no single pod. Each takes no input and returns what it found.

pub mod audit;
mod background;
pub mod keys;
pub mod retention;

pub use background::Background;

use crate::app::App;
use crate::reconcile::sweep::sweep;
use podbay_core::limits;
use std::sync::Arc;

/// Sweeps for ever.
pub async fn sweep_run(app: Arc<App>) {
    loop {
        tokio::time::sleep(limits::SWEEP_EVERY).await;
        let found = sweep(&app).await;
        if let Some(trouble) = &found.trouble {
            tracing::warn!(trouble, "sweep");
        } else if !found.suspects.is_empty() {
            tracing::info!(suspects = found.suspects.len(), "sweep");
        }
    }
}

/// Forgets old replies for ever.
pub async fn replies_run(app: Arc<App>) {
    loop {
        if let Err(error) = app.forget_replies().await {
            tracing::warn!(cause = ?error, "forget replies");
        }
        tokio::time::sleep(limits::IDEMPOTENCY_EXPIRE_EVERY).await;
    }
}

//! Forgets what happened to pods and disks that ended long ago. What they cost stays, to the last millionth.

use crate::app::{App, Error};
use podbay_core::{Timestamp, limits};
use std::sync::Arc;

/// Forgets what is older than the owner's retention; of how many pods and disks.
///
/// # Errors
/// The database cannot be read or written.
pub async fn retain(app: &App) -> Result<u64, Error> {
    let days = i64::from(app.config.retention.events_days);
    if days == 0 {
        return Ok(0);
    }
    let now = app.now();
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(days * 24 * 3600 * 1000));
    app.store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.events_expire(before).await?) }))
        .await?;
    let mut retired = 0;
    loop {
        // Found beside: the search is long, and nobody is to wait for it.
        let found = app.store.snapshot(move |tx| {
            Box::pin(async move { Ok::<_, Error>(tx.retirable(before, limits::RETENTION_BATCH).await?) })
        });
        let ids = found.await?;
        if ids.is_empty() {
            return Ok(retired);
        }
        retired += ids.len() as u64;
        let written = app.store.write(move |tx| {
            Box::pin(async move {
                for id in &ids {
                    tx.retire(id, now).await?;
                }
                Ok::<_, Error>(())
            })
        });
        written.await?;
    }
}

/// Forgets for ever.
pub async fn run(app: Arc<App>) {
    loop {
        match retain(&app).await {
            Ok(0) => {}
            Ok(retired) => tracing::info!(retired, "events of what ended long ago were removed"),
            Err(error) => tracing::warn!(cause = ?error, "retention"),
        }
        tokio::time::sleep(limits::RETENTION_EVERY).await;
    }
}

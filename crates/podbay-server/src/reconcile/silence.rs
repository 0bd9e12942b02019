//! A host whose engine does not answer: told once when it begins and once when it is over; and, if that is
//! the owner's policy, given up in between (decision 8). Both are measured twice: by the clock, and by the looks
//! that were in vain, because a clock that jumps makes no host silent.

use crate::app::{App, Error, Host};
use crate::config::WhenLost;
use podbay_core::limits::{HOST_SILENT_AFTER, LOOK_MAX};
use podbay_core::pod::{HostLost, Pod};
use podbay_core::published::PodStatus;
use podbay_core::{HostId, Timestamp};
use podbay_store::Tx;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// Looks of this server that got no answer, one after the other.
#[derive(Default)]
pub struct Vain {
    last: Option<Timestamp>,
    /// What lies between them.
    lasted: Duration,
}

fn vain(host: &Host) -> MutexGuard<'_, Vain> {
    host.vain.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine has answered.
pub(super) fn broken(app: &App, host: &Host) {
    *vain(host) = Vain { last: Some(app.now()), lasted: Duration::ZERO };
}

/// One more look was in vain. Pods whose host is now given up are woken.
///
/// # Errors
/// The rows cannot be read or written.
pub(super) async fn missed(app: &App, host: &Host, why: &str) -> Result<(), Error> {
    let now = app.now();
    let lasted = {
        let mut vain = vain(host);
        let since_last = vain.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        vain.lasted += since_last.min(LOOK_MAX);
        vain.lasted
    };
    if lasted < HOST_SILENT_AFTER {
        return Ok(());
    }
    // For one that has never answered.
    let first = Timestamp::from_millis(now.as_millis().saturating_sub_unsigned(lasted.as_millis() as u64));
    let (id, engine, why) = (host.id.clone(), host.engine.clone(), why.to_owned());
    let told = app.store.write(move |tx| {
        Box::pin(async move {
            // Another server may have had an answer.
            let answered = tx.host_answered(&id).await?.unwrap_or(first);
            if has_passed(HOST_SILENT_AFTER, answered, now) && tx.host_silent_put(&id, answered).await? {
                let text = format!("{engine} has not answered since {answered}: {why}");
                tx.event_insert(None, now, "host.unreachable", &text).await?;
                return Ok::<_, Error>(Some(text));
            }
            Ok(None)
        })
    });
    if let Some(text) = told.await? {
        tracing::warn!(host = %host.id, "{text}");
    }
    let mut tx = app.store.reader().await?;
    if lost(app, host, &mut tx).await?.is_some() {
        let pods = tx.pod_list_on_host(&host.id).await?;
        for pod in pods.iter().filter(|pod| pod.status() == PodStatus::Active) {
            app.driver.wake(&pod.id);
        }
    }
    Ok(())
}

/// Writes that the engine has answered, with `all_seen` that it showed all that is to run, and that its silence
/// is over.
///
/// # Errors
/// The database refuses.
pub async fn answered(
    tx: &mut Tx,
    host: &HostId,
    engine: &str,
    now: Timestamp,
    all_seen: bool,
) -> Result<(), Error> {
    if let Some(since) = tx.host_answered_put(host, now, all_seen).await? {
        let minutes = now.since(since).as_secs() / 60;
        let text = format!("{engine} answers again, after {minutes} minutes");
        tracing::warn!(%host, "{text}");
        tx.event_insert(None, now, "host.back", &text).await?;
    }
    Ok(())
}

/// Whether the host of a pod is given up, where that means something for it.
///
/// # Errors
/// The rows cannot be read.
pub(super) async fn lost_to(app: &App, pod: &Pod) -> Result<Option<HostLost>, Error> {
    let Ok(host) = app.host(&pod.host) else { return Ok(None) };
    if vain(host).lasted.is_zero() || !(pod.status() == PodStatus::Active || pod.is_given_up()) {
        return Ok(None);
    }
    Ok(lost(app, host, &mut app.store.reader().await?).await?)
}

async fn lost(app: &App, host: &Host, tx: &mut Tx) -> podbay_store::Result<Option<HostLost>> {
    let grace = Duration::from_secs(60 * u64::from(app.config.engine.lost_after_minutes));
    if app.config.engine.when_lost == WhenLost::Wait || vain(host).lasted < grace {
        return Ok(None);
    }
    let silence = tx.host_silence(&host.id).await?;
    let Some(since) = silence.filter(|since| has_passed(grace, *since, app.now())) else { return Ok(None) };
    Ok(Some(HostLost { since, seen: tx.host_seen(&host.id).await? }))
}

/// By the clock; one that has jumped back says nothing, and then the looks count alone.
fn has_passed(span: Duration, since: Timestamp, now: Timestamp) -> bool {
    since > now || now.since(since) >= span
}

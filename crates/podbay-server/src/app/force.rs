//! The end of a pod by force: for a host that is lost, and never comes back to say that the machine is gone.
//!
//! It is the one verb that writes what belongs to the reconciler, under the same compare-and-set: whatever a
//! pass was doing is old from then on. The pod is over for its user, and costs nothing more. What it held is
//! not given to others: the machine may still run. The sweep removes that when the host answers, and gives
//! the rest back then.

use super::{Actor, App, Error, users};
use podbay_core::pod::{Desired, Pod};
use podbay_core::{PodId, Timestamp, limits};
use podbay_store::Tx;

/// Ends a pod, whoever made it, without waiting for its machine to be gone.
///
/// # Errors
/// [`Error::Denied`] but to the owner of the installation; [`Error::NotFound`]; [`Error::Conflict`] while a
/// plain delete can still do it.
pub async fn pod_end(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    users::owner_only(app, actor).await?;
    let (user, now, id) = (actor.user.clone(), app.now(), PodId::parse(id).ok_or(Error::NotFound)?);
    let ended = app.store.write(move |tx| {
        Box::pin(async move {
            tx.pod_lock(&id).await?;
            let live =
                |pod: Option<Pod>| pod.filter(|pod| pod.terminated_at.is_none()).ok_or(Error::NotFound);
            let pod = live(tx.pod_get(&id).await?)?;
            let host = pod.host.clone();
            let why = may(tx, &pod, now).await?;
            let name = tx.user_get(&user).await?.map_or_else(|| user.to_string(), |user| user.name);
            // Nobody can say that it ran for longer; one that no sweep has seen, not even for so long.
            let seen = tx.host_seen(&host).await?.or(pod.ready_at).unwrap_or(now).min(now);
            if pod.desired != Desired::Gone {
                tx.pod_set_gone(&id, now).await?;
                tx.usage_close(&id, seen).await?;
                let text = format!("{name} deleted the pod");
                tx.event_insert(Some(&id), now, "pod.delete_requested", &text).await?;
            } else {
                tx.usage_cut(&id, seen).await?;
            }
            let mut pod = live(tx.pod_get(&id).await?)?;
            let version = pod.version;
            (pod.placement, pod.terminated_at, pod.updated_at) = (None, Some(now), now);
            tx.forced_end_insert(&id, &host, now).await?;
            tx.claim_drop(&(&id).into()).await?;
            let text =
                format!("{name} ended the pod by force: {why}; what is left of it is removed when it can be");
            tx.event_insert(Some(&id), now, "pod.terminated", &text).await?;
            let text = format!("{name} ended the pod {id} by force: {why}");
            tx.event_insert(None, now, "pod.forced", &text).await?;
            if !tx.pod_update(&pod, version).await? {
                // Nothing of this may stay if the row did not take it.
                return Err(Error::Unavailable("another server has written this pod meanwhile".into()));
            }
            tracing::warn!(pod = %id, name, why, "ended by force");
            Ok(id)
        })
    });
    let id = ended.await?;
    app.tell_ended((&id).into());
    Ok(())
}

/// Why force is called for.
async fn may(tx: &mut Tx, pod: &Pod, now: Timestamp) -> Result<String, Error> {
    // What the looks have found counts also for one that has never answered, and after a clock has jumped back. Before
    // the first sweep nobody knows; a delete that does not come through is a reason then, too.
    let silent = tx.host_silence(&pod.host).await?;
    let answered = tx.host_answered(&pod.host).await?;
    if let Some(at) = silent.or(answered.filter(|at| now.since(*at) >= limits::HOST_SILENT_AFTER)) {
        return Ok(format!("the container engine has not answered since {at}"));
    }
    let events = tx.event_list(&pod.id, 0, EVENTS).await?;
    let deleted = events.iter().find(|event| event.kind == "pod.delete_requested").map(|event| event.at);
    let minutes = limits::FORCE_AFTER.as_secs() / 60;
    let silence = limits::HOST_SILENT_AFTER.as_secs() / 60;
    if deleted.is_some_and(|at| now.since(at) >= limits::FORCE_AFTER) {
        return Ok(format!("it was deleted more than {minutes} minutes ago and could not be removed"));
    }
    Err(Error::Conflict(format!(
        "the container engine has not been silent for {silence} minutes: delete the pod without force; force is for a \
         host that is lost, or a delete that has not come through within {minutes} minutes"
    )))
}

/// A pod has far fewer before its delete.
const EVENTS: u64 = 10_000;

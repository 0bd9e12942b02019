//! One pass: plan, doubt, act, record, until there is nothing to do now. Here for pods; for disks
//! in `disk`.

use super::carry::{carry_out, last_look};
use super::disk;
use super::driver::Flight;
use super::lease::{self, Fence};
use super::silence;
use crate::app::{App, Error, KeysOf};
use podbay_core::mutation::{self, Mutation};
use podbay_core::pod::{
    Decision, Desired, Effects, FailureCode, Learned, Placement, Pod, PublishedPort, Resource, SSH_PORT,
    Step, UsageChange, View, backoff, learn, mark_unknown, plan,
};
use podbay_core::published::Protocol;
use podbay_core::usage::UsageState;
use podbay_core::{PodId, Subject, Timestamp};
use podbay_store::Tx;

/// When a pod or a disk wants to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Again,
    /// Then.
    At(Timestamp),
    /// When somebody wakes it.
    Idle,
}

/// Runs passes until the pod or disk waits, is settled or is gone.
pub async fn run(app: &App, id: &Subject, view: View, flight: &Flight) -> Next {
    let done = match id {
        Subject::Pod(id) => steps(app, id, view, flight).await,
        Subject::Disk(id) => disk::steps(app, id, view).await,
    };
    match done {
        Ok(next) => next,
        // Rows could not be read or written. Nothing is known to be lost: look again later.
        Err(error) => {
            tracing::error!(%id, cause = ?error, "reconcile");
            Next::At(app.now().plus(backoff(4)))
        }
    }
}

async fn steps(app: &App, id: &PodId, mut view: View, flight: &Flight) -> Result<Next, Error> {
    let mut written: Option<Pod> = None;
    loop {
        // Held but while something slow is waited for: users' own reads and writes must find the
        // database idle enough. Never closed, so there is always a permit to come.
        let (slot, has_waited) = app.driver.slot().await;
        // What was written just now need not be read, unless there was time for its user to change their mind.
        let pod = match written.take().filter(|_| !has_waited) {
            Some(pod) => pod,
            None => match app.store.reader().await?.pod_get(id).await? {
                Some(pod) => pod,
                None => return Ok(Next::Idle),
            },
        };
        view.lost = silence::lost_to(app, &pod).await?;
        let decision = plan(&pod, view, app.now());
        tracing::debug!(pod = %id, ?decision, "plan");
        let step = match decision {
            Decision::Do(step) => step,
            Decision::Wait { until, .. } => return Ok(Next::At(until)),
            Decision::Settled | Decision::Blocked(_) => return Ok(Next::Idle),
        };
        if !lease::claim(app, &Subject::from(id)).await? {
            // Whoever has it does it.
            return Ok(Next::Idle);
        }
        view.suspect = false;
        // Before the doubt, in which is lost what the row knows of the last run.
        if step == Step::Remove
            && let Some(learned) = last_look(app, &pod).await?
        {
            written = record(app, &pod.id, pod.version, learned).await?;
            continue;
        }
        let Some(version) = doubt(app, &pod, &step).await? else {
            lease::doubt_claim(app, &Subject::from(id));
            continue;
        };
        let slot = slot.filter(|_| !matches!(step, Step::EnsureImage | Step::Probe));
        let learned = carry_out(app, &pod, &step, flight).await?;
        let _slot = match slot {
            None => app.driver.slots.acquire().await.ok(),
            held => held,
        };
        written = record(app, &pod.id, version, learned).await?;
    }
}

/// Makes the doubt about what `step` will touch durable. `None` if the row has changed since it
/// was read: then the plan is void.
async fn doubt(app: &App, pod: &Pod, step: &Step) -> Result<Option<i64>, Error> {
    let now = app.now();
    let mut doubtful = pod.clone();
    if !mark_unknown(&mut doubtful, step, now) {
        return Ok(Some(pod.version));
    }
    let version = pod.version;
    let fence = Fence::of(app, &Subject::from(&pod.id));
    let written = app.store.write(move |tx| {
        Box::pin(async move {
            tx.pod_lock(&doubtful.id).await?;
            if !fence.holds(tx).await? {
                return Ok::<_, Error>(false);
            }
            if mutation::on(Mutation::ForgetGeneration) {
                return Ok(tx.pod_update(&doubtful, version).await?);
            }
            Ok(tx.pod_update_as_wanted(&doubtful, version).await?)
        })
    });
    Ok(written.await?.then_some(version + 1))
}

/// Takes what was learned into the rows, in one transaction with events and intervals; the row as it is now,
/// if it has taken it.
async fn record(app: &App, id: &PodId, version: i64, learned: Learned) -> Result<Option<Pod>, Error> {
    if learned == Learned::Cancelled {
        return Ok(None);
    }
    let (now, id, range) = (app.now(), id.clone(), app.config.ports);
    let start = app.chance.port(range.first, range.last);
    let fence = Fence::of(app, &Subject::from(&id));
    let recorded = app.store.write(move |tx| {
        Box::pin(async move {
            tx.pod_lock(&id).await?;
            let Some(mut pod) = tx.pod_get(&id).await? else { return Ok::<_, Error>(None) };
            if gives_up(&pod, &learned)
                && (pod.desired == Desired::Gone || tx.host_silence(&pod.host).await?.is_none())
            {
                // It has been deleted, or the host has answered, meanwhile.
                return Ok(None);
            }
            let version = if mutation::on(Mutation::ForgetVersion) { pod.version } else { version };
            if pod.version != version {
                // Another writer owns this pod now; what we learned is old.
                return Ok(None);
            }
            let placement = pod.placement.clone();
            let effects = learn(&mut pod, learned, now);
            if effects.assign_ports {
                assign_ports(tx, &mut pod, range.first..=range.last, start).await?;
            }
            write_effects(tx, &pod, placement.as_ref(), &effects, now).await?;
            if !tx.pod_update(&pod, version).await? {
                // Nothing of this may stay if the row did not take it.
                return Err(Error::Unavailable("another server has written this pod meanwhile".into()));
            }
            if pod.terminated_at.is_some() {
                fence.drop_claim(tx).await?;
            }
            pod.version = version + 1;
            Ok(Some(pod))
        })
    });
    let recorded = recorded.await?;
    if let Some(pod) = &recorded {
        if pod.terminated_at.is_some() {
            app.tell_ended(Subject::from(&pod.id));
        }
        if pod.ready_at.is_some() && pod.updated_at == now {
            app.keys_touch(KeysOf::Pod(pod.id.clone()));
        }
    }
    Ok(recorded)
}

fn gives_up(pod: &Pod, learned: &Learned) -> bool {
    pod.ready_at.is_some()
        && matches!(learned, Learned::Decided(Step::Fail(failure)) if failure.code == FailureCode::EngineUnreachable)
}

async fn write_effects(
    tx: &mut Tx,
    pod: &Pod,
    placement: Option<&Placement>,
    effects: &Effects,
    now: Timestamp,
) -> Result<(), Error> {
    for (kind, text) in &effects.events {
        tracing::info!(pod = %pod.id, kind, text, "event");
        tx.event_insert(Some(&pod.id), now, kind, text).await?;
    }
    match effects.usage {
        Some(UsageChange::Open { price, at }) => {
            tx.usage_open(&pod.id, UsageState::Running, price, at).await?
        }
        Some(UsageChange::Close { at }) => {
            tx.usage_close(&pod.id, at).await?;
        }
        Some(UsageChange::Cut { at }) => {
            tx.usage_cut(&pod.id, at).await?;
        }
        None => {}
    }
    if effects.release && placement.is_some() {
        tx.placement_release(&pod.id, now).await?;
    }
    if pod.terminated_at.is_some() {
        // Not before: a machine that may still be there has its disks.
        tx.attachment_release(&pod.id).await?;
    }
    Ok(())
}

/// Host ports for SSH and for what the image exposes. The first attempt keeps the SSH port that
/// the create reserved; a later one takes new ports, since the old ones may have been the reason.
async fn assign_ports(
    tx: &mut Tx,
    pod: &mut Pod,
    range: std::ops::RangeInclusive<u16>,
    start: u16,
) -> Result<(), Error> {
    let Resource::Present(image) = &pod.image else { return Ok(()) };
    let extra = pod.spec.ports_extra(&image.exposed);
    let Some(placement) = &mut pod.placement else { return Ok(()) };
    let keep = |port: &PublishedPort| pod.attempt == 1 && port.internal == SSH_PORT;
    let kept: Vec<PublishedPort> = placement.ports.iter().copied().filter(keep).collect();
    let mut wanted: Vec<(u16, Protocol)> = extra.iter().map(|port| (port.number, port.protocol)).collect();
    if kept.is_empty() {
        tx.port_release(&pod.id).await?;
        wanted.insert(0, (SSH_PORT, Protocol::Tcp));
    }
    placement.ports = kept;
    for (internal, protocol) in wanted {
        // A host that has run out of ports still gives SSH to those that hold one.
        if let Some(external) =
            tx.port_take(&placement.host, &pod.id, internal, protocol, range.clone(), start).await?
        {
            placement.ports.push(PublishedPort { internal, external, protocol });
        }
    }
    Ok(())
}

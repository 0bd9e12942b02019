//! One pass over one disk: as with pods, plan, doubt, act, record.

use super::lease::{self, Fence};
use super::pass::Next;
use crate::app::{App, Error, Host};
use podbay_core::disk::{Decision, Disk, Effects, Learned, Step, learn, mark_unknown, plan};
use podbay_core::pod::{UsageChange, View};
use podbay_core::usage::UsageState;
use podbay_core::{DiskId, Subject, Timestamp};
use podbay_provider::VolumeSpec;
use podbay_store::Tx;

/// Steps until the disk waits, is settled or is gone.
pub(super) async fn steps(app: &App, id: &DiskId, mut view: View) -> Result<Next, Error> {
    let mut written: Option<Disk> = None;
    loop {
        // Never closed, so there is always a permit to come.
        let (_slot, has_waited) = app.driver.slot().await;
        // As with pods, what was written just now need not be read.
        let disk = match written.take().filter(|_| !has_waited) {
            Some(disk) => disk,
            None => match app.store.reader().await?.disk_get(id).await? {
                Some(disk) => disk,
                None => return Ok(Next::Idle),
            },
        };
        let decision = plan(&disk, view, app.now());
        tracing::debug!(disk = %id, ?decision, "plan");
        let step = match decision {
            Decision::Do(step) => step,
            Decision::Wait { until } => return Ok(Next::At(until)),
            Decision::Settled => return Ok(Next::Idle),
        };
        if !lease::claim(app, &Subject::from(id)).await? {
            // Whoever has it does it.
            return Ok(Next::Idle);
        }
        view.suspect = false;
        let Some(version) = doubt(app, &disk, &step).await? else {
            lease::doubt_claim(app, &Subject::from(id));
            continue;
        };
        let learned = carry_out(app.host(&disk.host_id)?, &disk, step).await;
        written = record(app, id, version, learned).await?;
    }
}

async fn carry_out(host: &Host, disk: &Disk, step: Step) -> Learned {
    let (name, provider) = (disk.volume_name(), &host.provider);
    match step {
        Step::Inspect => Learned::Inspected(provider.volume_inspect(&name).await),
        Step::Create => {
            let spec = VolumeSpec { disk_id: disk.id.clone(), name, size_gb: disk.size_gb };
            Learned::Created(provider.volume_ensure(&spec).await)
        }
        Step::Remove => Learned::Removed(provider.volume_remove(&name).await),
        Step::Fail(_) | Step::Finish => Learned::Decided(step),
    }
}

/// Makes the doubt about what `step` will touch durable. `None` if the row has changed since it
/// was read: then the plan is void.
async fn doubt(app: &App, disk: &Disk, step: &Step) -> Result<Option<i64>, Error> {
    let mut doubtful = disk.clone();
    if !mark_unknown(&mut doubtful, step, app.now()) {
        return Ok(Some(disk.version));
    }
    let version = disk.version;
    let fence = Fence::of(app, &Subject::from(&disk.id));
    let written = app.store.write(move |tx| {
        Box::pin(async move {
            tx.disk_lock(&doubtful.id).await?;
            Ok::<_, Error>(fence.holds(tx).await? && tx.disk_update_as_wanted(&doubtful, version).await?)
        })
    });
    Ok(written.await?.then_some(version + 1))
}

/// Takes what was learned into the rows, in one transaction with events and intervals; the row as it is now,
/// if it has taken it.
async fn record(app: &App, id: &DiskId, version: i64, learned: Learned) -> Result<Option<Disk>, Error> {
    let (now, id, fence) = (app.now(), id.clone(), Fence::of(app, &Subject::from(id)));
    let recorded = app.store.write(move |tx| {
        Box::pin(async move {
            tx.disk_lock(&id).await?;
            let Some(mut disk) = tx.disk_get(&id).await? else { return Ok::<_, Error>(None) };
            if disk.version != version {
                // Another writer owns this disk now; what we learned is old.
                return Ok(None);
            }
            let effects = learn(&mut disk, learned, now);
            write_effects(tx, &disk, &effects, now).await?;
            if disk.terminated_at.is_some() {
                fence.drop_claim(tx).await?;
            }
            if !tx.disk_update(&disk, version).await? {
                // Nothing of this may stay if the row did not take it.
                return Err(Error::Unavailable("another server has written this disk meanwhile".into()));
            }
            disk.version = version + 1;
            Ok(Some(disk))
        })
    });
    let recorded = recorded.await?;
    if let Some(disk) = recorded.as_ref().filter(|disk| disk.terminated_at.is_some()) {
        app.tell_ended(Subject::from(&disk.id));
    }
    Ok(recorded)
}

async fn write_effects(tx: &mut Tx, disk: &Disk, effects: &Effects, now: Timestamp) -> Result<(), Error> {
    for (kind, text) in &effects.events {
        tracing::info!(disk = %disk.id, kind, text, "event");
        tx.disk_event_insert(&disk.id, now, kind, text).await?;
    }
    match effects.usage {
        Some(UsageChange::Open { price, at }) => {
            tx.usage_open(&disk.id, UsageState::Running, price, at).await?;
        }
        Some(UsageChange::Close { at }) => {
            tx.usage_close(&disk.id, at).await?;
        }
        Some(UsageChange::Cut { at }) => {
            tx.usage_cut(&disk.id, at).await?;
        }
        None => {}
    }
    if effects.release {
        tx.placement_release(&disk.id, now).await?;
    }
    Ok(())
}

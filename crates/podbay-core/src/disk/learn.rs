//! The record: from what a step's call answered to the next state of the row.

use super::{Desired, Disk, Step, VolumeFact};
use crate::Timestamp;
use crate::pod::{CallError, Failure, FailureCode, Resource, UsageChange, backoff};

/// What carrying a step out has taught.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned {
    /// Answer to [`Step::Inspect`]: the volume under the disk's name, if any.
    Inspected(Result<Option<VolumeFact>, CallError>),
    /// Answer to [`Step::Create`].
    Created(Result<VolumeFact, CallError>),
    /// Answer to [`Step::Remove`].
    Removed(Result<(), CallError>),
    /// The rows-only step itself.
    Decided(Step),
}

/// What must be written beside the row, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Events for the user: kind and text.
    pub events: Vec<(&'static str, String)>,
    /// Change of the intervals.
    pub usage: Option<UsageChange>,
    /// Give back what it held of the host.
    pub release: bool,
}

impl Effects {
    fn event(&mut self, kind: &'static str, text: impl Into<String>) {
        self.events.push((kind, text.into()));
    }
}

/// Writes the doubt that must be durable before `step` goes outside; whether anything changed.
pub fn mark_unknown(disk: &mut Disk, step: &Step, now: Timestamp) -> bool {
    let touches_volume = matches!(step, Step::Create | Step::Remove);
    if touches_volume {
        disk.volume = Resource::Unknown { since: now };
    }
    touches_volume
}

/// Takes what was learned into the row.
pub fn learn(disk: &mut Disk, learned: Learned, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    disk.updated_at = disk.updated_at.max(now);
    match learned {
        Learned::Inspected(Ok(fact)) => inspected(disk, fact, &mut effects, now),
        Learned::Created(Ok(fact)) => {
            disk.setbacks = 0;
            present(disk, fact, &mut effects, now);
        }
        Learned::Removed(Ok(())) => {
            disk.setbacks = 0;
            disk.volume = Resource::Absent;
        }
        Learned::Created(Err(error @ CallError::Refused { permanent: true, .. })) => {
            disk.volume = Resource::Absent;
            fail(disk, error.failure(now), &mut effects);
        }
        Learned::Created(Err(error)) => {
            if !matches!(error, CallError::Unknown(_)) {
                disk.volume = Resource::Absent;
            }
            setback(disk, &error, &mut effects, now);
        }
        // After a removal that was refused, too, somebody must look before it is tried again.
        Learned::Inspected(Err(error)) | Learned::Removed(Err(error)) => {
            setback(disk, &error, &mut effects, now);
        }
        Learned::Decided(step) => decided(disk, step, &mut effects, now),
    }
    effects
}

fn inspected(disk: &mut Disk, fact: Option<VolumeFact>, effects: &mut Effects, now: Timestamp) {
    if !matches!(disk.volume, Resource::Unknown { .. }) {
        // A call that was in doubt has not got through because somebody looked.
        disk.setbacks = 0;
    }
    match fact {
        Some(fact) => present(disk, fact, effects, now),
        None => disk.volume = Resource::Absent,
    }
}

/// The volume is there: for the first time, again, or still.
fn present(disk: &mut Disk, fact: VolumeFact, effects: &mut Effects, now: Timestamp) {
    let held = fact.held_gb;
    disk.volume = Resource::Present(fact);
    if disk.desired != Desired::Present {
        return;
    }
    let is_lost = disk.failure.as_ref().is_some_and(|failure| failure.code == FailureCode::DiskLost);
    if disk.ready_at.is_none() && disk.failure.is_none() {
        disk.ready_at = Some(now);
        let size = disk.size_gb;
        let text = match held {
            Some(_) => format!("the volume is there and held to {size} GB"),
            None => format!(
                "the volume is there; its {size} GB are an agreement: the engine cannot hold it to a size"
            ),
        };
        effects.event("disk.active", text);
    } else if is_lost {
        disk.failure = None;
        effects.event("disk.found", "the volume is there again");
    } else {
        return;
    }
    effects.usage = Some(UsageChange::Open { price: disk.price(), at: now });
}

/// A call did not get through: again, a little later each time.
fn setback(disk: &mut Disk, error: &CallError, effects: &mut Effects, now: Timestamp) {
    disk.setbacks += 1;
    let wait = backoff(disk.setbacks);
    disk.next_at = now.plus(wait);
    if disk.setbacks == 1 {
        effects.event("host.trouble", format!("{error}; trying again in {:.1} s", wait.as_secs_f64()));
    }
}

fn fail(disk: &mut Disk, failure: Failure, effects: &mut Effects) {
    effects.event("disk.failed", failure.text.clone());
    effects.usage = Some(UsageChange::Close { at: failure.at });
    disk.failure = Some(failure);
}

fn decided(disk: &mut Disk, step: Step, effects: &mut Effects, now: Timestamp) {
    match step {
        Step::Fail(failure) => fail(disk, failure, effects),
        Step::Finish => {
            disk.terminated_at = Some(now);
            effects.release = true;
            effects.usage = Some(UsageChange::Close { at: now });
            effects.event("disk.terminated", "the volume is gone");
        }
        Step::Inspect | Step::Create | Step::Remove => {
            unreachable!("{step:?} goes outside and is learned from its answer")
        }
    }
}

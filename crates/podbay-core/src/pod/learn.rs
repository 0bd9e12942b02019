//! The record: from what a step's call answered to the next state of the row.
//!
//! `plan` and `learn` are the two halves of the machine, and both are pure: the server and the
//! simulator differ only in who carries a [`Step`] out between them.

use super::plan::{backoff, exit_failure};
use super::{
    CallError, Desired, EXIT_NO_SERVICE, Failure, FailureCode, ImageFact, MachineFact, MachinePhase, Pod,
    Resource, Step,
};
use crate::mutation::{self, Mutation};
use crate::{PricePerHour, Timestamp, limits};
use std::time::Duration;

/// What carrying a step out has taught.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned {
    /// Answer to [`Step::Inspect`], or to [`Step::Remove`] where the look before it has found a machine that
    /// had ended, even if it runs again.
    Inspected {
        /// The machine under the attempt's name, if any.
        found: Result<Option<MachineFact>, CallError>,
        /// When all machines that were to run were last seen running: the end of one that is gone
        /// without a word lies behind it. Only there where it is needed.
        last_seen: Option<Timestamp>,
        /// See [`has_gap`], as of the row that the step was planned from.
        has_gap: bool,
    },
    /// Answer to [`Step::EnsureImage`].
    ImageEnsured(Result<ImageFact, CallError>),
    /// Answer to [`Step::Create`]: the machine's handle.
    Created(Result<String, CallError>),
    /// Answer to [`Step::Start`]: the machine's handle again.
    Started(Result<String, CallError>),
    /// Answer to [`Step::Probe`]: whether the banner came.
    Probed(bool),
    /// Answer to [`Step::Stop`].
    Stopped(Result<(), CallError>),
    /// Answer to [`Step::Remove`].
    Removed(Result<(), CallError>),
    /// The rows-only step itself.
    Decided(Step),
    /// The step was given up because the user changed their mind; nothing was learned.
    Cancelled,
}

/// A change to the pod's usage intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageChange {
    /// Open a running interval at this price.
    Open {
        /// Price per hour.
        price: PricePerHour,
        /// From when.
        at: Timestamp,
    },
    /// Close the open interval, if there is one.
    Close {
        /// From when on nothing is billed.
        at: Timestamp,
    },
    /// End the newest interval, which is closed, at an earlier time; a later one changes nothing.
    Cut {
        /// From when on nothing is billed.
        at: Timestamp,
    },
}

/// What must be written beside the row, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Events for the user: kind and text.
    pub events: Vec<(&'static str, String)>,
    /// Change of the intervals.
    pub usage: Option<UsageChange>,
    /// Set host ports aside for what the image exposes (and new ones if the last were taken).
    pub assign_ports: bool,
    /// Give back GPUs, memory, disk and ports.
    pub release: bool,
}

impl Effects {
    fn event(&mut self, kind: &'static str, text: impl Into<String>) {
        self.events.push((kind, text.into()));
    }
}

/// Writes the doubt that must be durable before `step` goes outside. Returns whether anything
/// changed, so that steps without outside effect cost no write.
pub fn mark_unknown(pod: &mut Pod, step: &Step, now: Timestamp) -> bool {
    let touches_machine = matches!(step, Step::Create | Step::Start | Step::Stop | Step::Remove);
    if mutation::on(Mutation::SkipUnknown) {
        return false;
    }
    if touches_machine {
        pod.machine = Resource::Unknown { since: now };
    }
    if *step == Step::Start && pod.ready_at.is_some() {
        // Counted before the call, or restarts whose answers are lost would never come to an end.
        pod.restarts += 1;
    }
    touches_machine
}

/// Whether a machine that is found like that has ended and been started again since it was last looked at, by
/// somebody else or by a call whose effect came late.
#[must_use]
pub fn has_gap(pod: &Pod, found: Option<&MachineFact>) -> bool {
    matches!((&pod.machine, found), (Resource::Present(last), Some(found)) if last.phase.was_restarted(&found.phase))
}

/// Takes what was learned into the row.
pub fn learn(pod: &mut Pod, learned: Learned, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    pod.updated_at = pod.updated_at.max(now);
    match learned {
        Learned::Inspected { found: Ok(fact), last_seen, has_gap } => {
            inspected(pod, fact, Past { last_seen, has_gap }, &mut effects, now);
        }
        Learned::Inspected { found: Err(error), .. } => setback(pod, &error, &mut effects, now),
        Learned::ImageEnsured(Ok(fact)) => image_ensured(pod, fact, &mut effects),
        Learned::ImageEnsured(Err(CallError::Unknown(text))) => {
            let error = CallError::Refused { code: FailureCode::ImagePull, permanent: false, text };
            refused(pod, &error, &mut effects, now);
        }
        Learned::ImageEnsured(Err(error)) => refused(pod, &error, &mut effects, now),
        Learned::Created(Ok(handle)) => {
            succeed(pod, 80);
            pod.machine = present(handle, MachinePhase::Created, now);
            effects.event("machine.created", "the machine was made");
        }
        Learned::Created(Err(error)) => {
            if !matches!(error, CallError::Unknown(_)) {
                pod.machine = Resource::Absent;
            }
            refused(pod, &error, &mut effects, now);
        }
        Learned::Started(Ok(handle)) => started(pod, handle, &mut effects, now),
        Learned::Started(Err(error)) => {
            if matches!(error, CallError::NotSent(_)) && pod.ready_at.is_some() {
                pod.restarts = pod.restarts.saturating_sub(1);
            }
            refused(pod, &error, &mut effects, now);
        }
        Learned::Probed(seen) => probed(pod, seen, &mut effects, now),
        Learned::Stopped(Ok(())) => {
            // The doubt stays, and the look that it leads to says how the machine has ended. One that runs on all
            // the same is not stopped all the time.
            pod.setbacks += 1;
            pod.next_at = now.plus(backoff(pod.setbacks));
        }
        Learned::Removed(Ok(())) => {
            pod.setbacks = 0;
            pod.machine = Resource::Absent;
        }
        Learned::Stopped(Err(error)) | Learned::Removed(Err(error)) => {
            setback(pod, &error, &mut effects, now);
        }
        Learned::Decided(step) => decided(pod, step, &mut effects, now),
        Learned::Cancelled => {}
    }
    effects
}

fn present(handle: String, phase: MachinePhase, now: Timestamp) -> Resource<MachineFact> {
    Resource::Present(MachineFact { handle, phase, seen_at: now })
}

fn succeed(pod: &mut Pod, progress: u8) {
    pod.setbacks = 0;
    pod.progress = pod.progress.max(progress);
}

/// What a look knows of the time before it; see [`Learned::Inspected`].
#[derive(Clone, Copy)]
struct Past {
    last_seen: Option<Timestamp>,
    has_gap: bool,
}

fn inspected(pod: &mut Pod, fact: Option<MachineFact>, past: Past, effects: &mut Effects, now: Timestamp) {
    let before = std::mem::replace(&mut pod.machine, fact.map_or(Resource::Absent, Resource::Present));
    if !matches!(before, Resource::Unknown { .. }) {
        // A call that was in doubt has not got through because somebody looked.
        pod.setbacks = 0;
    }
    if let Some(ready_at) = pod.ready_at.filter(|_| pod.desired == Desired::Gone) {
        return inspected_at_last(pod, ready_at, past, effects);
    }
    if let Some(ready_at) = pod.ready_at {
        return inspected_again(pod, &before, ready_at, past, effects, now);
    }
    let unfailed = pod.desired == Desired::Running && pod.failure.is_none() && pod.attempt_failed.is_none();
    if let (Resource::Present(machine), true) = (&pod.machine, unfailed)
        && let MachinePhase::Exited { code, oom, .. } = machine.phase
    {
        let failure = exit_failure(code, oom, now);
        if code == EXIT_NO_SERVICE {
            // The image will be the same the next time.
            return fail(pod, failure, effects);
        }
        let text = format!("before SSH answered, {}", failure.text);
        attempt_failed(pod, Failure { text, ..failure }, effects, now);
    }
}

/// A look at a pod that was ready: what does not run is not billed, from the moment it ended. Where
/// nobody knows that moment, it is the last one at which it was seen to run.
fn inspected_again(
    pod: &mut Pod,
    before: &Resource<MachineFact>,
    ready_at: Timestamp,
    Past { last_seen, has_gap }: Past,
    effects: &mut Effects,
    now: Timestamp,
) {
    // It ended, and was started again: when it ended, nobody knows any more.
    if has_gap && is_running(&pod.machine) {
        // What lies between is not billed. The look that follows the doubt opens the bill again.
        let ended_at = last_seen.unwrap_or(ready_at).clamp(ready_at, now.max(ready_at));
        effects.usage = Some(UsageChange::Close { at: ended_at });
        pod.machine = Resource::Unknown { since: now };
        return;
    }
    if is_running(&pod.machine) {
        if !is_running(before) && pod.desired == Desired::Running && pod.failure.is_none() {
            restarted(pod, effects, now);
        }
        return;
    }
    let ended_at = match &pod.machine {
        Resource::Present(MachineFact { phase: MachinePhase::Exited { at: Some(at), .. }, .. })
            if !has_gap =>
        {
            *at
        }
        _ => last_seen.unwrap_or(ready_at),
    };
    let ended_at = ended_at.clamp(ready_at, now.max(ready_at));
    if let Resource::Present(MachineFact { phase: MachinePhase::Running { started_at }, .. }) = before
        && ended_at.since(*started_at) >= limits::RESTARTS_FORGOTTEN_AFTER
    {
        pod.restarts = 0;
    }
    if !mutation::on(Mutation::BillTheDead) {
        effects.usage = Some(UsageChange::Close { at: ended_at });
    }
}

/// A look at a pod that was ready and is deleted. Its bill has ended at the delete; but its machine may have
/// ended before, while the engine could not be asked. Only an end that the engine names counts: a machine
/// that is gone may have been removed by an earlier call of ours.
fn inspected_at_last(pod: &Pod, ready_at: Timestamp, past: Past, effects: &mut Effects) {
    let Resource::Present(machine) = &pod.machine else { return };
    // One that was started again meanwhile has ended before that, too, and nobody knows when.
    let ended_at = match machine.phase {
        MachinePhase::Exited { at: Some(at), started_at, .. } => {
            let has_gap = past.has_gap || started_at.is_some_and(|started_at| started_at > ready_at);
            let seen = if past.has_gap { past.last_seen.or(Some(ready_at)) } else { past.last_seen };
            seen.filter(|_| has_gap).map_or(at, |seen| seen.min(at))
        }
        MachinePhase::Running { .. } if past.has_gap => past.last_seen.unwrap_or(ready_at),
        _ => return,
    };
    if !mutation::on(Mutation::BillTheDead) {
        effects.usage = Some(UsageChange::Cut { at: ended_at.max(ready_at) });
    }
}

fn is_running(machine: &Resource<MachineFact>) -> bool {
    matches!(machine, Resource::Present(MachineFact { phase: MachinePhase::Running { .. }, .. }))
}

fn started(pod: &mut Pod, handle: String, effects: &mut Effects, now: Timestamp) {
    succeed(pod, 90);
    pod.machine = present(handle, MachinePhase::Running { started_at: now }, now);
    if mutation::on(Mutation::BillFromStart) {
        effects.usage = Some(UsageChange::Open { price: pod.spec.price, at: now });
    }
    if pod.ready_at.is_some() && pod.desired == Desired::Running {
        restarted(pod, effects, now);
    }
}

/// A machine that had ended runs again, by whomever it was started.
fn restarted(pod: &mut Pod, effects: &mut Effects, now: Timestamp) {
    pod.setbacks = 0;
    pod.next_at = now.plus(backoff(pod.restarts));
    effects.usage = Some(UsageChange::Open { price: pod.spec.price, at: now });
    let (count, most) = (pod.restarts, limits::RESTARTS_MAX);
    effects.event(
        "machine.restarted",
        format!("the machine had ended and runs again; restart {count} of {most}"),
    );
}

fn image_ensured(pod: &mut Pod, fact: ImageFact, effects: &mut Effects) {
    succeed(pod, 70);
    effects.event("image.ready", format!("the image is on the host: {}", fact.digest));
    effects.assign_ports = true;
    pod.image_digest.get_or_insert_with(|| fact.digest.clone());
    pod.image = Resource::Present(fact);
}

fn probed(pod: &mut Pod, seen: bool, effects: &mut Effects, now: Timestamp) {
    let Resource::Present(machine) = &pod.machine else { return };
    let MachinePhase::Running { started_at } = machine.phase else { return };
    if pod.desired != Desired::Running || pod.failure.is_some() {
        return;
    }
    if seen || mutation::on(Mutation::ActiveWithoutBanner) {
        succeed(pod, 100);
        pod.ready_at = Some(now);
        effects.usage = Some(UsageChange::Open { price: pod.spec.price, at: now });
        let seconds = now.since(pod.created_at).as_secs_f64();
        effects.event("pod.active", format!("SSH answers; ready {seconds:.1} s after the create"));
    } else if now.since(started_at) > limits::PROBE_MAX {
        let seconds = limits::PROBE_MAX.as_secs();
        let text = format!("SSH did not answer within {seconds} s of the start");
        attempt_failed(pod, Failure { code: FailureCode::NotReachable, text, at: now }, effects, now);
    } else {
        // Look again soon, and look at the machine itself first: it may have ended.
        pod.machine = Resource::Unknown { since: now };
        pod.next_at = now.plus(Duration::from_millis(100));
    }
}

/// A call did not get through: the pod keeps its attempt and waits a little longer each time.
fn setback(pod: &mut Pod, error: &CallError, effects: &mut Effects, now: Timestamp) {
    pod.setbacks += 1;
    let wait = backoff(pod.setbacks);
    pod.next_at = now.plus(wait);
    if pod.setbacks == 1 {
        effects.event("host.trouble", format!("{error}; trying again in {:.1} s", wait.as_secs_f64()));
    }
}

/// A call that belongs to an attempt failed.
fn refused(pod: &mut Pod, error: &CallError, effects: &mut Effects, now: Timestamp) {
    match error {
        CallError::NotSent(_) | CallError::Unknown(_) => setback(pod, error, effects, now),
        CallError::Refused { permanent: true, .. } if pod.ready_at.is_none() => {
            fail(pod, error.failure(now), effects);
        }
        CallError::Refused { .. } => attempt_failed(pod, error.failure(now), effects, now),
    }
}

fn attempt_failed(pod: &mut Pod, failure: Failure, effects: &mut Effects, now: Timestamp) {
    pod.setbacks = 0;
    if pod.ready_at.is_some() {
        return fail(pod, failure, effects);
    }
    // The first retry comes soon, since a port is quickly replaced; the later ones give a registry
    // time. Nobody waits for an attempt that will not come.
    let is_next = pod.attempt < limits::ATTEMPTS_MAX && pod.desired == Desired::Running;
    pod.next_at = if is_next { now.plus(backoff(2 * pod.attempt - 1)) } else { now };
    effects.event(
        "attempt.failed",
        format!("attempt {} of {} failed: {}", pod.attempt, limits::ATTEMPTS_MAX, failure.text),
    );
    pod.attempt_failed = Some(failure);
}

fn fail(pod: &mut Pod, failure: Failure, effects: &mut Effects) {
    effects.event("pod.failed", failure.text.clone());
    effects.usage = Some(UsageChange::Close { at: failure.at });
    pod.failure = Some(failure);
}

fn decided(pod: &mut Pod, step: Step, effects: &mut Effects, now: Timestamp) {
    match step {
        Step::Fail(failure) => fail(pod, failure, effects),
        Step::NextAttempt => {
            pod.attempt += 1;
            pod.attempt_failed = None;
            pod.image = Resource::Absent;
            pod.progress = 0;
            effects.event("attempt.started", format!("attempt {} of {}", pod.attempt, limits::ATTEMPTS_MAX));
        }
        Step::Release => {
            pod.placement = None;
            effects.release = true;
        }
        Step::Finish => {
            pod.placement = None;
            pod.terminated_at = Some(now);
            effects.release = !mutation::on(Mutation::KeepPlace);
            effects.usage = Some(UsageChange::Close { at: now });
            if !mutation::on(Mutation::EndInSilence) {
                effects.event("pod.terminated", "the machine is gone");
            }
        }
        Step::Inspect
        | Step::EnsureImage
        | Step::Create
        | Step::Start
        | Step::Probe
        | Step::Stop
        | Step::Remove => {
            unreachable!("{step:?} goes outside and is learned from its answer")
        }
    }
}

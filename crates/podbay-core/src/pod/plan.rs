//! The decision: from what is known of a pod to the one thing to do next.

use super::{CallError, Desired, EXIT_NO_SERVICE, Failure, FailureCode, MachinePhase, Pod, Resource};
use crate::mutation::{self, Mutation};
use crate::published::PodStatus;
use crate::{Timestamp, limits};
use std::time::Duration;

/// One thing to do. Closed: whoever carries steps out must handle each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the provider what is there under the attempt's name.
    Inspect,
    /// Have the image on the host.
    EnsureImage,
    /// Make the machine.
    Create,
    /// Start it.
    Start,
    /// Look for an SSH banner through the published address.
    Probe,
    /// End what it runs, and keep its files.
    Stop,
    /// Remove the machine, whatever it does.
    Remove,
    /// Begin the next attempt (rows only).
    NextAttempt,
    /// End in ERROR (rows only).
    Fail(Failure),
    /// Give back what was set aside (rows only).
    Release,
    /// The pod is gone: give back and move to history (rows only).
    Finish,
}

/// What to do about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This, now.
    Do(Step),
    /// Nothing before that time.
    Wait {
        /// When to look again.
        until: Timestamp,
        /// For the log.
        why: &'static str,
    },
    /// As desired; the sweep says if that changes.
    Settled,
    /// Not as desired, and nothing that podbay may do changes it.
    Blocked(&'static str),
}

/// What a pass knows beside the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Somebody saw the machine differ from the row: look before anything else.
    pub suspect: bool,
    /// The host has been silent for longer than its owner waits.
    pub lost: Option<HostLost>,
}

/// A host whose owner gives up what was on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLost {
    /// Since when it has not answered.
    pub since: Timestamp,
    /// When all machines that were to run there were last seen running, if ever.
    pub seen: Option<Timestamp>,
}

/// The one thing to do next for `pod` at `now`.
///
/// Safety, proved by the tests below: nothing is created or started while the machine is
/// Unknown or the pod is to be gone; nothing is finished before absence is known; no attempt
/// begins before the machine of the last one is gone.
#[must_use]
pub fn plan(pod: &Pod, view: View, now: Timestamp) -> Decision {
    if pod.terminated_at.is_some() {
        return Decision::Settled;
    }
    // A wait that is longer than any is one that began before the clock jumped back.
    if now < pod.next_at && pod.next_at.since(now) <= limits::BACKOFF_MAX {
        return Decision::Wait { until: pod.next_at, why: "backing off" };
    }
    if let Some(step) = given_up(pod, view, now) {
        return Decision::Do(step);
    }
    if view.lost.is_some() && pod.is_given_up() && pod.desired == Desired::Running {
        return Decision::Blocked("given up; waits for its host or its delete");
    }
    let unknown = matches!(pod.machine, Resource::Unknown { .. });
    if unknown && !view.suspect && is_starting(pod) && is_overdue(pod, now) {
        // The user must not wait for an engine that never answers; its machine is cleared away when it does.
        return Decision::Do(overdue(pod, now));
    }
    if view.suspect || unknown {
        return Decision::Do(Step::Inspect);
    }
    match pod.desired {
        Desired::Gone if pod.machine == Resource::Absent || mutation::on(Mutation::FinishBeforeAbsence) => {
            Decision::Do(Step::Finish)
        }
        Desired::Gone => Decision::Do(Step::Remove),
        Desired::Running if pod.failure.is_some() => failed(pod),
        Desired::Running if pod.ready_at.is_some() => running(pod, now),
        Desired::Running => starting(pod, now),
    }
}

/// The end of a pod that was ready, on a host that is given up. Nobody can say that it ran for longer than it
/// was seen to.
fn given_up(pod: &Pod, view: View, now: Timestamp) -> Option<Step> {
    let HostLost { since, seen } = view.lost?;
    let ready_at = pod.ready_at.filter(|_| pod.status() == PodStatus::Active)?;
    let text = format!(
        "the host of this pod has not answered since {since} and is given up; what the pod runs is stopped when the \
         host is back: delete the pod and create a new one"
    );
    let at = seen.unwrap_or(ready_at).clamp(ready_at, now.max(ready_at));
    Some(Step::Fail(Failure { code: FailureCode::EngineUnreachable, text, at }))
}

/// A failed pod holds nothing. The machine of one that had been ready is kept until the delete,
/// because the user's files are in it. One that runs is stopped: its host was given up and is back, or a start
/// has come through late. It is billed to nobody.
fn failed(pod: &Pod) -> Decision {
    let running = match &pod.machine {
        Resource::Present(machine) => matches!(machine.phase, MachinePhase::Running { .. }),
        _ => false,
    };
    if mutation::on(Mutation::ReleaseBeforeRemove) && pod.placement.is_some() {
        return Decision::Do(Step::Release);
    }
    if pod.ready_at.is_none() && pod.machine != Resource::Absent {
        Decision::Do(Step::Remove)
    } else if running {
        Decision::Do(Step::Stop)
    } else if pod.placement.is_some() {
        Decision::Do(Step::Release)
    } else {
        Decision::Blocked("failed; waits for its delete")
    }
}

fn running(pod: &Pod, now: Timestamp) -> Decision {
    let failure = |code, text: String| Failure { code, text, at: now };
    match &pod.machine {
        Resource::Present(machine) => match &machine.phase {
            MachinePhase::Running { .. } => Decision::Settled,
            // Podman says so of a machine whose last start failed.
            MachinePhase::Created if pod.restarts < limits::RESTARTS_MAX => Decision::Do(Step::Start),
            MachinePhase::Created => {
                let text = "the machine had ended and could not be started again";
                Decision::Do(Step::Fail(failure(FailureCode::MachineExited, text.into())))
            }
            MachinePhase::Exited { .. } if pod.spec.auto_restart && may_restart(pod) => {
                Decision::Do(Step::Start)
            }
            MachinePhase::Exited { code, oom, at, .. } => {
                let mut failure = exit_failure(*code, *oom, at.unwrap_or(now));
                if pod.spec.auto_restart {
                    failure.text += &format!(" (after restart {} of {})", pod.restarts, limits::RESTARTS_MAX);
                }
                Decision::Do(Step::Fail(failure))
            }
        },
        Resource::Absent => Decision::Do(Step::Fail(failure(
            FailureCode::MachineLost,
            "the machine of this pod was removed outside podbay; delete the pod and create a new one".into(),
        ))),
        Resource::Unknown { .. } => Decision::Do(Step::Inspect),
    }
}

fn may_restart(pod: &Pod) -> bool {
    pod.restarts < limits::RESTARTS_MAX || mutation::on(Mutation::RestartForEver)
}

fn is_starting(pod: &Pod) -> bool {
    pod.desired == Desired::Running && pod.failure.is_none() && pod.ready_at.is_none()
}

fn is_overdue(pod: &Pod, now: Timestamp) -> bool {
    now.since(pod.created_at) > limits::PROVISIONING_MAX
}

fn overdue(pod: &Pod, now: Timestamp) -> Step {
    let reason = match (&pod.attempt_failed, &pod.machine) {
        (Some(failure), _) => failure.text.as_str(),
        (None, Resource::Unknown { .. }) => "the container engine does not answer",
        (None, _) => "it was still starting",
    };
    let minutes = limits::PROVISIONING_MAX.as_secs() / 60;
    let text = format!("not ready within {minutes} minutes: {reason}");
    Step::Fail(Failure { code: FailureCode::Deadline, text, at: now })
}

fn starting(pod: &Pod, now: Timestamp) -> Decision {
    if is_overdue(pod, now) {
        return Decision::Do(overdue(pod, now));
    }
    if let Some(failure) = &pod.attempt_failed {
        return match pod.machine {
            Resource::Absent if pod.attempt < limits::ATTEMPTS_MAX => Decision::Do(Step::NextAttempt),
            Resource::Absent => Decision::Do(Step::Fail(Failure {
                text: format!("{} (attempt {} of {})", failure.text, pod.attempt, limits::ATTEMPTS_MAX),
                ..failure.clone()
            })),
            _ => Decision::Do(Step::Remove),
        };
    }
    match (&pod.image, &pod.machine) {
        (Resource::Present(_), Resource::Absent) => Decision::Do(Step::Create),
        (_, Resource::Absent) => Decision::Do(Step::EnsureImage),
        (_, Resource::Present(machine)) => match machine.phase {
            MachinePhase::Created => Decision::Do(Step::Start),
            MachinePhase::Running { .. } => Decision::Do(Step::Probe),
            MachinePhase::Exited { .. } => Decision::Do(Step::Remove),
        },
        (_, Resource::Unknown { .. }) => Decision::Do(Step::Inspect),
    }
}

/// The kernel's kill, as when memory runs out. Podman does not say which it was: never where control groups are of
/// version 1, and not reliably elsewhere.
const EXIT_KILLED: i64 = 137;

/// What a machine's end means, for the user.
pub(super) fn exit_failure(exit: i64, oom: bool, at: Timestamp) -> Failure {
    let (code, text) = if oom {
        let text =
            "the machine ran out of memory and was ended by the kernel; choose an offer with more memory";
        (FailureCode::MachineExited, text.to_owned())
    } else if exit == EXIT_KILLED {
        let text = "the machine was killed (exit code 137), which is mostly because its memory ran out; if nobody \
                    did it, choose an offer with more memory";
        (FailureCode::MachineExited, text.to_owned())
    } else if exit == EXIT_NO_SERVICE {
        let text = "the image has no Jupyter (no program `jupyter-lab` in its PATH): choose an image with \
                    JupyterLab in it, or order without jupyterPassword";
        (FailureCode::NoJupyter, text.to_owned())
    } else {
        (FailureCode::MachineExited, format!("the machine ended by itself with exit code {exit}"))
    };
    Failure { code, text, at }
}

/// How long to wait after `failures` in a row (≥1): doubling between the two named limits.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    limits::BACKOFF_MIN.saturating_mul(1 << doublings).min(limits::BACKOFF_MAX)
}

impl CallError {
    /// The failure that this error is, if it ends an attempt.
    #[must_use]
    pub fn failure(&self, now: Timestamp) -> Failure {
        let (code, text) = match self {
            Self::NotSent(text) => (FailureCode::EngineUnreachable, text),
            Self::Unknown(text) => (FailureCode::Engine, text),
            Self::Refused { code, text, .. } => (*code, text),
        };
        Failure { code, text: text.clone(), at: now }
    }
}

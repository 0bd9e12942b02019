//! A pod: what was asked for, where it was put, what is known of its machine.
//!
//! ```text
//!            create                    SSH banner seen
//!   ── ─▶ PROVISIONING ───────────────────────────────────▶ ACTIVE
//!            │   ▲ attempt n+1, while n < ATTEMPTS_MAX        │
//!            │   └──────┐                                     │ machine ended by itself
//!            │ attempt n failed                               │ (and no autoRestart)
//!            ▼          │                                     ▼
//!          (attempt_failed) ──── permanent, or the last ──▶ ERROR
//!
//!   from every state: delete ─▶ DELETING ─ absence confirmed ─▶ TERMINATED (history)
//!                                  └────── ended by force ─────────▲
//! ```
//!
//! | state | deadline | and then | while the engine does not answer |
//! |---|---|---|---|
//! | PROVISIONING | `PROVISIONING_MAX`; `PROBE_MAX` for SSH, `ATTEMPTS_MAX` attempts | ERROR | the same |
//! | ACTIVE | none | | stays so: a lost host is not a dead pod; ERROR after the owner's grace, if that is the policy |
//! | ERROR | none | waits for its delete, with its files | keeps its place if its machine may run |
//! | DELETING | none; an audit finding (P6) after `STUCK_GRACE` | | stays so; force after `HOST_SILENT_AFTER` |
//!
//! An end by force, by the owner of the installation, is the one that does not wait for absence
//! (`docs/decisions/0008`): what the pod held is given to nobody until the sweep has seen the host without it.
//!
//! Who may move what: the verbs write `desired` and `generation`; the reconciler alone writes
//! everything below `placement`, under a compare-and-set on `version`. The wire status is
//! derived by [`Pod::status`] and stored nowhere.

mod learn;
mod plan;
mod spec;

pub use learn::{Effects, Learned, UsageChange, has_gap, learn, mark_unknown};
pub use plan::{Decision, HostLost, Step, View, backoff, plan};
pub use spec::{FromTemplate, NamedPort, PodSpec, PortSpec, Sharing};

use crate::published::{InstallationStatus, PodStatus, Protocol};
use crate::{HostId, Owner, PodId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the user wants of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Up, and reachable by SSH.
    Running,
    /// Deleted; there is no way back.
    Gone,
}

/// What is known of something outside. `Unknown` is written before each call that may change it,
/// and only an answer or an inspection clears it: whatever is lost, the doubt is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource<T> {
    /// Surely not there.
    Absent,
    /// It may be there.
    Unknown {
        /// When the doubt began.
        since: Timestamp,
    },
    /// Last seen like this.
    Present(T),
}

/// An image as it lies on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFact {
    /// Content digest that the reference was resolved to, once.
    pub digest: String,
    /// ENTRYPOINT and CMD.
    pub command: Vec<String>,
    /// USER, empty for root.
    pub user: String,
    /// WORKDIR.
    pub working_dir: Option<String>,
    /// EXPOSE.
    pub exposed: Vec<PortSpec>,
}

/// The machine (container) of a pod as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFact {
    /// What the provider calls it.
    pub handle: String,
    /// How far it is.
    pub phase: MachinePhase,
    /// When this was seen.
    pub seen_at: Timestamp,
}

/// How far a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum MachinePhase {
    /// Made, never started.
    Created,
    /// Its first process runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// Its first process has ended.
    Exited {
        /// Exit code, 128 + signal if killed.
        code: i64,
        /// The kernel killed it for memory.
        oom: bool,
        /// When it ended; `None` where the engine does not know (the host went down with it).
        at: Option<Timestamp>,
        /// Since when it had run; `None` where the engine does not know.
        #[serde(default)]
        started_at: Option<Timestamp>,
    },
}

impl MachinePhase {
    /// Whether a machine that was seen like this, and is seen like `now`, has ended and been started again
    /// in between.
    #[must_use]
    pub fn was_restarted(&self, now: &Self) -> bool {
        let Self::Running { started_at: before } = self else { return false };
        match now {
            Self::Running { started_at } | Self::Exited { started_at: Some(started_at), .. } => {
                started_at > before
            }
            Self::Created | Self::Exited { started_at: None, .. } => false,
        }
    }
}

/// Why something failed: a code that programs branch on and a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: FailureCode,
    /// What happened and what to do, in one line.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// The kinds of failure that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The reference is no image reference.
    ImageReference,
    /// No such image.
    ImageNotFound,
    /// The registry wants other credentials.
    ImageDenied,
    /// The image is for another platform.
    ImagePlatform,
    /// The image could not be fetched.
    ImagePull,
    /// A host port was taken by somebody else.
    PortTaken,
    /// The host's disk is full.
    DiskFull,
    /// The volume of a persistent disk is not there any more.
    DiskLost,
    /// The engine refused.
    Engine,
    /// The engine did not answer. Of a pod that was ready: for so long that its owner gives it up.
    EngineUnreachable,
    /// No SSH banner in time.
    NotReachable,
    /// The machine ended by itself.
    MachineExited,
    /// A notebook server was asked for, and the image has none.
    NoJupyter,
    /// The machine was removed by somebody else.
    MachineLost,
    /// Starting took too long.
    Deadline,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a provider call answered, when it did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It surely had no effect: the call never reached the other side.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have had its effect.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// It was understood and refused, without effect.
    #[error("refused: {text}")]
    Refused {
        /// What kind of refusal.
        code: FailureCode,
        /// Whether trying again can only give the same answer.
        permanent: bool,
        /// What the other side said.
        text: String,
    },
}

/// One port of the pod that is reachable from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Inside the pod.
    pub internal: u16,
    /// On the host.
    pub external: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// One GPU that a pod holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuSlot {
    /// The driver's unique name of the GPU.
    pub uuid: String,
    /// Its number on the host.
    pub index: u32,
}

/// What was set aside for a pod, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The host.
    pub host: HostId,
    /// Its GPUs.
    pub gpus: Vec<GpuSlot>,
    /// Host ports; the one with `internal` 22 is SSH.
    pub ports: Vec<PublishedPort>,
}

impl Placement {
    /// The port on the host that leads to SSH.
    #[must_use]
    pub fn ssh_port(&self) -> Option<u16> {
        self.ports.iter().find(|port| port.internal == SSH_PORT).map(|port| port.external)
    }
}

/// The port inside every pod on which the agent speaks SSH.
pub const SSH_PORT: u16 = 22;

/// The port inside a pod on which a notebook server listens.
pub const JUPYTER_PORT: u16 = 8888;

/// Exit code of the agent when the image lacks the service that the pod was ordered with. No other
/// end of the agent has it, and the agent's is the only exit code that a machine can have.
pub const EXIT_NO_SERVICE: i64 = 117;

/// A pod, whole: one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Id.
    pub id: PodId,
    /// Who made it.
    pub user_id: UserId,
    /// The team that owns it.
    pub team_id: Option<TeamId>,
    /// What was asked for; never changes.
    pub spec: PodSpec,
    /// What is wanted now.
    pub desired: Desired,
    /// Counts the user's changes of mind.
    pub generation: i64,
    /// Where it was placed; that never changes.
    pub host: HostId,
    /// What was set aside; `None` once it was given back.
    pub placement: Option<Placement>,
    /// The image on the host.
    pub image: Resource<ImageFact>,
    /// What the image's reference was resolved to by the first fetch that came through. Later
    /// attempts fetch this one, whatever the tag names by then.
    pub image_digest: Option<String>,
    /// The machine.
    pub machine: Resource<MachineFact>,
    /// Number of the current installation attempt, from 1.
    pub attempt: u32,
    /// Why this attempt must be cleared away; the next one follows.
    pub attempt_failed: Option<Failure>,
    /// Why there will be no further attempt.
    pub failure: Option<Failure>,
    /// Installation progress of this attempt, 0–100.
    pub progress: u8,
    /// When SSH first answered through the published address.
    pub ready_at: Option<Timestamp>,
    /// Times the machine was started again after it had ended by itself (`autoRestart`).
    pub restarts: u32,
    /// Calls in a row that did not get through.
    pub setbacks: u32,
    /// Nothing is done for this pod before.
    pub next_at: Timestamp,
    /// Row version, for compare-and-set by the reconciler.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// When the absence of its machine was confirmed after a delete.
    pub terminated_at: Option<Timestamp>,
}

/// See [`Pod::machine_name`].
#[must_use]
pub fn machine_name(pod: &PodId, attempt: u32) -> String {
    format!("podbay-{pod}-{attempt}")
}

impl Pod {
    /// A pod as the create verb stores it.
    #[must_use]
    pub fn new(id: PodId, user_id: UserId, spec: PodSpec, placement: Placement, now: Timestamp) -> Self {
        Self {
            id,
            user_id,
            team_id: None,
            spec,
            desired: Desired::Running,
            generation: 1,
            host: placement.host.clone(),
            placement: Some(placement),
            image: Resource::Absent,
            image_digest: None,
            machine: Resource::Absent,
            attempt: 1,
            attempt_failed: None,
            failure: None,
            progress: 0,
            ready_at: None,
            restarts: 0,
            setbacks: 0,
            next_at: now,
            version: 1,
            created_at: now,
            updated_at: now,
            terminated_at: None,
        }
    }

    /// Who it belongs to and who pays for it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match &self.team_id {
            Some(team) => Owner::Team(team.clone()),
            None => Owner::User(self.user_id.clone()),
        }
    }

    /// Whether its owner has given it up with its host. A word of its own in the row would keep the release
    /// before from reading it.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        let failure = self.failure.as_ref().filter(|_| self.ready_at.is_some());
        failure.is_some_and(|failure| failure.code == FailureCode::EngineUnreachable)
    }

    /// The published status, derived.
    #[must_use]
    pub fn status(&self) -> PodStatus {
        if self.terminated_at.is_some() {
            PodStatus::Terminated
        } else if self.desired == Desired::Gone {
            PodStatus::Deleting
        } else if self.failure.is_some() {
            PodStatus::Error
        } else if self.ready_at.is_some() {
            PodStatus::Active
        } else {
            PodStatus::Provisioning
        }
    }

    /// The published installation status, derived.
    #[must_use]
    pub fn installation_status(&self) -> InstallationStatus {
        match self.status() {
            PodStatus::Terminated => InstallationStatus::Terminated,
            PodStatus::Error => InstallationStatus::Error,
            PodStatus::Active => InstallationStatus::Finished,
            _ if self.ready_at.is_some() => InstallationStatus::Finished,
            _ => InstallationStatus::Pending,
        }
    }

    /// Name of the container of the current attempt: a function of pod and attempt, so that a
    /// create whose reply was lost is found again.
    #[must_use]
    pub fn machine_name(&self) -> String {
        machine_name(&self.id, self.attempt)
    }

    /// The login name of the SSH connection: the image's user, root if it names none.
    #[must_use]
    pub fn login(&self) -> &str {
        match &self.image {
            Resource::Present(image) => {
                let user = image.user.split(':').next().unwrap_or_default();
                if user.is_empty() || user == "0" { "root" } else { user }
            }
            _ => "root",
        }
    }
}

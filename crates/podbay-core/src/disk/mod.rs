//! A persistent disk: what was asked for, and what is known of its volume.
//!
//! ```text
//!            create                 volume confirmed
//!   ── ─▶ PROVISIONING ──────────────────────────────▶ ACTIVE ◀─┐
//!            │  ▲ not through: again, later              │      │ seen again
//!            │  └───────┐                                │ removed outside podbay
//!            ▼          │                                ▼      │
//!         refused for good ───────────────────────────▶ ERROR ──┘
//!
//!   from every state: delete ─▶ DELETING ─ absence confirmed ─▶ TERMINATED
//! ```
//!
//! It is built like a [`crate::pod`], and the same holds: verbs write `desired`, `generation`, the
//! name and the size; the reconciler alone writes the rest, under a compare-and-set on `version`.
//!
//! **Invariants.** A volume is made once: one that was there and is not any more is never made
//! again, since an empty one in its place would look like the user's data. A volume is removed
//! only after a delete.

mod learn;
mod plan;

pub use learn::{Effects, Learned, learn, mark_unknown};
pub use plan::{Decision, Step, plan};

use crate::pod::{Failure, Resource};
use crate::published::PodStatus;
use crate::{DiskId, HostId, Micros, Owner, PodId, PricePerHour, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// What the user wants of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// There, with what is on it.
    Present,
    /// Deleted, and everything on it; there is no way back.
    Gone,
}

/// The volume of a disk as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFact {
    /// What the provider calls it.
    pub name: String,
    /// The size in GB that the provider holds it to; `None` where it cannot, and the size is an
    /// agreement.
    pub held_gb: Option<u32>,
}

/// A disk, whole: one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Id.
    pub id: DiskId,
    /// Who made it.
    pub user_id: UserId,
    /// The team that owns it.
    pub team_id: Option<TeamId>,
    /// Where it is.
    pub host_id: HostId,
    /// Display name.
    pub name: String,
    /// Size in GB (2³⁰ bytes).
    pub size_gb: u32,
    /// Price of one GB per hour, as it was at create.
    pub price_gb: PricePerHour,
    /// What is wanted now.
    pub desired: Desired,
    /// Counts the user's changes of mind.
    pub generation: i64,
    /// The volume.
    pub volume: Resource<VolumeFact>,
    /// Why it cannot be used.
    pub failure: Option<Failure>,
    /// When the volume was first seen.
    pub ready_at: Option<Timestamp>,
    /// Calls in a row that did not get through.
    pub setbacks: u32,
    /// Nothing is done for this disk before.
    pub next_at: Timestamp,
    /// Row version, for compare-and-set by the reconciler.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// When the absence of its volume was confirmed after a delete.
    pub terminated_at: Option<Timestamp>,
}

/// A disk at a pod, from the create of the pod until its machine is surely gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The disk.
    pub disk_id: DiskId,
    /// The pod.
    pub pod_id: PodId,
    /// Where it is in the pod.
    pub mount_path: String,
}

impl Disk {
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

    /// Who it belongs to and who pays for it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match &self.team_id {
            Some(team) => Owner::Team(team.clone()),
            None => Owner::User(self.user_id.clone()),
        }
    }

    /// What it costs per hour at its present size.
    #[must_use]
    pub fn price(&self) -> PricePerHour {
        Micros(self.price_gb.0.saturating_mul(i64::from(self.size_gb)))
    }

    /// The size that the provider holds the volume to, if it does.
    #[must_use]
    pub fn held_gb(&self) -> Option<u32> {
        match &self.volume {
            Resource::Present(fact) => fact.held_gb,
            _ => None,
        }
    }

    /// Name of its volume: a function of the id, so that a create whose reply was lost is found
    /// again.
    #[must_use]
    pub fn volume_name(&self) -> String {
        volume_name(&self.id)
    }
}

/// Name of the volume of a disk.
#[must_use]
pub fn volume_name(id: &DiskId) -> String {
    format!("podbay-disk-{id}")
}

/// Where the disk at that place of an order (from 0) is in the pod: `/workspace`, `/workspace-2`, …
#[must_use]
pub fn mount_path(place: usize) -> String {
    if place == 0 { "/workspace".into() } else { format!("/workspace-{}", place + 1) }
}

//! The decision: from what is known of a disk to the one thing to do next.

use super::{Desired, Disk};
use crate::pod::{Failure, FailureCode, Resource, View};
use crate::{Timestamp, limits};

/// One thing to do. Closed: whoever carries steps out must handle each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the provider what is there under the volume's name.
    Inspect,
    /// Make the volume.
    Create,
    /// Remove it, and everything on it.
    Remove,
    /// Say that it cannot be used (rows only).
    Fail(Failure),
    /// The disk is gone: give back what it held (rows only).
    Finish,
}

/// What to do about a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This, now.
    Do(Step),
    /// Nothing before that time.
    Wait {
        /// When to look again.
        until: Timestamp,
    },
    /// As desired, or beyond what podbay may do; the sweep says if that changes.
    Settled,
}

/// The one thing to do next for `disk` at `now`.
///
/// Safety, held by the property tests: nothing is made while the volume is Unknown, after it was
/// ready, or after a delete; nothing is removed before one; no end before absence is known.
#[must_use]
pub fn plan(disk: &Disk, view: View, now: Timestamp) -> Decision {
    if disk.terminated_at.is_some() {
        return Decision::Settled;
    }
    // A wait that is longer than any is one that began before the clock jumped back.
    if now < disk.next_at && disk.next_at.since(now) <= limits::BACKOFF_MAX {
        return Decision::Wait { until: disk.next_at };
    }
    if view.suspect || matches!(disk.volume, Resource::Unknown { .. }) {
        return Decision::Do(Step::Inspect);
    }
    match (disk.desired, &disk.volume) {
        (Desired::Gone, Resource::Absent) => Decision::Do(Step::Finish),
        (Desired::Gone, _) => Decision::Do(Step::Remove),
        (Desired::Present, Resource::Absent) if disk.failure.is_some() => Decision::Settled,
        (Desired::Present, Resource::Absent) if disk.ready_at.is_some() => {
            Decision::Do(Step::Fail(Failure {
                code: FailureCode::DiskLost,
                text: "the volume of this disk was removed outside podbay; bring it back, or delete the disk"
                    .into(),
                at: now,
            }))
        }
        (Desired::Present, Resource::Absent) => Decision::Do(Step::Create),
        (Desired::Present, _) => Decision::Settled,
    }
}

//! `/disks`.

use super::{Operation, delete, get, number, patch, post};
use crate::disks::{CreateDisk, Disk, PatchDisk};
use crate::events::PodEvent;
use crate::paths::{DISK, DISK_EVENTS, DISKS};
use crate::pods::Deleted;
use crate::{Data, OffsetPage};
use podbay_core::limits::PAGE_LIMIT_DEFAULT;
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(DISKS, "listDisks", "Live persistent disks")
            .about("Newest first.")
            .asks_for_part()
            .gives::<OffsetPage<Disk>>(),
        post(DISKS, "createDisk", "Order a persistent disk")
            .about(
                "Answers at once, with status PROVISIONING. Once it is ACTIVE, `disks` in the order of a pod \
                 attaches it. Unknown keys are ignored, but refused within `disk`.",
            )
            .takes::<CreateDisk>(json!({
                "disk": { "size": 100, "name": "data" },
                "provider": { "type": "primecompute" },
            }))
            .refuses(402, "The wallet that pays for it has not enough.")
            .refuses(409, "No capacity (the text says what is free).")
            .gives::<Disk>(),
        get(DISK, "getDisk", "One live persistent disk").gives::<Disk>(),
        patch(DISK, "updateDisk", "Rename or grow a persistent disk")
            .about("At least one of the two. What is grown costs more from that moment; nothing shrinks.")
            .takes::<PatchDisk>(json!({ "name": "data", "size": 200 }))
            .refuses(402, "The wallet that pays for it has not enough.")
            .refuses(409, "No capacity, not ACTIVE, or held to its size by the storage driver.")
            .gives::<Disk>(),
        delete(DISK, "deleteDisk", "Delete a persistent disk and everything on it")
            .refuses(409, "Pods have it; the text names them.")
            .gives::<Deleted>(),
        get(DISK_EVENTS, "listDiskEvents", "What happened to a persistent disk")
            .about("Oldest first.")
            .asks("after", "Only events after the one with this `seq`.", &number(0, 0))
            .asks("limit", "Most events.", &number(0, PAGE_LIMIT_DEFAULT))
            .gives::<Data<Vec<PodEvent>>>()
            .ours(),
    ]
}

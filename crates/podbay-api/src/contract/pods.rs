//! `/pods`.

use super::{Operation, delete, get, list, number, one_of, post, text};
use crate::events::PodEvent;
use crate::paths::{POD, POD_EVENTS, POD_LOG, POD_LOGS, PODS, PODS_HISTORY, PODS_STATUS};
use crate::pods::{CreatePod, Deleted, HistoryEntry, LogReply, Pod, PodStatusRow};
use crate::{Data, OffsetPage};
use podbay_core::limits::{LOG_TAIL_DEFAULT, PAGE_LIMIT_DEFAULT};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let default = |words: &[&str]| {
        let mut schema = one_of(words);
        schema["default"] = words[0].into();
        schema
    };
    let log = |path, id| {
        get(path, id, "The log of a pod")
            .about("What the command of the pod's image wrote, and how it ended.")
            .asks("tail", "Most lines, counted from the end.", &number(0, LOG_TAIL_DEFAULT))
            .gives::<LogReply>()
    };
    vec![
        get(PODS, "listPods", "Live pods").about("Newest first.").asks_for_part().gives::<OffsetPage<Pod>>(),
        post(PODS, "createPod", "Order a pod")
            .about(
                "Answers at once, with status PROVISIONING. Offer, type, socket and count are those of a row of \
                 the availability call. Unknown keys are ignored, but refused within `pod`.",
            )
            .takes::<CreatePod>(json!({
                "pod": { "name": "my first pod", "cloudId": "cpu-1x2", "gpuType": "CPU_NODE", "socket": "PCIe",
                    "gpuCount": 1 },
                "provider": { "type": "primecompute" },
            }))
            .refuses(402, "The wallet that pays for it has not enough.")
            .refuses(409, "No capacity (the text says what is free), or a price above `maxPrice`.")
            .gives::<Pod>(),
        get(PODS_STATUS, "listPodStatuses", "Status of several pods")
            .about("Pods that are gone are left out.")
            .asks("pod_ids", "Which pods; all live ones if none is named.", &list(&text()))
            .gives::<Data<Vec<PodStatusRow>>>(),
        get(PODS_HISTORY, "listPodHistory", "Pods that have ended")
            .asks("sort_by", "What to sort by.", &default(&["terminatedAt", "createdAt"]))
            .asks("sort_order", "Which way.", &default(&["desc", "asc"]))
            .asks_for_part()
            .gives::<OffsetPage<HistoryEntry>>(),
        get(POD, "getPod", "One live pod").gives::<Pod>(),
        delete(POD, "deletePod", "Delete a pod")
            .about("Works in every state. A pod that is gone is not found.")
            .asks(
                "force",
                "For the owner of the installation: end it without waiting for a machine that cannot be \
                 confirmed to be gone, because its host is lost.",
                &json!({ "type": "boolean", "default": false }),
            )
            .refuses(409, "Force is not called for: a plain delete can do it.")
            .gives::<Deleted>(),
        log(POD_LOG, "getPodLog"),
        log(POD_LOGS, "getPodLogs").ours(),
        get(POD_EVENTS, "listPodEvents", "What happened to a pod")
            .about("Oldest first: attempts, reasons, and the last words of what failed.")
            .asks("after", "Only events after the one with this `seq`.", &number(0, 0))
            .asks("limit", "Most events.", &number(0, PAGE_LIMIT_DEFAULT))
            .gives::<Data<Vec<PodEvent>>>()
            .ours(),
    ]
}

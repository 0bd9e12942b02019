//! Tables of pods.

use crate::output::{Rows, dollars, or_none, time};
use crate::wait::stage;
use podbay_api::events::PodEvent;
use podbay_api::pods::{Deleted, HistoryEntry, Pod, PodStatusRow};
use podbay_api::{OneOrMany, Term};
use podbay_core::published::{GpuType, PodStatus};
use serde::Serialize;

/// GPU model and number as people write them: `2 × H100_80GB`, `CPU`.
pub fn gpu(pod: &Pod) -> String {
    if pod.gpu_name.is(GpuType::CpuNode) {
        return "CPU".to_owned();
    }
    format!("{} × {}", pod.gpu_count, pod.gpu_name)
}

/// Where a pod is in its life, with the percentage while it moves.
pub fn status(pod: &Pod) -> String {
    stage(&pod.status.to_string(), Some(&pod.installation_status.to_string()), pod.installation_progress)
}

fn address(connection: Option<&OneOrMany>) -> String {
    or_none(connection.and_then(OneOrMany::first))
}

pub fn pods(pods: &[Pod]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "STATUS", "GPU", "PRICE/H", "SSH", "ORDERED"]);
    for pod in pods {
        rows.push(vec![
            pod.id.clone(),
            pod.name.clone(),
            status(pod),
            gpu(pod),
            dollars(pod.price_hr),
            address(pod.ssh_connection.as_ref()),
            time(&pod.created_at),
        ]);
    }
    rows
}

pub fn statuses(statuses: &[PodStatusRow]) -> Rows {
    let mut rows = Rows::new(&["ID", "STATUS", "SSH", "PRICE/H", "FAILURE"]);
    for row in statuses {
        let installation = row.installation_status.as_ref().map(ToString::to_string);
        rows.push(vec![
            row.pod_id.clone(),
            stage(&row.status.to_string(), installation.as_deref(), row.installation_progress),
            address(row.ssh_connection.as_ref()),
            or_none(row.price_hr.map(dollars)),
            or_none(row.installation_failure.as_ref()),
        ]);
    }
    rows
}

pub fn events(events: &[PodEvent]) -> Rows {
    let mut rows = Rows::new(&["NUMBER", "AT", "KIND", "WHAT"]);
    for event in events {
        rows.push(vec![event.seq.to_string(), time(&event.at), event.kind.clone(), event.text.clone()]);
    }
    rows
}

pub fn history(entries: &[HistoryEntry]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "GPU", "ORDERED", "ENDED", "PRICE/H", "BILLED", "BY"]);
    for entry in entries {
        let cpu = entry.gpu_name == GpuType::CpuNode.as_str();
        let gpu = if cpu { "CPU".to_owned() } else { format!("{} × {}", entry.gpu_count, entry.gpu_name) };
        rows.push(vec![
            entry.id.clone(),
            entry.name.clone(),
            gpu,
            time(&entry.created_at),
            or_none(entry.terminated_at.as_deref().map(time)),
            dollars(entry.price_hr),
            dollars(entry.total_billed_price),
            or_none(entry.provisioned_by.as_ref()),
        ]);
    }
    rows
}

/// A pod that was deleted, and what the server said to it.
#[derive(Serialize)]
pub struct Deletion {
    id: String,
    name: String,
    status: Term<PodStatus>,
}

impl Deletion {
    /// What `deleted` says of a pod.
    pub fn of(id: &str, name: &str, deleted: Deleted) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), status: deleted.status }
    }
}

pub fn deletions(deletions: &[Deletion]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "STATUS"]);
    for deletion in deletions {
        rows.push(vec![deletion.id.clone(), deletion.name.clone(), deletion.status.to_string()]);
    }
    rows
}

//! One pod in full, and its log.

use super::list::{gpu, status};
use crate::output::{NONE, details, dollars, or_none, time};
use crate::printable;
use podbay_api::OneOrMany;
use podbay_api::pods::{AttachedResource, LogReply, Pod, PortMapping, Resources};

pub fn pod(pod: &Pod) -> String {
    let Resources { memory, disk, vcpus, .. } = pod.resources.unwrap_or_default();
    let gb = |size: Option<u32>| or_none(size.map(|size| format!("{size} GB")));
    let first = |text: &Option<OneOrMany>| or_none(text.as_ref().and_then(OneOrMany::first));
    let mut values = vec![
        ("id", pod.id.clone()),
        ("name", pod.name.clone()),
        ("status", status(pod)),
        ("gpu", gpu(pod)),
        ("vcpus", or_none(vcpus)),
        ("memory", gb(memory)),
        ("disk", gb(disk)),
        ("image", or_none(pod.environment_type.as_ref())),
        ("price/h", dollars(pod.price_hr)),
        ("ssh", first(&pod.ssh_connection)),
        ("ip", first(&pod.ip)),
        ("ports", ports(&pod.prime_port_mapping)),
        ("disks", disks(&pod.attached_resources)),
        ("auto restart", if pod.auto_restart == Some(true) { "yes" } else { "no" }.to_owned()),
        ("team", or_none(pod.team_id.as_ref())),
        ("ordered", time(&pod.created_at)),
        ("changed", time(&pod.updated_at)),
    ];
    if let Some(failure) = &pod.installation_failure {
        values.push(("failure", failure.clone()));
    }
    details(&values)
}

fn ports(mappings: &[PortMapping]) -> String {
    if mappings.is_empty() {
        return NONE.to_owned();
    }
    let port = |port: &PortMapping| format!("{}→{}/{}", port.internal, port.external, port.protocol);
    mappings.iter().map(port).collect::<Vec<_>>().join(", ")
}

fn disks(attached: &[AttachedResource]) -> String {
    if attached.is_empty() {
        return NONE.to_owned();
    }
    let disk = |disk: &AttachedResource| format!("{} at {}", disk.id, or_none(disk.mount_path.as_ref()));
    attached.iter().map(disk).collect::<Vec<_>>().join(", ")
}

/// The lines; as they are if `raw`.
pub fn log(log: &LogReply, raw: bool) -> String {
    let line = |line: &str| if raw { line.to_owned() } else { printable::log(line) };
    log.logs.iter().map(|entry| line(&entry.line) + "\n").collect()
}

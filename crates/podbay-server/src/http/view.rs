//! From rows to what the wire says. The only place that knows both.

use crate::app::App;
use crate::app::disks::{Attached, CLOUD_ID, Shown};
use crate::app::offers::{Stocked, open};
use crate::app::pods::Past;
use crate::app::wallet;
use podbay_api::availability::{CustomSpecValue, DiskAvailability, GpuAvailability, Prices};
use podbay_api::disks::{Disk as WireDisk, DiskInfo};
use podbay_api::events::PodEvent;
use podbay_api::pods::{
    AttachedResource, HistoryEntry, LogLine, LogReply, LogStream, Pod as WirePod, PodStatusRow, PodType,
    PortMapping, ResourceType, Resources,
};
use podbay_api::{OffsetPage, OneOrMany};
use podbay_core::place::{CpuSize, Terms};
use podbay_core::pod::{MachinePhase, NamedPort, Pod, PublishedPort, Resource, SSH_PORT};
use podbay_core::published::{
    AttachableStatus, AttachableType, Currency, PodStatus, ProviderType, Security, StockStatus, UsedBy,
};
use podbay_core::{PodId, Timestamp};
use podbay_provider::Logs;
use podbay_store::{Event, HostState, Page};
use std::collections::HashMap;

/// A pod as the published calls show it; `attached` has its disks, and may have other pods'.
pub(super) fn pod(app: &App, pod: &Pod, attached: &HashMap<PodId, Vec<Attached>>) -> WirePod {
    let (ssh, ip) = reach(app, pod);
    WirePod {
        id: pod.id.to_string(),
        user_id: pod.user_id.to_string(),
        team_id: pod.team_id.as_ref().map(ToString::to_string),
        wallet_id: Some(wallet::id(&pod.owner()).to_string()),
        name: pod.spec.name.clone(),
        kind: PodType::Hosted.into(),
        provider_type: ProviderType::Primecompute.into(),
        status: pod.status().into(),
        installation_status: pod.installation_status().into(),
        installation_failure: failure(pod),
        installation_progress: Some(pod.progress),
        created_at: pod.created_at.to_string(),
        updated_at: pod.updated_at.to_string(),
        terminated_at: pod.terminated_at.map(|at| at.to_string()),
        gpu_name: pod.spec.gpu_type.into(),
        gpu_count: pod.spec.gpu_count,
        socket: Some(pod.spec.socket.into()),
        price_hr: pod.spec.price.dollars(),
        stopped_price_hr: None,
        provisioning_price_hr: Some(0.0),
        environment_type: Some(pod.spec.image.into()),
        custom_template_id: pod.spec.template.as_ref().map(|template| template.id.to_string()),
        cluster_id: None,
        prime_port_mapping: ports(pod),
        ssh_connection: ssh.map(OneOrMany::One),
        ip: ip.map(OneOrMany::One),
        resources: Some(Resources {
            memory: Some(pod.spec.memory_gb),
            disk: Some(pod.spec.disk_gb),
            shared_disk: None,
            vcpus: Some(pod.spec.vcpus),
        }),
        attached_resources: attached
            .get(&pod.id)
            .into_iter()
            .flatten()
            .map(|disk| disk_at(pod, disk))
            .collect(),
        is_spot: Some(false),
        auto_restart: Some(pod.spec.auto_restart),
    }
}

/// A disk at a pod: ATTACHED by the order, MOUNTED while the machine runs.
fn disk_at(pod: &Pod, disk: &Attached) -> AttachedResource {
    let runs = match &pod.machine {
        Resource::Present(machine) => matches!(machine.phase, MachinePhase::Running { .. }),
        _ => false,
    };
    AttachedResource {
        kind: AttachableType::Disk.into(),
        id: disk.attachment.disk_id.to_string(),
        status: if runs { AttachableStatus::Mounted } else { AttachableStatus::Attached }.into(),
        is_detachable: true,
        mount_path: Some(disk.attachment.mount_path.clone()),
        resource_path: None,
        size: Some(disk.size_gb),
        is_shared: Some(disk.is_shared),
    }
}

/// A persistent disk.
pub(super) fn disk(app: &App, shown: &Shown) -> WireDisk {
    let (disk, place) = (&shown.disk, &app.config.place);
    WireDisk {
        id: disk.id.to_string(),
        name: disk.name.clone(),
        created_at: disk.created_at.to_string(),
        updated_at: disk.updated_at.to_string(),
        terminated_at: disk.terminated_at.as_ref().map(Timestamp::to_string),
        status: disk.status().into(),
        provider_type: ProviderType::Primecompute.into(),
        size: disk.size_gb,
        info: Some(DiskInfo {
            country: place.country.clone(),
            data_center_id: place.data_center.clone(),
            cloud_id: Some(CLOUD_ID.into()),
            is_multinode: true,
            size_held: disk.ready_at.map(|_| disk.held_gb().is_some()),
            failure: disk.failure.as_ref().map(|failure| failure.text.clone()),
        }),
        price_hr: Some(disk.price().dollars()),
        stopped_price_hr: None,
        provisioning_price_hr: Some(0.0),
        user_id: Some(disk.user_id.to_string()),
        team_id: disk.team_id.as_ref().map(ToString::to_string),
        wallet_id: Some(wallet::id(&disk.owner()).to_string()),
        pods: shown.pods.iter().map(ToString::to_string).collect(),
        clusters: Vec::new(),
    }
}

/// The offer of disks, with what fits now.
pub(super) fn disk_offer(app: &App, terms: &Terms, hosts: &[HostState]) -> DiskAvailability {
    let disks = app.config.disks;
    // A disk is on one host.
    let room = open(hosts).map(|(_, free)| free.disk_gb).max().unwrap_or(0);
    let most = disks.size_max_gb.min(room);
    let held = if hosts.iter().all(|host| host.facts.volume_quota) {
        "held by the storage driver"
    } else {
        "agreed, and not enforced by the engine"
    };
    DiskAvailability {
        cloud_id: Some(CLOUD_ID.into()),
        provider: ProviderType::Primecompute.into(),
        data_center: terms.data_center.clone(),
        country: terms.country.clone(),
        region: terms.region.map(Into::into),
        spec: CustomSpecValue {
            min_count: Some(1),
            default_count: Some(disks.size_default_gb.min(most)),
            max_count: Some(most),
            price_per_unit: Some(app.config.price_disk_gb().dollars()),
            step: Some(1),
            default_included_in_price: Some(false),
            additional_info: Some(format!("sizes in GB (2^30 bytes) are {held}")),
        },
        stock_status: if room > 0 { StockStatus::Available } else { StockStatus::Unavailable }.into(),
        security: terms.security.into(),
        is_multinode: true,
    }
}

/// Something that happened.
pub(super) fn event(event: Event) -> PodEvent {
    PodEvent { seq: event.seq, at: event.at.to_string(), kind: event.kind, text: event.text }
}

/// A row of the status call.
pub(super) fn status(app: &App, pod: &Pod) -> PodStatusRow {
    let (ssh, ip) = reach(app, pod);
    PodStatusRow {
        pod_id: pod.id.to_string(),
        provider_type: ProviderType::Primecompute.into(),
        status: pod.status().into(),
        ssh_connection: ssh.map(OneOrMany::One),
        ip: ip.map(OneOrMany::One),
        price_hr: Some(pod.spec.price.dollars()),
        cost_per_hr: Some(pod.spec.price.dollars()),
        prime_port_mapping: ports(pod),
        installation_status: Some(pod.installation_status().into()),
        installation_failure: failure(pod),
        installation_progress: Some(pod.progress),
    }
}

/// `user@host -p port` and the address: both or neither, and only once SSH has answered.
fn reach(app: &App, pod: &Pod) -> (Option<String>, Option<String>) {
    let port = pod.placement.as_ref().and_then(|placement| placement.ssh_port());
    match (pod.status(), port) {
        (PodStatus::Active, Some(port)) => {
            let ip = app.config.advertised();
            (Some(format!("{}@{ip} -p {port}", pod.login())), Some(ip.to_string()))
        }
        _ => (None, None),
    }
}

fn failure(pod: &Pod) -> Option<String> {
    pod.failure.as_ref().map(|failure| failure.text.clone())
}

/// Ports appear with the connection: before, nothing answers behind them.
fn ports(pod: &Pod) -> Vec<PortMapping> {
    let shown = pod.placement.as_ref().filter(|_| pod.status() == PodStatus::Active);
    shown.into_iter().flat_map(|placement| &placement.ports).map(|published| port(pod, published)).collect()
}

fn port(pod: &Pod, port: &PublishedPort) -> PortMapping {
    let same =
        |named: &&NamedPort| (named.port.number, named.port.protocol) == (port.internal, port.protocol);
    let named = pod.spec.ports.iter().find(same);
    let ssh = (port.internal == SSH_PORT).then_some(UsedBy::Ssh);
    PortMapping {
        internal: port.internal.to_string(),
        external: port.external.to_string(),
        protocol: port.protocol.into(),
        used_by: ssh.or(named.and_then(|named| named.used_by)).map(Into::into),
        description: Some(named.and_then(|named| named.description.clone()).unwrap_or_default()),
    }
}

/// A row of the history.
pub(super) fn past(past: &Past) -> HistoryEntry {
    let pod = &past.pod;
    HistoryEntry {
        id: pod.id.to_string(),
        name: pod.spec.name.clone(),
        provider_type: ProviderType::Primecompute.into(),
        provisioned_by: past.made_by.clone(),
        kind: ResourceType::Instance.into(),
        created_at: pod.created_at.to_string(),
        terminated_at: pod.terminated_at.map(|at| at.to_string()),
        gpu_name: pod.spec.gpu_type.to_string(),
        gpu_count: pod.spec.gpu_count,
        socket: Some(pod.spec.socket.into()),
        price_hr: past.total.average.dollars(),
        user_id: pod.user_id.to_string(),
        team_id: pod.team_id.as_ref().map(ToString::to_string),
        total_billed_price: past.total.billed.dollars(),
    }
}

/// An offer with its live stock. Sizes are fixed, so minima and maxima are null: a client that
/// sees a range asks its user for a number.
pub(super) fn offer(stocked: &Stocked, terms: &Terms) -> GpuAvailability {
    let Stocked { offer, fits } = stocked;
    let CpuSize { vcpus, memory_gb, disk_gb } = offer.size;
    let price = offer.price.dollars();
    let secure = terms.security == Security::SecureCloud;
    GpuAvailability {
        cloud_id: offer.cloud_id.clone(),
        gpu_type: offer.gpu_type.into(),
        socket: Some(offer.socket.into()),
        provider: Some(ProviderType::Primecompute.into()),
        region: terms.region.map(Into::into),
        data_center: terms.data_center.clone(),
        country: terms.country.clone(),
        gpu_count: offer.gpu_count,
        gpu_memory: offer.gpu_memory_gb,
        disk: included(disk_gb),
        shared_disk: CustomSpecValue::default(),
        vcpu: included(vcpus),
        memory: included(memory_gb),
        internet_speed: None,
        interconnect: None,
        interconnect_type: None,
        provisioning_time: None,
        stock_status: if *fits > 0 { StockStatus::Available } else { StockStatus::Unavailable }.into(),
        security: Some(terms.security.into()),
        prices: Prices {
            on_demand: secure.then_some(price),
            community_price: (!secure).then_some(price),
            is_variable: Some(false),
            currency: Some(Currency::Usd.into()),
        },
        images: terms.images.iter().map(|image| (*image).into()).collect(),
        is_spot: Some(false),
        prepaid_time: None,
    }
}

fn included(count: u32) -> CustomSpecValue {
    CustomSpecValue { default_included_in_price: Some(true), ..CustomSpecValue::fixed(count) }
}

/// Log lines.
pub(super) fn logs(logs: Logs) -> LogReply {
    let line = |line: podbay_provider::LogLine| LogLine {
        timestamp: line.at.map(|at| at.to_string()),
        stream: if line.stderr { LogStream::Stderr } else { LogStream::Stdout },
        line: line.text,
    };
    LogReply { logs: logs.lines.into_iter().map(line).collect() }
}

/// The envelope of a list.
pub(super) fn page<T, W>(page: &Page<T>, offset: u64, limit: u32, view: impl Fn(&T) -> W) -> OffsetPage<W> {
    OffsetPage {
        total_count: page.total,
        offset,
        limit: limit.into(),
        data: page.items.iter().map(view).collect(),
        status: None,
    }
}

//! Pods: what a server tells of them. What a client asks for is in [`CreatePod`].

mod create;

#[cfg(feature = "openapi")]
pub(crate) use create::both_env_forms;
pub(crate) use create::env_vars;
pub use create::{CreatePod, EnvVar, PodRequest, ProviderRef, TeamRef};

use crate::term::{OneOrMany, Term, null_as_default};
use podbay_core::published::{
    AttachableStatus, AttachableType, GpuType, ImageName, InstallationStatus, PodStatus, Protocol,
    ProviderType, Socket, UsedBy,
};
use serde::{Deserialize, Serialize};

/// Who runs the machine of a pod. Deprecated in the contract, and required by a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PodType {
    /// The cloud.
    #[default]
    Hosted,
    /// Somebody else.
    External,
}

/// What a row of the history was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceType {
    /// A pod of one machine.
    Instance,
    /// A pod of several machines.
    Cluster,
    /// A persistent disk.
    Disk,
}

/// A pod (`APIPodConfig`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "APIPodConfig"))]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Id: letters and digits only.
    pub id: String,
    /// Who made it.
    pub user_id: String,
    /// The team that owns it.
    pub team_id: Option<String>,
    /// The wallet that pays for it.
    pub wallet_id: Option<String>,
    /// Display name; not unique.
    pub name: String,
    /// Always `HOSTED`.
    #[serde(rename = "type")]
    pub kind: Term<PodType>,
    /// Provider.
    pub provider_type: Term<ProviderType>,
    /// Where in its life it is.
    pub status: Term<PodStatus>,
    /// How far its installation is.
    pub installation_status: Term<InstallationStatus>,
    /// Why the installation failed.
    pub installation_failure: Option<String>,
    /// Percent of the installation.
    pub installation_progress: Option<u8>,
    /// When it was ordered.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When it ended.
    pub terminated_at: Option<String>,
    /// GPU model.
    pub gpu_name: Term<GpuType>,
    /// GPUs.
    pub gpu_count: u32,
    /// Socket of the GPUs.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<Socket>"))]
    pub socket: Option<Term<Socket>>,
    /// Dollars per hour while it runs.
    pub price_hr: f64,
    /// Dollars per hour while it is stopped; null means `priceHr`.
    pub stopped_price_hr: Option<f64>,
    /// Dollars per hour while it is provisioned; null means `priceHr`.
    pub provisioning_price_hr: Option<f64>,
    /// Image.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<ImageName>"))]
    pub environment_type: Option<Term<ImageName>>,
    /// Custom template.
    pub custom_template_id: Option<String>,
    /// Cluster, for a pod of several machines.
    pub cluster_id: Option<String>,
    /// Ports that are reachable from outside.
    #[serde(default, deserialize_with = "null_as_default")]
    pub prime_port_mapping: Vec<PortMapping>,
    /// `user@host -p port`; null until SSH answers.
    pub ssh_connection: Option<OneOrMany>,
    /// Address; null until SSH answers.
    pub ip: Option<OneOrMany>,
    /// Sizes.
    pub resources: Option<Resources>,
    /// Persistent disks.
    #[serde(default, deserialize_with = "null_as_default")]
    pub attached_resources: Vec<AttachedResource>,
    /// Whether it was a spot offer.
    pub is_spot: Option<bool>,
    /// Whether it is started again if it ends by itself.
    pub auto_restart: Option<bool>,
}

/// A port that is reachable from outside. The numbers are strings: some clients insist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// Port inside the pod.
    pub internal: String,
    /// Port outside, or a whole address.
    pub external: String,
    /// TCP or UDP.
    pub protocol: Term<Protocol>,
    /// What listens there.
    pub used_by: Option<Term<UsedBy>>,
    /// In words.
    pub description: Option<String>,
}

/// Sizes of a pod. The key `shared_disk` is in snake case on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Resources {
    /// Memory in GB.
    pub memory: Option<u32>,
    /// Disk in GB.
    pub disk: Option<u32>,
    /// Disk shared by the nodes of a cluster, in GB.
    pub shared_disk: Option<u32>,
    /// vCPUs.
    pub vcpus: Option<u32>,
}

/// A persistent disk at a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AttachedResources"))]
#[serde(rename_all = "camelCase")]
pub struct AttachedResource {
    /// Always `DISK`.
    #[serde(rename = "resourceType")]
    pub kind: Term<AttachableType>,
    /// Id of the disk.
    pub id: String,
    /// MOUNTED while the machine runs.
    pub status: Term<AttachableStatus>,
    /// Whether it can be taken off again.
    pub is_detachable: bool,
    /// Where it is in the pod.
    pub mount_path: Option<String>,
    /// Where it is on the machine.
    pub resource_path: Option<String>,
    /// GB.
    pub size: Option<u32>,
    /// Whether other pods have it too.
    pub is_shared: Option<bool>,
}

/// One row of the bulk status call. Both prices are the same: clients read one or the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "APIPodStatusResponse"))]
#[serde(rename_all = "camelCase")]
pub struct PodStatusRow {
    /// Pod.
    pub pod_id: String,
    /// Provider.
    pub provider_type: Term<ProviderType>,
    /// Where in its life it is.
    pub status: Term<PodStatus>,
    /// `user@host -p port`; null until SSH answers.
    pub ssh_connection: Option<OneOrMany>,
    /// Address.
    pub ip: Option<OneOrMany>,
    /// Dollars per hour.
    pub price_hr: Option<f64>,
    /// The same again, under the name that the documentation shows.
    pub cost_per_hr: Option<f64>,
    /// Ports that are reachable from outside.
    #[serde(default, deserialize_with = "null_as_default")]
    pub prime_port_mapping: Vec<PortMapping>,
    /// How far its installation is.
    pub installation_status: Option<Term<InstallationStatus>>,
    /// Why it failed.
    pub installation_failure: Option<String>,
    /// Percent.
    pub installation_progress: Option<u8>,
}

/// A pod that has ended (`HistoryObj`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "HistoryObj"))]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Pod.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Provider.
    pub provider_type: Term<ProviderType>,
    /// Name of the user who ordered it.
    pub provisioned_by: Option<String>,
    /// What it was.
    #[serde(rename = "type")]
    pub kind: Term<ResourceType>,
    /// When it was ordered.
    pub created_at: String,
    /// When it ended.
    pub terminated_at: Option<String>,
    /// GPU model.
    pub gpu_name: String,
    /// GPUs.
    pub gpu_count: u32,
    /// Socket.
    pub socket: Option<Term<Socket>>,
    /// Average dollars per hour over its life.
    pub price_hr: f64,
    /// Who ordered it.
    pub user_id: String,
    /// The team that owned it.
    pub team_id: Option<String>,
    /// Dollars in all.
    pub total_billed_price: f64,
}

/// Answer to a delete call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DeletePodResponse"))]
pub struct Deleted {
    /// `TERMINATED`, or `DELETING` while it takes longer.
    pub status: Term<PodStatus>,
}

/// Which of the two streams of a process a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that the pod's first process wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// When, if the engine knows.
    pub timestamp: Option<String>,
    /// Where to.
    pub stream: LogStream,
    /// The line, without its end.
    pub line: String,
}

/// Answer to the log call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LogReply {
    /// The last lines, oldest first.
    pub logs: Vec<LogLine>,
}

//! What a pod was asked to be.

use crate::published::{GpuType, ImageName, Protocol, Security, Socket, UsedBy};
use crate::{CredentialsId, PricePerHour, TemplateId, UserId};
use serde::{Deserialize, Serialize};

/// A port inside a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortSpec {
    /// Number.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Whose SSH keys a team's pod lets in, beside those of the one who made it. Only members count, as
/// long as they are members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody's.
    #[default]
    Nobody,
    /// All members'.
    Team,
    /// These members'.
    Members(Vec<UserId>),
}

/// A port that somebody asked for by its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPort {
    /// The port.
    #[serde(flatten)]
    pub port: PortSpec,
    /// What listens there, in the published words.
    pub used_by: Option<UsedBy>,
    /// What listens there, in the owner's words.
    pub description: Option<String>,
}

/// What a pod has from its template, as it was when the pod was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromTemplate {
    /// Which.
    pub id: TemplateId,
    /// What is run instead of the image's ENTRYPOINT and CMD.
    pub command: Option<Vec<String>>,
    /// Credentials that the image is fetched with.
    pub credentials: Option<CredentialsId>,
}

/// What a pod was asked to be, complete: nothing in it depends on configuration that may change later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodSpec {
    /// Display name.
    pub name: String,
    /// The offer it was ordered from.
    pub cloud_id: String,
    /// GPU model.
    pub gpu_type: GpuType,
    /// GPUs; 1 and [`GpuType::CpuNode`] mean none.
    pub gpu_count: u32,
    /// Socket of the offer.
    pub socket: Socket,
    /// Published name of the image.
    pub image: ImageName,
    /// OCI reference that the name stood for at create.
    pub image_reference: String,
    /// CPUs.
    pub vcpus: u32,
    /// Memory in GB (10⁹ bytes are not meant: a GB here is 2³⁰ bytes, as engines count).
    pub memory_gb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
    /// Environment of the pod, in order.
    pub env: Vec<(String, String)>,
    /// Price while running.
    pub price: PricePerHour,
    /// Security class of the offer.
    pub security: Security,
    /// ISO country of the offer.
    pub country: Option<String>,
    /// Data centre of the offer.
    pub data_center: Option<String>,
    /// Start the machine again if it ends by itself.
    pub auto_restart: bool,
    /// The template that it was ordered from.
    #[serde(default)]
    pub template: Option<FromTemplate>,
    /// Ports that are published whatever the image exposes.
    #[serde(default)]
    pub ports: Vec<NamedPort>,
    /// Hash of the notebook server's password, as Jupyter reads it; `None` if none was asked for.
    #[serde(default)]
    pub jupyter: Option<String>,
}

impl PodSpec {
    /// Number of GPUs that must be set aside.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        if self.gpu_type == GpuType::CpuNode { 0 } else { self.gpu_count }
    }

    /// The ports to publish beside SSH, given those that the image exposes: each once, those that
    /// were asked for first, and no more than may be.
    #[must_use]
    pub fn ports_extra(&self, exposed: &[PortSpec]) -> Vec<PortSpec> {
        let mut ports: Vec<PortSpec> = Vec::new();
        for port in self.ports.iter().map(|named| named.port).chain(exposed.iter().copied()) {
            if port.number != super::SSH_PORT && !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports.truncate(crate::limits::PORTS_EXTRA_MAX);
        ports
    }
}

//! What a pod was asked to be.

use crate::published::{GpuType, ImageName, Protocol, Security, Socket};
use crate::{PricePerHour, UserId};
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
}

impl PodSpec {
    /// Number of GPUs that must be set aside.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        if self.gpu_type == GpuType::CpuNode { 0 } else { self.gpu_count }
    }
}

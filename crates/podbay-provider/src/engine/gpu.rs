//! GPUs: which there are, and how a machine gets those that were ordered.
//!
//! The inventory comes from the driver's library, loaded when we run: a host without it has no
//! GPUs. A machine sees its own GPUs and no others. How, in this order:
//!
//! 1. Docker with NVIDIA's runtime: asked for them by their unique names.
//! 2. A device specification (see `cdi`) that knows them.
//! 3. The device nodes, and the driver's files where they are found on the host (see `driver`).
//!
//! `NVIDIA_VISIBLE_DEVICES=void` in every other machine keeps images that say `all` there from
//! getting what was not ordered, where a runtime listens to them.

use super::errors::refused;
use super::io::Kind;
use super::{cdi, driver};
use crate::Answer;
use bollard::models::{DeviceMapping, DeviceRequest};
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use podbay_core::place::{GpuFact, gpu_type};
use podbay_core::pod::{FailureCode, GpuSlot};
use podbay_core::published::Socket;
use std::path::{Path, PathBuf};
use std::sync::Once;

const NONE_VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES=void";
/// Needed beside the nodes of the GPUs themselves; not every driver has all of them.
const SHARED_NODES: [&str; 4] =
    ["/dev/nvidiactl", MEMORY_NODE, "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];
const MEMORY_NODE: &str = "/dev/nvidia-uvm";

/// What a machine is given for its GPUs.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    pub devices: Vec<DeviceMapping>,
    pub binds: Vec<String>,
    pub env: Vec<String>,
    /// Variables that a user's own take the place of.
    pub env_default: Vec<String>,
    pub requests: Vec<DeviceRequest>,
}

/// A GPU, and the number of its device node.
#[derive(Clone, Debug)]
pub(super) struct Gpu {
    pub fact: GpuFact,
    minor: u32,
}

/// What the host has: its GPUs, and the folder of their driver's libraries.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    pub gpus: Vec<Gpu>,
    driver: Option<PathBuf>,
}

/// All GPUs of the host. Takes seconds if the driver has to wake up.
pub(super) fn inventory() -> Inventory {
    // No library: no GPU of this maker.
    let Ok(nvml) = Nvml::init() else { return Inventory::default() };
    // Now, because it does not stay loaded.
    let driver = driver::folder();
    let count = nvml.device_count().unwrap_or(0);
    let gpus = (0..count).filter_map(|index| match look(&nvml, index) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(index, %error, "a GPU does not answer and is left out");
            None
        }
    });
    Inventory { gpus: gpus.collect(), driver }
}

fn look(nvml: &Nvml, index: u32) -> Result<Option<Gpu>, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let (name, memory, uuid) = (device.name()?, device.memory_info()?.total, device.uuid()?);
    let Some(gpu_type) = gpu_type(&name, memory >> 20) else {
        tracing::warn!(index, name, "a GPU of a model without a published type is left out");
        return Ok(None);
    };
    let label =
        gpu_type.as_str().rsplit_once('_').and_then(|(_, memory)| memory.strip_suffix("GB")?.parse().ok());
    let fact = GpuFact {
        uuid,
        index,
        gpu_type,
        memory_gb: label.unwrap_or_else(|| u32::try_from(memory >> 30).unwrap_or(u32::MAX)),
        socket: socket(&name),
    };
    Ok(Some(Gpu { fact, minor: device.minor_number().unwrap_or(index) }))
}

/// The socket, from the product name. Boards of the newer generations that sit in a socket do not
/// say so in their name; those of them that do not sit in one say PCIe or NVL.
fn socket(product: &str) -> Socket {
    let has = |text: &str| product.contains(text);
    if has("PCIe") || has("PCIE") || has("NVL") {
        return Socket::Pcie;
    }
    let named = has("SXM") || has("HBM3");
    if has("B200") || has("B300") {
        Socket::Sxm6
    } else if has("H200") || (has("H100") && named) {
        Socket::Sxm5
    } else if has("A100") && named {
        Socket::Sxm4
    } else if has("V100") && named {
        Socket::Sxm2
    } else {
        Socket::Pcie
    }
}

/// What a machine with these GPUs is given.
pub(super) fn access(kind: Kind, has_runtime: bool, host: &Inventory, slots: &[GpuSlot]) -> Answer<Access> {
    if slots.is_empty() {
        return Ok(Access { env: vec![NONE_VISIBLE.to_owned()], ..Access::default() });
    }
    if kind == Kind::Docker && has_runtime {
        let request = DeviceRequest {
            driver: Some("nvidia".to_owned()),
            device_ids: Some(slots.iter().map(|slot| slot.uuid.clone()).collect()),
            capabilities: Some(vec![["gpu", "compute", "utility", "video"].map(str::to_owned).to_vec()]),
            ..DeviceRequest::default()
        };
        return Ok(Access { requests: vec![request], ..Access::default() });
    }
    let folders = cdi::FOLDERS.map(Path::new);
    let mut access = match cdi::resolve(&folders, slots) {
        Some(access) => access,
        None => bare(host, slots)?,
    };
    access.env.retain(|variable| !variable.starts_with("NVIDIA_VISIBLE_DEVICES="));
    access.env.push(NONE_VISIBLE.to_owned());
    Ok(access)
}

/// Without a specification: the nodes, and what we find ourselves.
fn bare(host: &Inventory, slots: &[GpuSlot]) -> Answer<Access> {
    let mut access = Access { devices: nodes(&host.gpus, slots)?, ..Access::default() };
    let files = host.driver.as_deref().map(driver::files).unwrap_or_default();
    tell(host.driver.as_deref().filter(|_| !files.is_empty()));
    driver::give(&files, &mut access);
    Ok(access)
}

/// Once each, and not for every machine: it says how the host is.
fn tell(driver: Option<&Path>) {
    static FOUND: Once = Once::new();
    static MISSING: Once = Once::new();
    match driver {
        Some(folder) => FOUND.call_once(|| {
            tracing::info!(
                folder = %folder.display(),
                "no device specification knows the GPUs, so machines get the driver's files from where they lie"
            );
        }),
        None => MISSING.call_once(|| {
            tracing::warn!(
                "no device specification knows the GPUs, and the driver's files were not found, so machines get \
                 bare device nodes and their images have to bring the driver's libraries; `nvidia-ctk cdi generate \
                 --output=/etc/cdi/nvidia.yaml` writes down where they are"
            );
        }),
    }
}

fn nodes(known: &[Gpu], slots: &[GpuSlot]) -> Answer<Vec<DeviceMapping>> {
    let node = |path: String| DeviceMapping {
        path_on_host: Some(path.clone()),
        path_in_container: Some(path),
        cgroup_permissions: Some("rw".to_owned()),
    };
    let mut devices = Vec::new();
    for slot in slots {
        let minor = known.iter().find(|gpu| gpu.fact.uuid == slot.uuid).map_or(slot.index, |gpu| gpu.minor);
        let path = format!("/dev/nvidia{minor}");
        if !Path::new(&path).exists() {
            let text =
                format!("the GPU {} of this pod is not on the host any more ({path} is missing)", slot.uuid);
            return Err(refused(FailureCode::Engine, false, text));
        }
        devices.push(node(path));
    }
    if !Path::new(MEMORY_NODE).exists() {
        // It is made when it is first needed, by a program that machines do not have.
        tracing::warn!(
            "CUDA does not work without {MEMORY_NODE}; on the host `nvidia-modprobe -u -c=0` makes it"
        );
    }
    let shared = SHARED_NODES.iter().filter(|path| Path::new(path).exists());
    devices.extend(shared.map(|path| node((*path).to_owned())));
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_names_tell_the_socket() {
        let cases = [
            ("NVIDIA H100 80GB HBM3", Socket::Sxm5),
            ("NVIDIA H100 PCIe", Socket::Pcie),
            ("NVIDIA H100 NVL", Socket::Pcie),
            ("NVIDIA H200", Socket::Sxm5),
            ("NVIDIA A100-SXM4-80GB", Socket::Sxm4),
            ("NVIDIA A100-PCIE-40GB", Socket::Pcie),
            ("NVIDIA A100 80GB PCIe", Socket::Pcie),
            ("Tesla V100-SXM2-32GB", Socket::Sxm2),
            ("NVIDIA B200", Socket::Sxm6),
            ("NVIDIA GeForce RTX 4090", Socket::Pcie),
        ];
        for (name, expected) in cases {
            assert_eq!(socket(name), expected, "{name}");
        }
    }

    #[test]
    fn a_machine_without_gpus_is_told_that_it_has_none() {
        let access = access(Kind::Docker, true, &Inventory::default(), &[]).unwrap();
        assert_eq!(access.env, [NONE_VISIBLE]);
        assert!(access.devices.is_empty() && access.requests.is_empty());
    }

    #[test]
    fn docker_with_the_makers_runtime_is_asked_by_unique_name() {
        let slots = [GpuSlot { uuid: "GPU-a".into(), index: 0 }];
        let access = access(Kind::Docker, true, &Inventory::default(), &slots).unwrap();
        assert_eq!(access.requests[0].device_ids.as_deref(), Some(["GPU-a".to_owned()].as_slice()));
        assert!(access.env.is_empty());
    }

    #[test]
    fn a_gpu_that_is_gone_is_no_machine_without_gpu() {
        let slots = [GpuSlot { uuid: "GPU-none".into(), index: 4_000 }];
        assert!(access(Kind::Podman, false, &Inventory::default(), &slots).is_err());
    }
}

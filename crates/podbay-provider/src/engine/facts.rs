//! What the host has for pods.

use super::io::Link;
use super::limits::ASK_MAX;
use super::{ConnectError, Settings, gpu, image};
use podbay_core::place::HostFacts;
use rustix::fs::statvfs;
use rustix::system::sysinfo;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Of the free disk, what is not given to pods: images grow, and a full disk stops everything.
const DISK_RESERVE_PERCENT: u64 = 10;

/// What of the engine does not change while we run, asked once: on Podman it takes 0.2 s.
#[derive(Debug)]
pub(super) struct Fixed {
    /// Where images and machines are.
    pub root: PathBuf,
    /// Whether a machine can be held to its disk size.
    pub disk_quota: bool,
    /// Whether a volume can.
    pub volume_quota: bool,
    /// Whether Docker has NVIDIA's runtime.
    pub gpu_runtime: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    driver: String,
    docker_root_dir: String,
    runtimes: Option<HashMap<String, serde_json::Value>>,
}

impl Fixed {
    pub async fn ask(link: &Link) -> Result<Self, ConnectError> {
        let reply = link.request("GET", "/info", ASK_MAX).await;
        let info = reply.and_then(|reply| reply.json::<Info>());
        let info = info.map_err(|error| {
            ConnectError(format!("the container engine answers, but cannot say what it is: {error}"))
        })?;
        let root = PathBuf::from(&info.docker_root_dir);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Ok(Self {
            disk_quota: disk_quota(&info.driver, &mounts, &root),
            volume_quota: has_project_quotas(&mounts, &root),
            gpu_runtime: info.runtimes.is_some_and(|runtimes| runtimes.contains_key("nvidia")),
            root,
        })
    }
}

/// The facts, within the owner's bounds.
pub(super) fn facts(link: &Link, fixed: &Fixed, settings: &Settings, gpus: &[gpu::Gpu]) -> HostFacts {
    let memory_gb = u32::try_from(sysinfo_memory() >> 30).unwrap_or(u32::MAX);
    let engine = match link.kind {
        super::io::Kind::Docker => "docker",
        super::io::Kind::Podman => "podman",
    };
    HostFacts {
        vcpus: settings.vcpus.unwrap_or_else(cpus),
        memory_gb: settings.memory_gb.unwrap_or_else(|| memory_gb.saturating_sub(settings.memory_reserve_gb)),
        disk_gb: settings.disk_gb.unwrap_or_else(|| disk_free_gb(&fixed.root)),
        architecture: image::architecture().to_owned(),
        gpus: gpus.iter().map(|gpu| gpu.fact.clone()).collect(),
        engine: format!("{engine} {}", link.version),
        disk_quota: fixed.disk_quota,
        volume_quota: fixed.volume_quota,
    }
}

fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

fn sysinfo_memory() -> u64 {
    let info = sysinfo();
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the width depends on the platform"
    )]
    let total = info.totalram as u64;
    total * u64::from(info.mem_unit)
}

/// What is free now. What running machines have written is not free, and what they may still
/// write is: rows keep count of what was promised.
fn disk_free_gb(root: &Path) -> u32 {
    // A folder that only the engine may see lies on a file system that we can see.
    let found = root.ancestors().find_map(|folder| statvfs(folder).ok());
    let free = found.map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    u32::try_from((free / 100 * (100 - DISK_RESERVE_PERCENT)) >> 30).unwrap_or(u32::MAX)
}

/// Overlay file systems can be bounded on XFS with project quotas, and copy-on-write ones always.
fn disk_quota(driver: &str, mountinfo: &str, root: &Path) -> bool {
    match driver {
        "btrfs" | "zfs" => true,
        "overlay" | "overlay2" | "overlayfs" => has_project_quotas(mountinfo, root),
        _ => false,
    }
}

/// All that volumes can be bounded by, whatever the driver of the machines is.
fn has_project_quotas(mountinfo: &str, root: &Path) -> bool {
    mount_of(mountinfo, root).is_some_and(|(kind, options)| {
        kind == "xfs" && options.split(',').any(|option| matches!(option, "prjquota" | "pquota"))
    })
}

/// Type and options of the file system that `path` is on.
fn mount_of<'a>(mountinfo: &'a str, path: &Path) -> Option<(&'a str, &'a str)> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?;
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        path.starts_with(point).then_some((point.len(), kind, options))
    });
    // Of two mounts on one point the later is the one that is seen.
    mounts.max_by_key(|(length, ..)| *length).map(|(_, kind, options)| (kind, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_sizes_are_held_where_the_file_system_can() {
        let mounts = "22 1 254:0 / / rw,noatime - ext4 /dev/vda rw\n\
                      30 22 254:1 / /var/lib/docker rw shared:1 - xfs /dev/vdb rw,attr2,prjquota\n\
                      31 22 254:2 / /var/lib/plain rw - xfs /dev/vdc rw,noquota\n";
        let cases = [
            ("overlay2", "/var/lib/docker", true),
            ("overlay2", "/var/lib/docker/x", true),
            ("overlay", "/var/lib/plain", false),
            ("overlay", "/var/lib/containers/storage", false),
            ("btrfs", "/var/lib/containers/storage", true),
            ("vfs", "/var/lib/docker", false),
        ];
        for (driver, root, expected) in cases {
            assert_eq!(disk_quota(driver, mounts, Path::new(root)), expected, "{driver} {root}");
        }
        assert!(has_project_quotas(mounts, Path::new("/var/lib/docker/x")));
        assert!(!has_project_quotas(mounts, Path::new("/var/lib/containers/storage")), "as with btrfs");
    }

    #[test]
    fn this_machine_has_something() {
        assert!(cpus() >= 1);
        assert!(sysinfo_memory() > 1 << 20);
    }
}

//! From a [`MachineSpec`] to what the engine is asked to make.
//!
//! A machine has exactly what it was ordered with: CPU and memory are limits and not shares, swap
//! is off, processes, logs and shared memory are bounded, and nothing on the host but the two
//! read-only folders `/.podbay/bin` and `/.podbay/pod` and the volumes of its disks is visible in it.

use super::gpu::Access;
use super::inspect::{LABEL_INSTALL, LABEL_POD, LABEL_VERSION};
use super::io::Kind;
use super::limits::{
    LOG_FILE_BYTES, LOG_FILES, PIDS_MAX, PIDS_PER_VCPU, SHM_BYTES_MAX, files_max, processes_max,
};
use crate::MachineSpec;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding, PortMap, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};
use podbay_core::InstallId;
use podbay_core::pod::PublishedPort;
use podbay_core::published::Protocol;
use std::collections::HashMap;
use std::path::Path;

/// Where the agent is, inside.
const AGENT: &str = "/.podbay/bin/podbay-agent";
const AGENT_FOLDER: &str = "/.podbay/bin";
const FILES_FOLDER: &str = "/.podbay/pod";

/// What root may do in a machine. Everything is dropped, and this comes back:
///
/// | capability | for |
/// |---|---|
/// | `CHOWN`, `FOWNER`, `FSETID`, `DAC_OVERRIDE` | owning a file system as root: package managers, archives |
/// | `SETUID`, `SETGID` | becoming another user: log-ins, services, package managers' sandboxes |
/// | `SETPCAP` | giving up more of these |
/// | `SETFCAP` | unpacking packages whose programs carry capabilities |
/// | `KILL` | ending processes of other users, as a supervisor does |
/// | `NET_BIND_SERVICE` | ports below 1024, also where the sysctl below is refused |
/// | `SYS_CHROOT` | building and entering file system trees |
///
/// Left out of what engines give by default: `NET_RAW` (forging packets on the bridge that pods
/// share; `ping` works without it), `MKNOD` (devices come from the order only), `AUDIT_WRITE`.
const CAPABILITIES: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Nothing for images of another user. Docker would give that user nothing either; Podman would give
/// all of it, which makes a root by another name. Without new privileges nobody gets any later.
fn capabilities(user: &str) -> &'static [&'static str] {
    let name = user.split(':').next().unwrap_or_default();
    let is_root = name.is_empty() || name == "root" || name.parse() == Ok(0);
    if is_root { &CAPABILITIES } else { &[] }
}

/// Of the machine's own network only: any user may listen on port 22, and `ping` without raw sockets.
const SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 65535")];

/// The scheduler's period, in microseconds. Quota and period are given rather than the engines'
/// `NanoCpus`, which refuses more CPUs than the host has and later changes.
const CPU_PERIOD: i64 = 100_000;

/// What does not depend on the machine.
pub(super) struct Surroundings<'a> {
    pub kind: Kind,
    pub install_id: &'a InstallId,
    /// Folder of the agent's program on the host.
    pub agent_folder: &'a Path,
    /// Folder of the machine's files on the host.
    pub files_folder: &'a Path,
    pub disk_quota: bool,
    pub gpu: Access,
}

/// The request.
pub(super) fn body(spec: &MachineSpec, around: Surroundings<'_>) -> ContainerCreateBody {
    let mut env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let is_set = |variable: &&String| {
        let name = variable.split('=').next();
        spec.env.iter().any(|(set, _)| Some(set.as_str()) == name)
    };
    env.extend(around.gpu.env_default.iter().filter(|variable| !is_set(variable)).cloned());
    env.extend(around.gpu.env.iter().cloned());
    let pod = spec.pod_id.as_str();
    let labels = [
        (LABEL_INSTALL, around.install_id.as_str()),
        (LABEL_POD, pod),
        (LABEL_VERSION, env!("CARGO_PKG_VERSION")),
        ("podbay.image", spec.image_reference.as_str()),
    ];
    ContainerCreateBody {
        image: Some(spec.image.digest.clone()),
        // The last digits: ids are made in order of time, so their first ones are alike.
        hostname: Some(format!("pod-{}", &pod[pod.len().saturating_sub(8)..])),
        entrypoint: Some(vec![AGENT.to_owned(), "init".to_owned()]),
        cmd: Some(Vec::new()),
        env: Some(env),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        exposed_ports: Some(spec.ports.iter().map(port_name).collect()),
        host_config: Some(host_config(spec, around)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &MachineSpec, around: Surroundings<'_>) -> HostConfig {
    let memory = i64::from(spec.memory_gb) << 30;
    // `z`: on hosts with SELinux a container may read only what is labelled for containers;
    // elsewhere it means nothing.
    let mut binds = vec![
        format!("{}:{AGENT_FOLDER}:ro,z", around.agent_folder.display()),
        format!("{}:{FILES_FOLDER}:ro,z", around.files_folder.display()),
    ];
    binds.extend(spec.mounts.iter().map(|mount| format!("{}:{}:z", mount.volume, mount.path)));
    binds.extend(around.gpu.binds);
    let size = || HashMap::from([("size".to_owned(), format!("{}G", spec.disk_gb))]);
    HostConfig {
        binds: Some(binds),
        memory: Some(memory),
        // Memory and swap together: the same number means no swap.
        memory_swap: Some(memory),
        cpu_period: Some(CPU_PERIOD),
        cpu_quota: Some(CPU_PERIOD * i64::from(spec.vcpus)),
        pids_limit: Some((PIDS_PER_VCPU * i64::from(spec.vcpus)).clamp(PIDS_PER_VCPU, PIDS_MAX)),
        shm_size: Some((memory / 2).min(SHM_BYTES_MAX)),
        ulimits: Some(vec![ulimit("nofile", files_max()), ulimit("nproc", processes_max())]),
        storage_opt: around.disk_quota.then(size),
        port_bindings: Some(port_bindings(spec)),
        log_config: Some(log_config(around.kind)),
        // Starting again is the reconciler's decision.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            ..RestartPolicy::default()
        }),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(capabilities(&spec.image.user).iter().map(|name| (*name).to_owned()).collect()),
        sysctls: Some(SYSCTLS.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        devices: Some(around.gpu.devices),
        device_requests: Some(around.gpu.requests).filter(|requests| !requests.is_empty()),
        ..HostConfig::default()
    }
}

/// Soft and hard are equal: Podman 4.3 swaps the two on this way.
fn ulimit(name: &str, value: u64) -> ResourcesUlimits {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

fn port_name(port: &PublishedPort) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.internal)
}

fn port_bindings(spec: &MachineSpec) -> PortMap {
    let binding = |port: &PublishedPort| PortBinding {
        host_ip: Some(spec.bind.to_string()),
        host_port: Some(port.external.to_string()),
    };
    let mut map = PortMap::new();
    for port in &spec.ports {
        map.entry(port_name(port)).or_default().get_or_insert_default().push(binding(port));
    }
    map
}

fn log_config(kind: Kind) -> HostConfigLogConfig {
    let size = ("max-size".to_owned(), LOG_FILE_BYTES.to_string());
    let (typ, config) = match kind {
        Kind::Docker => ("json-file", HashMap::from([size, ("max-file".to_owned(), LOG_FILES.to_string())])),
        Kind::Podman => ("k8s-file", HashMap::from([size])),
    };
    HostConfigLogConfig { typ: Some(typ.to_owned()), config: Some(config) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podbay_core::PodId;
    use podbay_core::pod::ImageFact;

    #[test]
    fn only_images_of_root_have_capabilities() {
        for user in ["", "0", "root", "0:0", "root:root", "0:1000"] {
            assert_eq!(capabilities(user), CAPABILITIES, "{user}");
        }
        for user in ["1000", "app", "1000:0", "app:root", "nobody", "10"] {
            assert!(capabilities(user).is_empty(), "{user}");
        }
    }

    #[test]
    fn a_machine_gets_what_was_ordered_and_no_more() {
        let port = |internal, external, protocol| PublishedPort { internal, external, protocol };
        let spec = MachineSpec {
            pod_id: PodId::from_bits(0x1234_5678),
            name: "m".into(),
            image: ImageFact {
                digest: "sha256:1".into(),
                command: vec!["sh".into()],
                user: String::new(),
                working_dir: None,
                exposed: Vec::new(),
            },
            image_reference: "x".into(),
            env: vec![("A".into(), "b=c".into())],
            vcpus: 2,
            memory_gb: 4,
            disk_gb: 10,
            gpus: Vec::new(),
            ports: vec![port(22, 20_000, Protocol::Tcp), port(53, 20_001, Protocol::Udp)],
            mounts: vec![crate::Mount { volume: "v".into(), path: "/workspace".into() }],
            bind: [127, 0, 0, 1].into(),
            files: Vec::new(),
        };
        let around = Surroundings {
            kind: Kind::Podman,
            install_id: &InstallId::from_bits(7),
            agent_folder: Path::new("/a"),
            files_folder: Path::new("/f"),
            disk_quota: true,
            gpu: Access { env_default: vec!["A=ours".into(), "B=ours".into()], ..Access::default() },
        };
        let body = body(&spec, around);
        assert_eq!(body.hostname.as_deref(), Some("pod-12345678"));
        assert_eq!(body.env, Some(vec!["A=b=c".into(), "B=ours".into()]));
        assert_eq!(body.labels.unwrap()[LABEL_POD], spec.pod_id.as_str());
        let host = body.host_config.unwrap();
        assert_eq!((host.memory, host.memory_swap), (Some(4 << 30), Some(4 << 30)));
        assert_eq!((host.cpu_period, host.cpu_quota), (Some(100_000), Some(200_000)));
        assert_eq!((host.pids_limit, host.shm_size), (Some(8_192), Some(2 << 30)));
        assert_eq!(host.storage_opt.unwrap()["size"], "10G");
        assert_eq!(host.binds.unwrap(), ["/a:/.podbay/bin:ro,z", "/f:/.podbay/pod:ro,z", "v:/workspace:z"]);
        let bindings = host.port_bindings.unwrap();
        assert_eq!(bindings["53/udp"].as_ref().unwrap()[0].host_port.as_deref(), Some("20001"));
        assert!(host.ulimits.unwrap().iter().all(|limit| limit.soft == limit.hard));
        assert_eq!((host.privileged, host.network_mode), (None, None));
    }
}

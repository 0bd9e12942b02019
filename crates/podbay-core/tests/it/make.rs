//! Values that every test needs.

use podbay_core::pod::{CallError, FailureCode, ImageFact, Placement, Pod, PodSpec, PublishedPort, SSH_PORT};
use podbay_core::published::{GpuType, ImageName, Protocol, Security, Socket};
use podbay_core::{HostId, Micros, PodId, Timestamp, UserId};

/// When every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_787_220_000_000);

/// A pod as the create verb stores it.
pub fn pod(auto_restart: bool) -> Pod {
    let spec = PodSpec {
        name: "one".into(),
        cloud_id: "cpu-1x2".into(),
        gpu_type: GpuType::CpuNode,
        gpu_count: 1,
        socket: Socket::ALL[0],
        image: ImageName::ALL[0],
        image_reference: "localhost/base".into(),
        vcpus: 1,
        memory_gb: 2,
        disk_gb: 10,
        env: Vec::new(),
        price: Micros(26_000),
        security: Security::ALL[0],
        country: None,
        data_center: None,
        auto_restart,
        template: None,
        ports: Vec::new(),
        jupyter: None,
    };
    let ssh = PublishedPort { internal: SSH_PORT, external: 20_001, protocol: Protocol::Tcp };
    let placement = Placement { host: HostId::from_bits(1), gpus: Vec::new(), ports: vec![ssh] };
    Pod::new(PodId::from_bits(1), UserId::from_bits(1), spec, placement, START)
}

pub fn image() -> ImageFact {
    ImageFact {
        digest: "sha256:1".into(),
        command: vec!["sh".into()],
        user: String::new(),
        working_dir: None,
        exposed: Vec::new(),
    }
}

pub fn not_sent() -> CallError {
    CallError::NotSent("connection refused".into())
}

pub fn lost() -> CallError {
    CallError::Unknown("the connection broke".into())
}

pub fn refused(code: FailureCode, permanent: bool) -> CallError {
    CallError::Refused { code, permanent, text: format!("{code:?}") }
}

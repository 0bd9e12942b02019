//! Makes one machine or cluster match one step.
//!
//! [`Provider`] is the contract. It speaks of *machines* (a container here; a pod of a cluster or
//! a rented machine elsewhere) and assumes nothing about where they run: files travel as bytes,
//! and the one way to reach into a machine is [`Provider::dial`].
//!
//! **Invariants.** A call makes at most one attempt: waiting and retrying is the reconciler's
//! decision. Every call is idempotent under its name. An error says whether the call may have
//! had an effect ([`CallError`]); when in doubt it says Unknown.

pub mod engine;
pub mod fake;
pub mod reference;
pub mod registry;

use async_trait::async_trait;
use podbay_core::disk::VolumeFact;
use podbay_core::place::HostFacts;
use podbay_core::pod::{CallError, GpuSlot, ImageFact, MachineFact, PublishedPort};
use podbay_core::{DiskId, PodId, Timestamp};
use std::fmt;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream into a machine.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a provider call gives back.
pub type Answer<T> = Result<T, CallError>;

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRequest {
    /// OCI reference as configured.
    pub reference: String,
    /// What it was resolved to before, as [`ImageFact::digest`] said: this and nothing else is fetched.
    pub digest: Option<String>,
    /// Credentials of its registry.
    pub credentials: Option<Credentials>,
}

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Login name.
    pub username: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.username)
    }
}

/// How far an image fetch is. Both numbers only grow; `total` may be 0 while it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes fetched.
    pub bytes: u64,
    /// Bytes of all layers known so far.
    pub total: u64,
}

/// Receives progress while a call runs. Must not block.
pub type ProgressSink<'a> = &'a (dyn Fn(PullProgress) + Send + Sync);

/// A small file that a machine finds in `/.podbay/pod/`.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Name within that folder.
    pub name: &'static str,
    /// Content.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// A machine to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSpec {
    /// The pod it belongs to; a label.
    pub pod_id: PodId,
    /// Deterministic name.
    pub name: String,
    /// Image, by digest if one is known.
    pub image: ImageFact,
    /// Reference of the image, for people who look at the engine.
    pub image_reference: String,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// CPUs.
    pub vcpus: u32,
    /// Memory in GB (2³⁰ bytes).
    pub memory_gb: u32,
    /// Disk in GB, held where the storage driver can.
    pub disk_gb: u32,
    /// GPUs.
    pub gpus: Vec<GpuSlot>,
    /// Ports to publish.
    pub ports: Vec<PublishedPort>,
    /// Volumes of persistent disks.
    pub mounts: Vec<Mount>,
    /// Address on the host that they are published on.
    pub bind: IpAddr,
    /// Files of `/.podbay/pod/`, see [`Provider::files_put`].
    pub files: Vec<File>,
}

/// A volume in a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its name.
    pub volume: String,
    /// Where it is in the machine; absolute.
    pub path: String,
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The disk it belongs to; a label.
    pub disk_id: DiskId,
    /// Deterministic name.
    pub name: String,
    /// Size in GB (2³⁰ bytes), held where the storage driver can.
    pub size_gb: u32,
}

/// A volume that carries our labels, as [`Provider::volume_list`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVolume {
    /// Its name.
    pub name: String,
    /// The disk that its label names.
    pub disk_id: Option<DiskId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A machine that carries our labels, as [`Provider::machine_list`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMachine {
    /// Its name.
    pub name: String,
    /// The pod that its label names.
    pub pod_id: Option<PodId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What is known of it.
    pub fact: MachineFact,
}

/// Last output of a machine's command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, if the engine says.
    pub at: Option<Timestamp>,
    /// Whether it came on standard error.
    pub stderr: bool,
    /// The line, lossily decoded, without its line feed.
    pub text: String,
}

/// Load of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time used since the start, in nanoseconds.
    pub cpu_nanos: u64,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes received.
    pub network_rx_bytes: u64,
    /// Bytes sent.
    pub network_tx_bytes: u64,
}

/// One machine or cluster that pods are placed on.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What the host has. Called at start and every few minutes.
    async fn facts(&self) -> Answer<HostFacts>;

    /// Whether the other side answers at all; cheap (a few milliseconds).
    async fn ping(&self) -> Answer<()>;

    /// Has the image on the host and says what is in it. Cancel-safe: dropping the future gives
    /// the fetch up and leaves nothing that matters.
    async fn image_ensure(&self, image: &ImageRequest, progress: ProgressSink<'_>) -> Answer<ImageFact>;

    /// Makes a machine, not started, and gives its handle. A machine of that name and pod that is
    /// already there is adopted. One whose volumes are not all there is refused for good.
    async fn machine_create(&self, spec: &MachineSpec) -> Answer<String>;

    /// Starts it. Starting a running machine is a success.
    async fn machine_start(&self, handle: &str) -> Answer<()>;

    /// The machine of that name, `None` if it is surely not there.
    async fn machine_inspect(&self, name: &str) -> Answer<Option<MachineFact>>;

    /// All machines of this installation.
    async fn machine_list(&self) -> Answer<Vec<ListedMachine>>;

    /// Stops it: SIGTERM, and SIGKILL after `grace`. Stopping a stopped machine is a success.
    async fn machine_stop(&self, handle: &str, grace: std::time::Duration) -> Answer<()>;

    /// Removes it and everything that belongs to it, running or not; volumes of disks do not.
    /// Removing what is not there is a success.
    async fn machine_remove(&self, handle: &str) -> Answer<()>;

    /// The last `tail` lines that its command wrote.
    async fn machine_logs(&self, handle: &str, tail: u32) -> Answer<Logs>;

    /// Its load now.
    async fn machine_stats(&self, handle: &str) -> Answer<Stats>;

    /// Replaces files in `/.podbay/pod/` of a machine, each atomically. Takes the name, not the
    /// handle: its create may still be under way. For a machine that is not there it does nothing.
    async fn files_put(&self, name: &str, files: &[File]) -> Answer<()>;

    /// Makes the volume of a disk, held to its size where the driver can; the answer says whether.
    /// A volume of that name and disk that is already there is adopted.
    async fn volume_ensure(&self, spec: &VolumeSpec) -> Answer<VolumeFact>;

    /// The volume of that name, `None` if it is surely not there.
    async fn volume_inspect(&self, name: &str) -> Answer<Option<VolumeFact>>;

    /// All volumes of disks of this installation.
    async fn volume_list(&self) -> Answer<Vec<ListedVolume>>;

    /// Removes a volume and everything on it; refused while a machine has it. Removing what is not
    /// there is a success.
    async fn volume_remove(&self, name: &str) -> Answer<()>;

    /// A stream to a TCP port inside the machine: the one way to reach into it.
    async fn dial(&self, handle: &str, port: u16) -> Answer<Box<dyn Stream>>;

    /// A stream to a published port, as a client would open it. What readiness is judged by.
    async fn dial_published(&self, address: IpAddr, port: u16) -> Answer<Box<dyn Stream>>;
}

//! Bounds of this provider: deadlines of calls, sizes, and what a machine gets.

use rustix::process::{Resource, getrlimit};
use std::time::Duration;

/// "Are you there?"
pub(super) const PING_MAX: Duration = Duration::from_secs(3);
/// From running Podman's service to its first answer.
pub(super) const SERVICE_START_MAX: Duration = Duration::from_secs(10);
/// Questions: inspect, list, info, logs, load.
pub(super) const ASK_MAX: Duration = Duration::from_secs(20);
/// Making a machine; on a loaded disk the file system layer takes most of it.
pub(super) const CREATE_MAX: Duration = Duration::from_secs(60);
/// Starting one.
pub(super) const START_MAX: Duration = Duration::from_secs(60);
/// Stopping one, beyond the grace it is given.
pub(super) const STOP_EXTRA_MAX: Duration = Duration::from_secs(30);
/// Removing one, with all that was written in it.
pub(super) const REMOVE_MAX: Duration = Duration::from_secs(120);
/// The runtime's own removal of a container that the engine has forgotten.
pub(super) const RUNTIME_MAX: Duration = Duration::from_secs(10);
/// A look at the rules of forwarded ports, or a change of one.
pub(super) const NETWORK_MAX: Duration = Duration::from_secs(10);
/// From a look at a network namespace that nobody is in to its removal.
pub(super) const NETWORK_DESERTED_AFTER: Duration = Duration::from_secs(60);
/// How long such a change waits for somebody else's.
pub(super) const RULES_WAIT_SECONDS: &str = "5";
/// From SIGKILL to the end of a process.
pub(super) const MONITOR_END_MAX: Duration = Duration::from_secs(5);
/// Making a volume, or removing one with all that is on it.
pub(super) const VOLUME_MAX: Duration = Duration::from_secs(120);
/// A whole fetch.
pub(super) const PULL_MAX: Duration = Duration::from_secs(55 * 60);
/// A fetch that shows no sign of life; unpacking a large layer is silent on Podman.
pub(super) const PULL_SILENCE_MAX: Duration = Duration::from_secs(10 * 60);
/// Opening a connection into a machine.
pub(super) const DIAL_MAX: Duration = Duration::from_secs(5);

/// Machines that are asked about at the same time when all are listed.
pub(super) const ASK_PARALLEL_MAX: usize = 8;
/// Bytes of logs that one call gives at most, the newest.
pub(super) const LOG_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one line of a log; the rest of a longer one is left out.
pub(super) const LOG_LINE_BYTES_MAX: usize = 256 * 1024;

/// Size of one log file, in bytes, and how many are kept (Docker; Podman keeps one).
pub(super) const LOG_FILE_BYTES: u64 = 10 * 1024 * 1024;
pub(super) const LOG_FILES: u32 = 2;
/// Processes and threads for each CPU of a machine, and for a machine at most.
pub(super) const PIDS_PER_VCPU: i64 = 4_096;
pub(super) const PIDS_MAX: i64 = 65_536;
/// Most shared memory; it counts as the machine's memory when used. Data loaders of training
/// programs need far more than the engines' 64 MiB.
pub(super) const SHM_BYTES_MAX: i64 = 8 << 30;
/// A folder of a machine that the engine does not know is removed when it is this old.
pub(super) const FOLDER_GRACE: Duration = Duration::from_secs(60 * 60);

/// Open files of a process in a machine.
pub(super) fn files_max() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).min(1_048_576)
}

/// Processes of a user in a machine.
pub(super) fn processes_max() -> u64 {
    getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX).min(32_768)
}

//! Podman's API as a child of ours.
//!
//! Podman has no daemon; where nobody has set up its socket, we run `podman system service`
//! ourselves, with a configuration that works on this machine, so that nobody needs to know of
//! runtimes, control groups and resource limits:
//!
//! - the runtime `runc` where control groups of both generations are mounted (the other runtime,
//!   `crun`, refuses to work there);
//! - limits of open files and processes that are within our own (Podman asks for a million files
//!   by default, which a confined root may not give). Soft and hard are the same number because
//!   Podman's API swaps the two, and processes are at most 32768 because Podman lowers its own
//!   limit to that before it starts anything.
//!
//! Containers do not belong to the service and live on when it ends. The service itself must not
//! live on when we end: a thread owns it, and where `setpriv` is there the kernel ends it with us
//! even if we are killed; elsewhere it ends by itself when nobody has called it for a while.

use super::limits::{SERVICE_START_MAX, files_max, processes_max};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at the child.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Shortest and longest pause before a service that ended is run again.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A service that ran this long is not in a loop of failures.
const STEADY_AFTER: Duration = Duration::from_secs(60);
/// From SIGTERM to SIGKILL.
const END_GRACE: Duration = Duration::from_secs(2);
/// Without `setpriv`: seconds without a call after which the service ends.
const IDLE_SECONDS: u32 = 120;
/// Where system programs are, whatever our own `PATH` says; first, because Podman's helpers look
/// `iptables` up some twenty times for one container.
pub(super) const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin";

/// The running service; ends with this value.
#[derive(Debug)]
pub(super) struct Service {
    /// Dropped to ask for the end.
    stop: Option<SyncSender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Service {
    /// Runs it and keeps it running. Returns at once; the socket appears when the service listens.
    pub fn start(podman: PathBuf, state_dir: &Path, socket: PathBuf) -> io::Result<Self> {
        let config = state_dir.join("containers.conf");
        std::fs::write(&config, containers_conf(runtime()))?;
        let (stop, stopped) = sync_channel(0);
        // A thread of its own, not a task: "the parent died" means the *thread* that made the
        // child, and a runtime's threads come and go.
        let keeper = std::thread::Builder::new().name("podman-service".into()).spawn(move || {
            let plan = Plan { podman, config, socket, setpriv: find_program("setpriv") };
            keep(&plan, &stopped);
        })?;
        Ok(Self { stop: Some(stop), keeper: Some(keeper) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(keeper) = self.keeper.take() {
            // It panics only if we have a bug; nothing to add while dropping.
            let _ = keeper.join();
        }
    }
}

struct Plan {
    podman: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    setpriv: Option<PathBuf>,
}

fn keep(plan: &Plan, stopped: &Receiver<()>) {
    let mut pause = RESTART_MIN;
    loop {
        let since = Instant::now();
        match plan.spawn() {
            Ok(mut child) => {
                let ended = wait(&mut child, &plan.socket, stopped);
                end(&mut child);
                let Some(why) = ended else {
                    // It may already be gone.
                    let _ = std::fs::remove_file(&plan.socket);
                    return;
                };
                tracing::warn!(why, "running podman's service again");
            }
            Err(error) => tracing::error!(%error, program = %plan.podman.display(), "cannot run podman"),
        }
        pause = if since.elapsed() > STEADY_AFTER { RESTART_MIN } else { (pause * 2).min(RESTART_MAX) };
        if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Why the child is of no use any more; `None` if we are to end first.
fn wait(child: &mut Child, socket: &Path, stopped: &Receiver<()>) -> Option<String> {
    let since = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(format!("it ended: {status}"));
        }
        // Removed by somebody who tidies up: nobody can reach the service any more.
        if since.elapsed() > SERVICE_START_MAX && !socket.exists() {
            return Some("its socket is gone".to_owned());
        }
        if stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected) {
            return None;
        }
    }
}

/// Ends the child, if it has not ended.
fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let asked = Instant::now();
    // Not yet waited for, so the number is still the child's.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    while asked.elapsed() < END_GRACE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Plan {
    fn spawn(&self) -> io::Result<Child> {
        // A socket that nobody listens on would make the new service fail.
        let _ = std::fs::remove_file(&self.socket);
        let (mut command, idle) = match &self.setpriv {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(&self.podman);
                (command, 0)
            }
            None => (Command::new(&self.podman), IDLE_SECONDS),
        };
        command.args(["system", "service", "--time", &idle.to_string()]);
        command.arg(format!("unix://{}", self.socket.display()));
        if std::env::var_os("CONTAINERS_CONF").is_none() {
            command.env("CONTAINERS_CONF", &self.config);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", format!("{SYSTEM_PATH}:{}", path.to_string_lossy()));
        // Podman's helpers leave a file where they stand when memory runs out.
        command.current_dir(self.socket.parent().unwrap_or(Path::new("/")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C in our terminal is for us; we end the child in our own order.
        command.process_group(0).spawn()
    }
}

/// The file of that name in one of the folders for programs.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system: Vec<PathBuf> = std::env::split_paths(SYSTEM_PATH).collect();
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn runtime() -> Option<&'static str> {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    (!unified && find_program("runc").is_some()).then_some("runc")
}

fn containers_conf(runtime: Option<&str>) -> String {
    let (files, processes) = (files_max(), processes_max());
    let mut text = format!(
        "# Written by podbay at each start.\n[containers]\n\
         default_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n\
         log_size_max = 10485760\n[engine]\n"
    );
    if let Some(runtime) = runtime {
        text.push_str(&format!("runtime = \"{runtime}\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_equal_limits_and_the_runtime_only_where_needed() {
        let text = containers_conf(Some("runc"));
        assert!(text.contains(&format!("nproc={0}:{0}", processes_max())), "{text}");
        assert!(text.ends_with("[engine]\nruntime = \"runc\"\n"), "{text}");
        assert!(!containers_conf(None).contains("runtime"));
    }
}

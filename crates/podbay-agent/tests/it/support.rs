//! Starts agents and runs clients against them.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// No condition and no command of a test may take longer.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Polls until `condition` gives something.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for: {what}");
        // A pause between two looks.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running agent.
pub struct Agent {
    directory: TempDir,
    init: Child,
    pub port: u16,
}

impl Agent {
    /// One without a command, whose sessions use a plain `sh`.
    pub fn start() -> Agent {
        Agent::with(r#"{"shells": ["/bin/sh"]}"#)
    }

    pub fn with(config: &str) -> Agent {
        Agent::started_by(Command::new(env!("CARGO_BIN_EXE_podbay-agent")), config)
    }

    /// One for which no folder can be written.
    pub fn without_any_room() -> Agent {
        // In a view of the file system of its own.
        let script = r#"mount -o remount,bind,ro / || exit 1
            for folder in /tmp /var/tmp /dev/shm; do
                mount --bind $folder $folder && mount -o remount,bind,ro $folder || exit 1
            done
            exec "$0" "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script]);
        command.arg(env!("CARGO_BIN_EXE_podbay-agent"));
        Agent::started_by(command, r#"{"shells": ["/bin/sh"]}"#)
    }

    fn started_by(mut command: Command, config: &str) -> Agent {
        let directory = tempfile::tempdir().unwrap();
        let pod = directory.path().join("pod");
        std::fs::create_dir(&pod).unwrap();
        new_key(&pod.join("host_key"));
        new_key(&directory.path().join("id"));
        std::fs::copy(directory.path().join("id.pub"), pod.join("authorized_keys")).unwrap();
        std::fs::write(pod.join("config.json"), config).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let init = command
            .args(["init", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&pod)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut agent = Agent { directory, init, port: 0 };
        agent.port = until("the agent to listen", || {
            let line = agent
                .log()
                .lines()
                .find_map(|line| Some(line.strip_prefix("podbay: listening on 127.0.0.1:")?.to_owned()))?;
            line.parse().ok()
        });
        agent.write_client_config();
        agent
    }

    fn write_client_config(&self) {
        let text = format!(
            "Host *\n  HostName 127.0.0.1\n  Port {}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  BatchMode yes\n  LogLevel ERROR\n",
            self.port,
            self.path("id").display()
        );
        std::fs::write(self.path("client"), text).unwrap();
    }

    /// A path in this test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the agent and its command wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.init.id()
    }

    /// The process of the SSH server, once there is one that accepts logins.
    pub fn server(&self) -> u32 {
        until("the SSH server", || {
            children(self.pid()).into_iter().find(|pid| command_line(*pid).contains("serve"))
        })
    }

    /// One of OpenSSH's programs, set up for this agent and bounded in time.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "20", program, "-F"]).arg(self.path("client"));
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    /// `ssh pod <line>`
    pub fn ssh(&self, line: &str) -> Command {
        let mut command = self.client("ssh");
        command.args(["pod", line]).stdin(Stdio::null());
        command
    }

    /// Runs a command line in the pod and expects success; its output.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        success(&mut self.ssh(line))
    }

    /// A client that holds one connection for many others. Dropping it closes the connection.
    pub fn shared_connection(&self) -> Running {
        let socket = self.path("mux");
        let mut command = self.client("ssh");
        command.args(["-N", "-M", "-S"]).arg(&socket).arg("pod").stdin(Stdio::null());
        let master = Running(command.spawn().unwrap());
        until("the shared connection", || socket.exists().then_some(()));
        master
    }

    /// `ssh` over the shared connection.
    pub fn over(&self, line: &str) -> Command {
        let mut command = self.client("ssh");
        command.arg("-S").arg(self.path("mux")).args(["-o", "ProxyCommand=false", "pod", line]);
        command.stdin(Stdio::null());
        command
    }

    /// Sends a signal to the agent and waits for its end; how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        kill(Signal::TERM, self.pid());
        until("the agent to stop", || self.init.try_wait().unwrap());
        start.elapsed()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.init.try_wait(), Ok(None)) {
            kill(Signal::TERM, self.pid());
            let start = Instant::now();
            while matches!(self.init.try_wait(), Ok(None)) {
                if start.elapsed() > DEADLINE {
                    let _ = self.init.kill();
                    let _ = self.init.wait();
                }
                // A pause between two looks.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{log}");
        } else {
            assert!(!log.contains("panicked"), "the agent's log:\n{log}");
        }
    }
}

/// A client in the background, ended with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `timeout` passes it on.
        kill(Signal::TERM, self.0.id());
        let _ = self.0.wait();
    }
}

pub fn new_key(path: &Path) {
    let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(status.unwrap().success());
}

/// Runs to the end and expects exit status 0; standard output.
#[track_caller]
pub fn success(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs with `input` on stdin.
pub fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn kill(signal: Signal, pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A field of `/proc/PID/status`; `None` when there is no such process.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Memory in kilobytes: `VmRSS` for now, `VmHWM` for the most there was.
pub fn memory(pid: u32, field: &str) -> u64 {
    status(pid, field).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

pub fn is_alive(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

pub fn command_line(pid: u32) -> String {
    text(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).replace('\0', " ")
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| status(*child, "PPid").is_some_and(|parent| parent == pid.to_string())).collect()
}

/// A file of `megabytes` whose content has no pattern.
pub fn noise(path: &Path, megabytes: u64) {
    let mut random = File::open("/dev/urandom").unwrap();
    let mut file = File::create(path).unwrap();
    let mut limited = std::io::Read::take(&mut random, megabytes * 1024 * 1024);
    std::io::copy(&mut limited, &mut file).unwrap();
}

#[track_caller]
pub fn assert_same_files(one: &Path, other: &Path) {
    let status = Command::new("cmp").arg(one).arg(other).status().unwrap();
    assert!(status.success(), "{} and {} differ", one.display(), other.display());
}

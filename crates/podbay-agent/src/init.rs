//! PID 1: starts the image's command, owns the listening socket, keeps the SSH server alive, reaps.
//!
//! ```text
//!   start command and service ─→ listen ─→ start server ─┬─→ a child ended: report it, restart server or service
//!                                                        ├─→ HUP USR1 USR2 WINCH: pass on to the command
//!                                                        └─→ TERM INT QUIT RTMIN+3: stop
//!   stop: signal to the command, TERM to the server ─→ both ended, or GRACE is over ─→ TERM to what is left ─→ exit
//! ```
//!
//! * The command is a child of this process, not of the server: the server may crash and be started
//!   again without the user's work noticing. Every orphan of the container ends up here too.
//! * The socket is bound here and handed to the server as its stdin, so that it outlives a crash:
//!   a connection made meanwhile waits in the backlog, and the port does not change. A server is
//!   only started after the command, so whoever sees an SSH banner knows the command was started.
//! * A service that the pod was ordered with and the image lacks ends this process before anything is
//!   started, with an exit code of its own: the server tells the owner, and no banner says otherwise.
//! * There is one place that waits for children, `reap`, and tokio's own child handling is not used
//!   in this process, so nothing races for an exit status.
//! * As an ordinary process (tests, `docker run --init`) it becomes a subreaper and works the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::users::{Tables, is_executable};
use crate::{Options, say, sys};

/// How long a stop waits for the command. Below the ten seconds an engine gives by default.
const GRACE: Duration = Duration::from_secs(8);
/// How long a stop waits for what is left when the command and the server are gone.
const GRACE_OTHERS: Duration = Duration::from_millis(700);
/// A server that lived shorter than this is started again with growing delay.
const SERVER_LIFE_MIN: Duration = Duration::from_secs(5);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(5);
/// After the end of the service, before it is started again.
const SERVICE_PAUSE: Duration = Duration::from_secs(5);
/// Exit code when the image lacks the service. The server knows it.
const EXIT_NO_SERVICE: u8 = 117;
/// Where programs are looked for in an image that does not say.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often a port that is taken is tried again.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// Signals passed on to the command.
const FORWARDED: [SignalKind; 4] = [
    SignalKind::hangup(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
    SignalKind::window_change(),
];
/// Signals that mean: stop. Images choose (`STOPSIGNAL`); 37 is RTMIN+3, which systemd images use.
const STOPPING: [SignalKind; 4] =
    [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::from_raw(37)];

/// Runs PID 1 until the pod is stopped.
pub(crate) fn run(options: Options) -> ExitCode {
    sys::tune_allocator();
    let config = match Config::load(&options.directory) {
        Ok(config) => config,
        Err(why) => {
            say(&why);
            return ExitCode::FAILURE;
        }
    };
    if let Some(service) = &config.service {
        let program = service.command.first().map_or("", String::as_str);
        if find_program(program, std::env::var_os("PATH")).is_none() {
            say(&format!("the image has no {}: there is no program {program} in its PATH", service.name));
            return ExitCode::from(EXIT_NO_SERVICE);
        }
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            say(&format!("cannot start: {why}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(Init::new(options, config).run())
}

/// The program of that name along `path`, as a shell finds it.
fn find_program(name: &str, path: Option<OsString>) -> Option<PathBuf> {
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| PATH_DEFAULT.into());
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    candidates.into_iter().find(|file| is_executable(file))
}

/// What happened to this process.
enum Event {
    Child,
    Forward(i32),
    Stop(i32),
}

struct Init {
    options: Options,
    config: Config,
    command: Option<Pid>,
    service: Option<Pid>,
    server: Option<Pid>,
    listener: Option<TcpListener>,
    listen_complaint: Option<String>,
    server_started: Instant,
    restart_delay: Duration,
    /// When to try again what could not be done: listen, or start the server.
    retry_at: Option<Instant>,
    /// When to start the service again.
    service_at: Option<Instant>,
}

impl Init {
    fn new(options: Options, config: Config) -> Init {
        Init {
            options,
            config,
            command: None,
            service: None,
            server: None,
            listener: None,
            listen_complaint: None,
            server_started: Instant::now(),
            restart_delay: Duration::ZERO,
            retry_at: None,
            service_at: None,
        }
    }

    async fn run(mut self) -> ExitCode {
        if std::process::id() != 1 {
            // Without it orphans go to the real PID 1, which is what they would do without us.
            let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        }
        let mut events = listen_for_signals();
        self.command = self.spawn("command", &self.config.command, &BTreeMap::new());
        self.start_service();
        self.serve();
        loop {
            let event = match [self.retry_at, self.service_at].into_iter().flatten().min() {
                None => events.recv().await,
                Some(at) => tokio::select! {
                    event = events.recv() => event,
                    () = sleep_until(at) => {
                        self.retry();
                        continue;
                    }
                },
            };
            match event {
                Some(Event::Child) => {
                    self.reap(true);
                }
                Some(Event::Forward(number)) => self.signal_command(number),
                Some(Event::Stop(number)) => break self.stop(number, &mut events).await,
                None => break ExitCode::FAILURE,
            }
        }
    }

    /// Does what is due again.
    fn retry(&mut self) {
        let due = |at: &mut Instant| *at <= Instant::now();
        if self.retry_at.take_if(due).is_some() {
            self.serve();
        }
        if self.service_at.take_if(due).is_some() {
            self.start_service();
        }
    }

    fn start_service(&mut self) {
        let Some(service) = &self.config.service else { return };
        self.service = self.spawn(&service.name, &service.command, &service.env);
        if self.service.is_none() {
            self.service_at = Some(Instant::now() + SERVICE_PAUSE);
        }
    }

    /// Starts a program of the image as the image's user; says so if it cannot.
    fn spawn(&self, name: &str, words: &[String], env: &BTreeMap<String, String>) -> Option<Pid> {
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).envs(env).stdin(Stdio::null());
        if let Some(directory) = &self.config.working_dir {
            command.current_dir(directory);
        }
        let identity = match self.config.user.as_str() {
            "" => None,
            user => match Tables::read().image_user(user) {
                Some(user) => {
                    command.env("HOME", &user.home);
                    user.identity()
                }
                None => {
                    say(&format!("{name} could not be started: no user {user} in this image"));
                    return None;
                }
            },
        };
        sys::new_session(&mut command, false, identity);
        match command.spawn() {
            // Dropping the handle neither kills nor waits: `reap` does the waiting.
            Ok(child) => Pid::from_raw(child.id().cast_signed()),
            Err(why) => {
                say(&format!("{name} could not be started: {program}: {why}"));
                None
            }
        }
    }

    /// Listens and starts the server, as far as either is not done.
    fn serve(&mut self) {
        if self.listener.is_none() {
            match bind(self.options.listen, self.config.ssh_port) {
                Ok(listener) => {
                    if let (Some(_), Ok(address)) = (self.options.listen, listener.local_addr()) {
                        say(&format!("listening on {address}"));
                    }
                    self.listener = Some(listener);
                }
                Err(why) => {
                    // Said once per reason: the image's own sshd may hold the port for hours.
                    let why = format!("cannot listen for SSH: {why}");
                    if self.listen_complaint.as_ref() != Some(&why) {
                        say(&why);
                        self.listen_complaint = Some(why);
                    }
                    self.retry_at = Some(Instant::now() + LISTEN_RETRY);
                    return;
                }
            }
        }
        if self.server.is_none()
            && let Err(why) = self.start_server()
        {
            say(&format!("cannot start the SSH server: {why}"));
            self.retry_at = Some(Instant::now() + RESTART_DELAY_MAX);
        }
    }

    fn start_server(&mut self) -> std::io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let socket = OwnedFd::from(listener.try_clone()?);
        let child = Command::new("/proc/self/exe")
            .arg0("podbay-agent")
            .arg("serve")
            .arg("--dir")
            .arg(&self.options.directory)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn()?;
        self.server = Pid::from_raw(child.id().cast_signed());
        self.server_started = Instant::now();
        Ok(())
    }

    /// Takes the status of every child that has ended, and says whether there are more children.
    fn reap(&mut self, restart: bool) -> bool {
        loop {
            let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) => return true,
                Err(_) => return false,
            };
            if Some(pid) == self.command {
                self.command = None;
                say(&describe_end("command", status));
            } else if Some(pid) == self.service {
                self.service = None;
                let name = self.config.service.as_ref().map_or("service", |service| &service.name);
                say(&describe_end(name, status));
                if restart {
                    self.service_at = Some(Instant::now() + SERVICE_PAUSE);
                }
            } else if Some(pid) == self.server {
                self.server = None;
                if restart {
                    self.restart_server();
                }
            }
        }
    }

    fn restart_server(&mut self) {
        if self.server_started.elapsed() >= SERVER_LIFE_MIN {
            self.restart_delay = Duration::ZERO;
        }
        self.retry_at = Some(Instant::now() + self.restart_delay);
        let next = (self.restart_delay * 2).max(Duration::from_millis(100));
        self.restart_delay = next.min(RESTART_DELAY_MAX);
    }

    fn signal_command(&self, number: i32) {
        signal_group(self.command, number);
    }

    async fn stop(mut self, number: i32, events: &mut mpsc::UnboundedReceiver<Event>) -> ExitCode {
        // From here on a new connection is refused rather than left waiting.
        self.listener = None;
        self.signal_command(number);
        signal_group(self.service, libc::SIGTERM);
        if let Some(server) = self.server {
            let _ = rustix::process::kill_process(server, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        while self.command.is_some() || self.service.is_some() || self.server.is_some() {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Child) => {
                        self.reap(false);
                    }
                    Some(Event::Forward(number) | Event::Stop(number)) => self.signal_command(number),
                    None => break,
                },
                () = sleep_until(deadline) => {
                    self.signal_command(libc::SIGKILL);
                    signal_group(self.service, libc::SIGKILL);
                    if let Some(server) = self.server {
                        let _ = rustix::process::kill_process(server, Signal::KILL);
                    }
                    break;
                }
            }
        }
        if std::process::id() == 1 {
            sys::signal_everyone(Signal::TERM);
            let deadline = Instant::now() + GRACE_OTHERS;
            while self.reap(false) {
                tokio::select! {
                    _ = events.recv() => {}
                    () = sleep_until(deadline) => break,
                }
            }
        }
        self.reap(false);
        ExitCode::SUCCESS
    }
}

fn signal_group(leader: Option<Pid>, number: i32) {
    if let (Some(pid), Some(signal)) = (leader, named_signal(number)) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

fn listen_for_signals() -> mpsc::UnboundedReceiver<Event> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let watch = |kind: SignalKind, make: fn(i32) -> Event| {
        let Ok(mut stream) = signal(kind) else { return };
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = sender.send(make(kind.as_raw_value()));
            }
        });
    };
    watch(SignalKind::child(), |_| Event::Child);
    FORWARDED.into_iter().for_each(|kind| watch(kind, Event::Forward));
    STOPPING.into_iter().for_each(|kind| watch(kind, Event::Stop));
    receiver
}

/// Both address families where the container has them.
fn bind(listen: Option<SocketAddr>, port: u16) -> std::io::Result<TcpListener> {
    match listen {
        Some(address) => TcpListener::bind(address),
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))),
    }
    .map_err(|why| match listen {
        Some(address) => std::io::Error::new(why.kind(), format!("{address}: {why}")),
        None => std::io::Error::new(why.kind(), format!("port {port}: {why}")),
    })
}

fn describe_end(name: &str, status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("{name} exited with status {code}"),
        (None, Some(number)) => format!("{name} killed by signal {}", signal_name(number)),
        (None, None) => format!("{name} ended"),
    }
}

/// The signals people know, with their numbers on Linux.
const SIGNALS: [(&str, i32); 29] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("SYS", libc::SIGSYS),
];

/// `TERM` for 15, a number for what has no name.
pub(crate) fn signal_name(number: i32) -> String {
    let known = SIGNALS.iter().find(|(_, other)| *other == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// The signal of a name without `SIG`.
pub(crate) fn signal_by_name(name: &str) -> Option<Signal> {
    SIGNALS.iter().find(|(other, _)| *other == name).and_then(|(_, number)| named_signal(*number))
}

fn named_signal(number: i32) -> Option<Signal> {
    Signal::from_named_raw(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_along_the_path_and_only_there() {
        let find = |name: &str, path: &str| find_program(name, Some(path.into()));
        assert_eq!(find("sh", "/nowhere:/bin"), Some("/bin/sh".into()));
        assert_eq!(find("sh", ""), find_program("sh", None));
        assert!(find("sh", "").is_some(), "an image that does not say has the usual folders");
        assert_eq!(find("sh", "/nowhere"), None);
        assert_eq!(find("passwd", "/etc"), None, "a file that is no program");
        assert_eq!(find("bin", "/usr"), None, "a folder");
        assert_eq!(find("", "/bin"), None);
    }

    #[test]
    fn signals_have_names_both_ways() {
        assert_eq!(signal_name(15), "TERM");
        assert_eq!(signal_name(64), "64");
        assert_eq!(signal_by_name("KILL"), Some(Signal::KILL));
        assert_eq!(signal_by_name("SIGKILL"), None);
    }
}

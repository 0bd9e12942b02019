//! One session channel: what the client asks for, the program it runs, and how both end.
//!
//! Three tasks, so that none can block another:
//!
//! ```text
//!   client ─→ library ─→ [drain: this file's `run`] ─→ inbox ─→ [feed] ─→ program's stdin
//!   client ←─ library ←───────── [conduct: pumps stdout and stderr, waits, reports the end] ←─ program
//! ```
//!
//! The library's own task waits for `run` to take each message, so `run` never waits for anything
//! but a full inbox (see inbox.rs). Replies to requests are given in server.rs, at once and in
//! order, because the library remembers one outstanding reply per channel only.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, Sig};
use rustix::process::{Pid, Signal};
use tokio::sync::Notify;

use crate::channel_io::{Outlet, STDERR};
use crate::connection::OpenChannel;
use crate::inbox::{Accepted, HELD_MAX, Inbox};
use crate::init::{signal_by_name, signal_name};
use crate::process::{self, Launch, Program, Setup, may_set};
use crate::pty::{PtyRequest, Terminal, window};

/// How much of a program's output is read at once.
const OUTPUT_CHUNK: usize = 64 * 1024;
const ERRORS_CHUNK: usize = 8 * 1024;
/// How long a program that was hung up keeps its pipes: one that handles the hangup may say so
/// without dying of it.
const HANGUP_GRACE: Duration = Duration::from_secs(2);
/// Bounds on what a client may say before its program starts.
const ENVIRONMENT_COUNT_MAX: usize = 256;
const ENVIRONMENT_BYTES_MAX: usize = 128 * 1024;

const NO_AGENT: &[u8] = b"podbay: agent forwarding is not available in this pod\r\n";

/// A session channel before its program runs.
pub(crate) struct Session {
    id: ChannelId,
    handle: Handle,
    outlet: Arc<Outlet>,
    place: OpenChannel,
    shells: Option<Vec<PathBuf>>,
    inbox: Arc<Inbox>,
}

impl Session {
    /// Serves the channel until it is closed.
    pub(crate) async fn serve(
        channel: Channel<Msg>,
        handle: Handle,
        place: OpenChannel,
        shells: Option<Vec<PathBuf>>,
    ) {
        let id = channel.id();
        let (messages, half) = channel.split();
        let outlet = Arc::new(Outlet::new(half, Arc::clone(&place.connection)));
        let session = Session { id, handle, outlet, place, shells, inbox: Arc::default() };
        session.run(messages).await;
    }

    async fn run(self, mut messages: ChannelReadHalf) {
        let mut setup = Setup::default();
        let Some(launch) = self.prepare(&mut messages, &mut setup).await else { return };
        let connection = &self.place.connection;
        let Some(login) = connection.login.get() else { return };
        match process::start(&launch, &setup, &login.user, connection, self.shells.as_deref()) {
            Ok(program) => self.conduct(messages, program).await,
            Err(problem) => {
                self.inbox.discard();
                let line = format!("podbay: {}\r\n", problem.why);
                let report = async {
                    let _ = self.outlet.send(Some(STDERR), Bytes::from(line)).await;
                    let _ = self.handle.exit_status_request(self.id, problem.status).await;
                    self.outlet.end().await;
                    self.outlet.close().await;
                };
                // The report waits for the client's window, so the client must be heard.
                tokio::select! { () = report => {}, () = drain(&mut messages) => {} }
            }
        }
    }

    /// Collects requests until one says what to run; `None` when the channel closes before.
    async fn prepare(&self, messages: &mut ChannelReadHalf, setup: &mut Setup) -> Option<Launch> {
        let mut environment_bytes = 0;
        let mut agent_asked = false;
        loop {
            match messages.wait().await? {
                ChannelMsg::RequestPty {
                    term,
                    col_width,
                    row_height,
                    pix_width,
                    pix_height,
                    terminal_modes,
                    ..
                } => {
                    let size = window(col_width, row_height, pix_width, pix_height);
                    setup.pty = Some(PtyRequest { term, size, modes: terminal_modes });
                }
                ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                    if let Some(pty) = &mut setup.pty {
                        pty.size = window(col_width, row_height, pix_width, pix_height);
                    }
                }
                ChannelMsg::SetEnv { variable_name, variable_value, .. } => {
                    environment_bytes += variable_name.len() + variable_value.len();
                    let fits = setup.environment.len() < ENVIRONMENT_COUNT_MAX
                        && environment_bytes <= ENVIRONMENT_BYTES_MAX;
                    if fits && may_set(&variable_name) && !variable_value.contains('\0') {
                        setup.environment.push((variable_name, variable_value));
                    }
                }
                ChannelMsg::AgentForward { .. } => agent_asked = true,
                request @ (ChannelMsg::RequestShell { .. } | ChannelMsg::Exec { .. }) => {
                    if agent_asked {
                        let _ = self.outlet.send(Some(STDERR), Bytes::from_static(NO_AGENT)).await;
                    }
                    return Some(match request {
                        ChannelMsg::Exec { command, .. } => Launch::Exec(command),
                        _ => Launch::Shell,
                    });
                }
                ChannelMsg::RequestSubsystem { name, .. } if name == "sftp" => return Some(Launch::Sftp),
                ChannelMsg::Data { data } => match self.inbox.accept(data, &self.place.connection).await {
                    Accepted::Taken => {}
                    Accepted::Gone | Accepted::NoRoom => {
                        self.outlet.close().await;
                        return None;
                    }
                },
                ChannelMsg::Eof => self.inbox.end(),
                ChannelMsg::Close => return None,
                _ => {}
            }
        }
    }

    async fn conduct(self, mut messages: ChannelReadHalf, program: Program) {
        let Program { mut child, pid, input, mut output, mut errors, terminal } = program;
        let process = Arc::new(Process { pid, running: AtomicBool::new(true) });
        let inbox = Arc::clone(&self.inbox);
        let feed = tokio::spawn(async move { inbox.feed(input).await });
        let hangup = Arc::new(Notify::new());
        let conductor = {
            let (outlet, handle, id) = (Arc::clone(&self.outlet), self.handle.clone(), self.id);
            let (process, hangup) = (Arc::clone(&process), Arc::clone(&hangup));
            async move {
                let status = {
                    let pump_output = outlet.pump(&mut output, None, OUTPUT_CHUNK);
                    let pump_errors = async {
                        if let Some(errors) = &mut errors {
                            outlet.pump(errors, Some(STDERR), ERRORS_CHUNK).await;
                        }
                    };
                    let wait = async {
                        let status = child.wait().await;
                        process.running.store(false, Ordering::Release);
                        status
                    };
                    let mut wait = pin!(wait);
                    tokio::select! {
                        ((), (), status) = async { tokio::join!(pump_output, pump_errors, wait.as_mut()) } => status,
                        () = hangup.notified() => {
                            // `wait` may be over: a background process can hold the pipes longer.
                            let over = !process.is_running()
                                || tokio::time::timeout(HANGUP_GRACE, wait.as_mut()).await.is_ok();
                            drop((output, errors));
                            if !over {
                                let _ = wait.await;
                            }
                            return;
                        }
                    }
                };
                // Before the end of the output: a client that sends nothing closes as soon as it
                // sees that, and a closed channel takes no status.
                if let Ok(status) = status {
                    report(&handle, id, status).await;
                }
                outlet.end().await;
                outlet.close().await;
            }
        };
        let conductor = tokio::spawn(conductor);
        self.drain_into(&mut messages, &process, terminal.as_ref(), conductor, &hangup).await;
        self.inbox.discard();
        feed.abort();
    }

    /// Takes the client's messages until the program or the channel has ended.
    async fn drain_into(
        &self,
        messages: &mut ChannelReadHalf,
        process: &Process,
        terminal: Option<&Terminal>,
        mut conductor: tokio::task::JoinHandle<()>,
        hangup: &Notify,
    ) {
        loop {
            let message = tokio::select! {
                message = messages.wait() => message,
                _ = &mut conductor => return,
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    let accepted = self.inbox.accept(data, &self.place.connection);
                    let accepted = tokio::select! {
                        accepted = accepted => accepted,
                        _ = &mut conductor => return,
                    };
                    match accepted {
                        Accepted::Taken => {}
                        Accepted::Gone => break,
                        Accepted::NoRoom => self.give_up(process),
                    }
                }
                Some(ChannelMsg::Eof) => self.inbox.end(),
                Some(ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height }) => {
                    if let Some(terminal) = terminal {
                        terminal.resize(window(col_width, row_height, pix_width, pix_height));
                    }
                }
                Some(ChannelMsg::Signal { signal }) => {
                    if let Some(signal) = signal_of(&signal) {
                        process.signal(signal);
                    }
                }
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            }
        }
        // The client is gone: so is the terminal or the pipe, and the program is told.
        process.signal(Signal::HUP);
        hangup.notify_one();
    }

    /// Hangs a program up that does not read, in words. Its end is reported as any other; what comes
    /// for it until then is forgotten.
    fn give_up(&self, process: &Process) {
        self.inbox.discard();
        process.signal(Signal::HUP);
        let seconds = HELD_MAX.as_secs();
        let line = format!(
            "podbay: the program has read nothing for {seconds} seconds or more, and there is no room for what \
             was sent to it: it is hung up, so that the other sessions of this connection go on\r\n"
        );
        // It waits for the client's window, so not here, where the client is heard.
        let outlet = Arc::clone(&self.outlet);
        tokio::spawn(async move { outlet.send(Some(STDERR), Bytes::from(line)).await });
    }
}

/// Takes and forgets messages until the channel ends.
pub(crate) async fn drain(messages: &mut ChannelReadHalf) {
    while !matches!(messages.wait().await, None | Some(ChannelMsg::Close)) {}
}

/// The leader of a channel's process group.
struct Process {
    pid: Pid,
    /// False once its status was taken: from then on its number may be somebody else's.
    running: AtomicBool,
}

impl Process {
    fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    fn signal(&self, signal: Signal) {
        if self.is_running() {
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }
}

fn signal_of(signal: &Sig) -> Option<Signal> {
    Some(match signal {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::FPE => Signal::FPE,
        Sig::HUP => Signal::HUP,
        Sig::ILL => Signal::ILL,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::PIPE => Signal::PIPE,
        Sig::QUIT => Signal::QUIT,
        Sig::SEGV => Signal::SEGV,
        Sig::TERM => Signal::TERM,
        Sig::USR1 => Signal::USR1,
        Sig::Custom(name) => return signal_by_name(name),
    })
}

async fn report(handle: &Handle, id: ChannelId, status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (None, Some(number)) => {
            let name = Sig::Custom(signal_name(number));
            let dumped = status.core_dumped();
            let _ = handle.exit_signal_request(id, name, dumped, String::new(), String::new()).await;
        }
        (code, _) => {
            let code = code.unwrap_or(255).cast_unsigned();
            let _ = handle.exit_status_request(id, code).await;
        }
    }
}

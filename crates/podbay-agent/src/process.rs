//! Starts the program of a session channel: a shell, a command, or our own SFTP server.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Child;

use crate::connection::Connection;
use crate::pty::{self, PtyRequest, Terminal};
use crate::users::{User, shell_of};
use crate::{sys, words};

/// Used when the container's environment has no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a pipe holds: with the kernel's 64 KiB an SFTP download wakes us twice as often.
const PIPE_BYTES: usize = 256 * 1024;
/// Exit status of a command that was not found, as shells have it.
const NOT_FOUND: u32 = 127;
/// Exit status of a command that was found and could not be run.
const NOT_RUN: u32 = 126;

/// What the client asked to run.
pub(crate) enum Launch {
    Shell,
    Exec(Vec<u8>),
    Sftp,
}

/// Everything a client may say about a session before it starts.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) pty: Option<PtyRequest>,
    pub(crate) environment: Vec<(String, String)>,
}

/// A started program. With a terminal there is no separate stderr.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) pid: Pid,
    pub(crate) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) errors: Option<tokio::process::ChildStderr>,
    pub(crate) terminal: Option<Terminal>,
}

/// Why a program could not be started: a line for the user, and an exit status for scripts.
pub(crate) struct NotStarted {
    pub(crate) why: String,
    pub(crate) status: u32,
}

impl NotStarted {
    fn new(why: impl Into<String>, status: u32) -> NotStarted {
        NotStarted { why: why.into(), status }
    }
}

/// Starts `launch` as `user`.
pub(crate) fn start(
    launch: &Launch,
    setup: &Setup,
    user: &User,
    connection: &Connection,
    shells: Option<&[PathBuf]>,
) -> Result<Program, NotStarted> {
    let shell = shell_of(user, shells);
    let mut command = command_line(launch, shell.as_deref())?;
    let name = command.get_program().to_string_lossy().into_owned();
    let terminal = match &setup.pty {
        Some(request) => {
            let opened = pty::open(request, user);
            Some(opened.map_err(|why| NotStarted::new(format!("no terminal: {why}"), NOT_RUN))?)
        }
        None => None,
    };
    let tty_path = terminal.as_ref().map(|(_, _, path)| path.as_path());
    set_environment(&mut command, setup, user, shell.as_deref(), connection, tty_path);
    command.current_dir(if user.home.is_dir() { user.home.as_path() } else { Path::new("/") });
    let started = match terminal {
        Some((terminal, slave, _)) => start_on_terminal(command, user, terminal, slave),
        None => start_on_pipes(command, user),
    };
    started.map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => NotStarted::new(format!("{name}: not found"), NOT_FOUND),
        _ => NotStarted::new(format!("{name}: {why}"), NOT_RUN),
    })
}

fn command_line(launch: &Launch, shell: Option<&Path>) -> Result<Command, NotStarted> {
    let mut command;
    match (launch, shell) {
        (Launch::Sftp, _) => {
            // This very file, even where its path means nothing any more.
            command = Command::new("/proc/self/exe");
            command.arg0("podbay-agent").arg("sftp-server");
        }
        (Launch::Shell, Some(shell)) => {
            command = Command::new(shell);
            // A dash in front of its name makes a shell a login shell.
            let mut name = OsString::from("-");
            name.push(shell.file_name().unwrap_or(OsStr::new("sh")));
            command.arg0(name);
        }
        (Launch::Exec(line), Some(shell)) => {
            command = Command::new(shell);
            command.arg0(shell.file_name().unwrap_or(OsStr::new("sh")));
            command.arg("-c").arg(OsStr::from_bytes(line));
        }
        (Launch::Shell, None) => {
            let why = "this image has no shell; run a program by its path, or use sftp";
            return Err(NotStarted::new(why, NOT_FOUND));
        }
        (Launch::Exec(line), None) => {
            let words = words::split(line).map_err(|why| NotStarted::new(why, 2))?;
            let mut words = words.into_iter().map(OsString::from_vec);
            let Some(program) = words.next() else { return Err(NotStarted::new("empty command", NOT_FOUND)) };
            command = Command::new(program);
            command.args(words);
        }
    }
    Ok(command)
}

fn set_environment(
    command: &mut Command,
    setup: &Setup,
    user: &User,
    shell: Option<&Path>,
    connection: &Connection,
    tty: Option<&Path>,
) {
    // The container's own environment is inherited: it is what the image and the pod's owner set.
    for (name, value) in &setup.environment {
        command.env(name, value);
    }
    if std::env::var_os("PATH").is_none() {
        command.env("PATH", PATH_DEFAULT);
    }
    command.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
    command.env("SHELL", shell.unwrap_or(Path::new("/bin/sh")));
    // bash reads .bashrc for a remote command only when it sees one of these.
    let (peer, local) = (connection.peer, connection.local);
    command.env("SSH_CLIENT", format!("{} {} {}", peer.ip(), peer.port(), local.port()));
    command.env("SSH_CONNECTION", format!("{} {} {} {}", peer.ip(), peer.port(), local.ip(), local.port()));
    match (&setup.pty, tty) {
        (Some(request), Some(tty)) => {
            command.env("SSH_TTY", tty);
            if !request.term.is_empty() {
                command.env("TERM", &request.term);
            }
        }
        _ => {
            command.env_remove("SSH_TTY");
        }
    }
}

/// Whether a client may set this variable.
///
/// It is the client's own pod, so nearly every name is fine. Refused are the names this server sets
/// itself and those that decide what code runs: clients that send their whole environment (`SendEnv
/// *`) would otherwise break their sessions with the `PATH` or `LD_LIBRARY_PATH` of another machine.
pub(crate) fn may_set(name: &str) -> bool {
    const OURS: [&str; 11] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "SHELLOPTS",
        "BASHOPTS",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PWD",
    ];
    let mut bytes = name.bytes();
    let identifier = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    identifier && !name.starts_with("LD_") && !name.starts_with("SSH_") && !OURS.contains(&name)
}

fn start_on_pipes(mut command: Command, user: &User) -> io::Result<Program> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    sys::new_session(&mut command, false, user.identity());
    let mut child = tokio::process::Command::from(command).spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    // Without the larger size everything works, only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&input, PIPE_BYTES);
    let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
    Ok(Program {
        pid: pid_of(&child)?,
        errors: child.stderr.take(),
        child,
        input: Box::new(input),
        output: Box::new(output),
        terminal: None,
    })
}

fn start_on_terminal(
    mut command: Command,
    user: &User,
    terminal: Terminal,
    slave: OwnedFd,
) -> io::Result<Program> {
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    sys::new_session(&mut command, true, user.identity());
    // The handles of the terminal's other side go with `command`, so that only the program has them.
    let child = tokio::process::Command::from(command).spawn()?;
    Ok(Program {
        pid: pid_of(&child)?,
        child,
        input: Box::new(terminal.clone()),
        output: Box::new(terminal.clone()),
        errors: None,
        terminal: Some(terminal),
    })
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    let raw = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    raw.ok_or_else(|| io::Error::other("ended at once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_may_set_what_does_not_decide_which_code_runs() {
        for name in ["LANG", "LC_ALL", "TERM", "FOO_1", "_x", "GIT_AUTHOR_NAME"] {
            assert!(may_set(name), "{name}");
        }
        for name in ["", "1A", "A-B", "A=B", "PATH", "LD_PRELOAD", "BASH_ENV", "SSH_TTY", "BASH_FUNC_x%%"] {
            assert!(!may_set(name), "{name}");
        }
    }
}

//! The SSH side inside a pod: one static program, mounted into any image and run as PID 1.
//!
//! One binary, three roles, each its own process:
//!
//! ```text
//! podbay-agent init          PID 1: owns the image's command and the listening socket, reaps (init.rs)
//!  ├─ the image's command    survives everything that happens to the SSH side
//!  └─ podbay-agent serve     the SSH server; started again when it dies            (server.rs)
//!      ├─ shells, commands   one process group per SSH channel                   (session.rs)
//!      └─ podbay-agent sftp-server   one per SFTP channel, as the session's user    (sftp/)
//! ```
//!
//! The roles are separate processes, started by executing this file again, so that a fault in the
//! SSH side (the part that parses what strangers send) cannot take the user's work with it, and so
//! that PID 1 is small and does next to nothing.
//!
//! Deliberately absent: password logins, agent and X11 forwarding, `libc` name lookups (a static
//! glibc would load the image's NSS modules and crash), a log of its own (stderr is the user's).

mod authorized;
mod channel_io;
mod config;
mod connection;
mod forward;
mod handler;
mod inbox;
mod init;
mod process;
mod pty;
mod resolve;
mod server;
mod session;
mod sftp;
mod sys;
mod users;
mod wire;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the server mounts what this pod is.
const POD_DIRECTORY: &str = "/.podbay/pod";

const USAGE: &str = "usage: podbay-agent init [--dir PATH] [--listen ADDRESS:PORT]\n       \
                     podbay-agent --version";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next().unwrap_or_default();
    match role.to_str() {
        Some("--version" | "-V") => {
            // A closed stdout is the caller's choice.
            let _ = writeln!(std::io::stdout(), "podbay-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("sftp-server") => sftp::run(),
        Some(role @ ("init" | "serve")) => match Options::parse(arguments) {
            Ok(options) if role == "init" => init::run(options),
            Ok(options) => server::run(&options),
            Err(why) => usage(&why),
        },
        _ => usage("the first argument names a role"),
    }
}

fn usage(why: &str) -> ExitCode {
    say(&format!("{why}\n{USAGE}"));
    ExitCode::from(2)
}

/// Writes one line to stderr, which is the pod's log. Never panics: the log may be gone.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("podbay: {line}\n").as_bytes());
}

/// What `init` and `serve` are told on their command line.
pub(crate) struct Options {
    /// The directory with `config.json`, `host_key` and `authorized_keys`.
    pub(crate) directory: PathBuf,
    /// Listen here instead of on the configured port of every address, and say where on stderr.
    pub(crate) listen: Option<SocketAddr>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options { directory: PathBuf::from(POD_DIRECTORY), listen: None };
        while let Some(name) = arguments.next() {
            let name = name.to_string_lossy().into_owned();
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--dir" => options.directory = PathBuf::from(value),
                "--listen" => {
                    let text = value.to_string_lossy();
                    let address = text.parse().map_err(|why| format!("--listen {text}: {why}"))?;
                    options.listen = Some(address);
                }
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

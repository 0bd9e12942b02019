//! `podbay pods ssh`: the system's SSH client, told where to go.
//!
//! The server's host key is taken at the first visit and held to afterwards, in a file of our
//! own, under the name of the pod: addresses and ports are used again by other pods, names are not.

use super::find_pod;
use crate::context::Context;
use crate::failure::{Code, Failure, Result};
use crate::wait::{self, Goal};
use clap::Args;
use podbay_api::OneOrMany;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Log in, or run a command
#[derive(Debug, Args)]
pub struct Ssh {
    /// Id, beginning of one, or name
    pod: String,
    /// Private key to log in with [default: what ssh itself finds]
    #[arg(long, short, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Forward a local port, as in 8888:localhost:8888; may be given several times
    #[arg(long = "forward", short = 'L', value_name = "PORT:HOST:PORT")]
    forwards: Vec<String>,
    /// Ask for a terminal though there is a command
    #[arg(long, short = 't')]
    tty: bool,
    /// Print the command instead of running it
    #[arg(long)]
    print: bool,
    /// Longest wait until SSH answers
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = wait::duration)]
    timeout: Duration,
    /// Command to run in the pod
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Ssh {
    /// Waits, and becomes `ssh`.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        let pod = find_pod(&client, &self.pod).await?;
        let row = wait::pod(context, &client, &pod.id, Goal::Ssh, self.timeout).await?;
        let connection = row.ssh_connection.as_ref().and_then(OneOrMany::first).unwrap_or_default();
        let address = Address::parse(connection).ok_or_else(|| {
            Failure::server(format!("the server names no address that ssh could be given: `{connection}`"))
        })?;
        let folder = context.environment.folder.clone();
        if let Some(folder) = &folder {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Failure::usage(format!("cannot make {}: {error}", folder.display())))?;
        }
        let arguments = self.arguments(&address, &pod.id, folder.as_deref());
        if self.print {
            let words: Vec<String> = arguments.iter().map(|word| quote(&word.to_string_lossy())).collect();
            return context.terminal.data(&format!("ssh {}\n", words.join(" ")));
        }
        let mut command = Command::new("ssh");
        command.args(arguments);
        Err(replace(command))
    }

    fn arguments(&self, address: &Address, pod: &str, folder: Option<&Path>) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut option = |text: String| words.extend([OsString::from("-o"), OsString::from(text)]);
        option("StrictHostKeyChecking=accept-new".to_owned());
        if let Some(folder) = folder {
            let file = folder.join("known_hosts").display().to_string();
            option(format!("UserKnownHostsFile=\"{}\"", file.replace('%', "%%")));
        }
        option(format!("HostKeyAlias={pod}.podbay"));
        option("CheckHostIP=no".to_owned());
        option("ServerAliveInterval=15".to_owned());
        option("ServerAliveCountMax=4".to_owned());
        option("ConnectTimeout=20".to_owned());
        option("ForwardAgent=no".to_owned());
        for forward in &self.forwards {
            words.extend(["-L".into(), forward.into()]);
        }
        if let Some(identity) = &self.identity {
            words.extend(["-i".into(), identity.into(), "-o".into(), "IdentitiesOnly=yes".into()]);
        }
        if self.tty {
            words.push("-t".into());
        }
        words.extend(["-p".into(), address.port.to_string().into()]);
        words.extend(["-l".into(), address.user.clone().into(), "--".into(), address.host.clone().into()]);
        words.extend(self.command.iter().cloned());
        words
    }
}

/// Where SSH answers. Only characters that cannot be taken for anything else by `ssh` or a shell:
/// it comes from a server and ends up in a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// User.
    pub user: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// Reads `user@host -p port`, with or without the port.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("ssh ").unwrap_or(text).trim();
        let (place, port) = match text.split_once(" -p ") {
            Some((place, port)) => (place, port.trim().parse().ok()?),
            None => (text, 22),
        };
        let (user, host) = place.trim().split_once('@')?;
        let word = |text: &str, more: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
        };
        let good = port > 0 && word(user, "._-") && word(host, ".:-");
        good.then(|| Self { user: user.to_owned(), host: host.to_owned(), port })
    }
}

/// A word as a shell reads it back.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Replaces this process, so that signals, the terminal and the exit status are those of `ssh`.
#[cfg(unix)]
fn replace(mut command: Command) -> Failure {
    use std::os::unix::process::CommandExt;
    missing(&command.exec())
}

#[cfg(not(unix))]
fn replace(mut command: Command) -> Failure {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(255)),
        Err(error) => missing(&error),
    }
}

fn missing(error: &std::io::Error) -> Failure {
    Failure::new(Code::Usage, format!("cannot run ssh: {error}")).hint("install an OpenSSH client")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_nothing_else() {
        let address =
            |user: &str, host: &str, port| Some(Address { user: user.into(), host: host.into(), port });
        assert_eq!(Address::parse("root@127.0.0.1 -p 2222"), address("root", "127.0.0.1", 2222));
        assert_eq!(Address::parse("ssh ubuntu@pod.example.org"), address("ubuntu", "pod.example.org", 22));
        assert_eq!(Address::parse("root@2001:db8::1 -p 22"), address("root", "2001:db8::1", 22));
        for text in [
            "",
            "root",
            "root@",
            "@host",
            "-oProxyCommand=id@host -p 22",
            "root@-oProxyCommand=id -p 22",
            "root@host -p 22 -o ProxyCommand=id",
            "root@host;id -p 22",
            "root@host -p 0",
            "root@host -p 65536",
            "ro ot@host",
            "root@h\u{1b}[2J",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quote("a-b=c"), "a-b=c");
        assert_eq!(quote("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quote(""), "''");
    }
}

//! The way into a pod, with a key made for the occasion and no trace in the person's own `~/.ssh`.

use crate::sh::{self, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Key {
    pub private: PathBuf,
    pub public: String,
    known_hosts: PathBuf,
}

/// Where to connect: taken apart from `user@host -p port`.
pub struct Address {
    pub target: String,
    pub port: String,
}

impl Key {
    pub fn make(folder: &Path) -> Result<Self> {
        let private = folder.join("id_ed25519");
        let known_hosts = folder.join("known_hosts");
        for old in [&private, &private.with_extension("pub"), &known_hosts] {
            let _ = std::fs::remove_file(old);
        }
        let comment = ["-q", "-t", "ed25519", "-N", "", "-C", "podbay-xtask", "-f"];
        sh::capture(Command::new("ssh-keygen").args(comment).arg(&private))?;
        let public = std::fs::read_to_string(private.with_extension("pub")).context("the public key")?;
        Ok(Self { private, public: public.trim().to_owned(), known_hosts })
    }

    fn options(&self) -> Vec<String> {
        let known_hosts = format!("UserKnownHostsFile={}", self.known_hosts.display());
        let pairs = [
            "StrictHostKeyChecking=no",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "LogLevel=ERROR",
            "ConnectTimeout=10",
        ];
        let mut options = vec!["-F".to_owned(), "/dev/null".to_owned(), "-i".to_owned()];
        options.push(self.private.display().to_string());
        for pair in pairs.iter().map(|pair| (*pair).to_owned()).chain([known_hosts]) {
            options.extend(["-o".to_owned(), pair]);
        }
        options
    }

    pub fn ssh(&self, address: &Address, remote: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(self.options()).args(["-p", &address.port, &address.target, remote]);
        command
    }

    /// `from` and `to` are as for scp; a remote path starts with ':'.
    pub fn scp(&self, address: &Address, from: &str, to: &str) -> Command {
        let place = |path: &str| {
            if path.starts_with(':') { format!("{}{path}", address.target) } else { path.to_owned() }
        };
        let mut command = Command::new("scp");
        command.args(self.options()).args(["-q", "-P", &address.port, &place(from), &place(to)]);
        command
    }
}

impl Address {
    pub fn parse(connection: &str) -> Result<Self> {
        let (target, port) =
            connection.split_once(" -p ").context(format!("not user@host -p port: {connection:?}"))?;
        Ok(Self { target: target.to_owned(), port: port.trim().to_owned() })
    }
}

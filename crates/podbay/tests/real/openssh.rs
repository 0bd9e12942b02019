//! A pod, and OpenSSH's own programs on it.

use crate::harness::{Real, until};
use podbay_api::client::Client;
use podbay_api::pods::CreatePod;
use podbay_api::ssh_keys::AddSshKey;
use podbay_core::published::{InstallationStatus, PodStatus};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// An order of the smallest size.
pub fn order(name: &str) -> CreatePod {
    CreatePod::parse(&json!({
        "pod": { "name": name, "cloudId": "cpu-1x2", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1 },
        "provider": { "type": "primecompute" },
    }))
    .unwrap()
}

/// Waits for ACTIVE, checking on the way that the progress only grows and that the connection
/// appears with it. The connection.
pub async fn active(client: &Client, id: &str) -> String {
    let mut progress = 0;
    until("the pod is ACTIVE", Duration::from_secs(60), async || {
        let row = client.pod_statuses(&[id]).await.unwrap().remove(0);
        assert!(!row.status.is(PodStatus::Error), "{row:?}");
        assert!(row.installation_progress.unwrap() >= progress, "the progress went back: {row:?}");
        progress = row.installation_progress.unwrap();
        let is_active = row.status.is(PodStatus::Active);
        assert_eq!(is_active, row.ssh_connection.is_some() && row.ip.is_some(), "{row:?}");
        if !is_active {
            return None;
        }
        assert_eq!(
            (progress, row.installation_status.unwrap().is(InstallationStatus::Finished)),
            (100, true)
        );
        row.ssh_connection.unwrap().first().map(str::to_owned)
    })
    .await
}

/// Makes a key pair and adds it to the account.
pub async fn key_added(real: &Real, name: &str) -> PathBuf {
    let path = key_pair(real.folder(), name);
    add(&real.client(), name, &path).await;
    path
}

/// Adds the public half of a key pair to the account; the key's id.
pub async fn add(client: &Client, name: &str, path: &Path) -> String {
    let public_key = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    client.ssh_key_add(&AddSshKey { name: name.into(), public_key }).await.unwrap().id
}

/// Makes a key pair.
pub fn key_pair(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    path
}

/// What a command line in the pod comes to, for the owner of a key.
pub fn ssh(identity: &Path, connection: &str, line: &str) -> Output {
    Login::new(identity, connection).ssh(line)
}

/// Who logs in where.
pub struct Login {
    identity: PathBuf,
    target: String,
    port: String,
}

impl Login {
    pub fn new(identity: &Path, connection: &str) -> Self {
        let (target, port) = connection.split_once(" -p ").unwrap();
        Self { identity: identity.into(), target: target.into(), port: port.into() }
    }

    /// One of the programs, with flags that keep it from asking and from using the tester's own keys.
    fn program(&self, name: &str, port_flag: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "60", name]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "BatchMode=yes",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-i").arg(&self.identity).args([port_flag, &self.port]).stdin(Stdio::null());
        command
    }

    /// `ssh` with `flags`; a command line, or a shell if it is empty.
    pub fn client(&self, flags: &[&str], line: &str) -> Command {
        let mut command = self.program("ssh", "-p");
        command.args(flags).arg(&self.target);
        if !line.is_empty() {
            command.arg(line);
        }
        command
    }

    /// What a command line comes to.
    pub fn ssh(&self, line: &str) -> Output {
        self.client(&[], line).output().unwrap()
    }

    /// Standard output of a command line that succeeds.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let said = self.ssh(line);
        assert!(said.status.success(), "{line}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    }

    /// `scp` into the pod.
    #[track_caller]
    pub fn copy_in(&self, here: &Path, there: &str) {
        self.copy(here.as_os_str(), format!("{}:{there}", self.target).as_ref());
    }

    /// `scp` out of the pod.
    #[track_caller]
    pub fn copy_out(&self, there: &str, here: &Path) {
        self.copy(format!("{}:{there}", self.target).as_ref(), here.as_os_str());
    }

    /// `scp` there and back again, unchanged.
    #[track_caller]
    pub fn copies(&self, folder: &Path, there: &str) {
        let (here, back) = (folder.join("here"), folder.join("back"));
        let bytes: Vec<u8> =
            (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&here, &bytes).unwrap();
        self.copy_in(&here, there);
        self.copy_out(there, &back);
        assert!(std::fs::read(&back).unwrap() == bytes, "the copy differs");
    }

    #[track_caller]
    fn copy(&self, from: &std::ffi::OsStr, to: &std::ffi::OsStr) {
        let copied = self.program("scp", "-P").arg(from).arg(to).output().unwrap();
        assert!(copied.status.success(), "{from:?} to {to:?}: {copied:?}");
    }
}

//! What the server tells this pod: `config.json`, and the host key beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The pod's own description. Fields this program has no use for (the pod's id) are not read, and
/// unknown ones are ignored: the server may be newer than the agent of a running pod.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    /// The TCP port of the SSH server.
    #[serde(default = "ssh_port_default")]
    pub(crate) ssh_port: u16,
    /// The image's own entrypoint and arguments; empty when it has none.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Where the command starts; the container's own working directory when absent.
    #[serde(default)]
    pub(crate) working_dir: Option<PathBuf>,
    /// `name`, `uid`, `name:group` or `uid:gid` to run the command as; empty for our own.
    #[serde(default)]
    pub(crate) user: String,
    /// A program that runs beside the command, and without which the pod is of no use to its owner.
    #[serde(default)]
    pub(crate) service: Option<Service>,
    /// Replaces the search for a login shell. Tests use it to look like an image without one.
    #[serde(default)]
    pub(crate) shells: Option<Vec<PathBuf>>,
}

/// A program of the image that the server wants run.
#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    /// What people call it.
    pub(crate) name: String,
    /// The program, which is looked for along `PATH`, and its arguments.
    pub(crate) command: Vec<String>,
    /// Set for it alone.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

fn ssh_port_default() -> u16 {
    22
}

impl Config {
    /// Reads `config.json` of a pod directory.
    pub(crate) fn load(directory: &Path) -> Result<Config, String> {
        let path = directory.join("config.json");
        let text = std::fs::read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        serde_json::from_slice(&text).map_err(|why| format!("{}: {why}", path.display()))
    }
}

/// Reads the host key, an OpenSSH private key without passphrase.
pub(crate) fn load_host_key(directory: &Path) -> Result<russh::keys::PrivateKey, String> {
    let path = directory.join("host_key");
    russh::keys::load_secret_key(&path, None).map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_contract_and_ignores_what_it_does_not_know() {
        let text = r#"{"pod_id":"00","ssh_port":2022,"command":["/bin/app","-x"],
                       "working_dir":null,"user":"","later":1}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.ssh_port, 2022);
        assert_eq!(config.command, ["/bin/app", "-x"]);
        assert_eq!(config.working_dir, None);
    }

    #[test]
    fn everything_has_a_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!((config.ssh_port, config.command.len()), (22, 0));
    }
}

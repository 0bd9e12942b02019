//! The container engine of this machine, as the command line sees it.
//!
//! The server has its own way to the engine; this module only prepares images and looks at what is left over.
//! Both look for it in the same order and use its default storage, so an image made here is there for the server.

use crate::paths;
use crate::sh::{self, Context, Result};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where Docker listens, and where the server looks for it first.
pub const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// As in the server's `engine/find.rs`, in this order.
const SOCKETS: [&str; 2] = [DOCKER_SOCKET, "/run/podman/podman.sock"];
const PING: &[u8] = b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n";
const ANSWER_MAX: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Podman,
    Docker,
}

#[derive(Clone)]
pub struct Engine {
    pub kind: Kind,
    config: Option<PathBuf>,
}

impl Engine {
    /// The engine that the server takes, too: `DOCKER_HOST`, Docker's socket, Podman's, the program `podman`.
    pub fn find() -> Result<Self> {
        match Self::answering() {
            Some(Kind::Docker) if sh::find("docker").is_some() => {
                Ok(Self { kind: Kind::Docker, config: None })
            }
            Some(Kind::Docker) => {
                Err("the server takes the Docker engine that answers here, but the program \
                 `docker`, which makes the images, is not on this machine: install it, or stop that engine"
                    .into())
            }
            Some(Kind::Podman) | None if sh::find("podman").is_some() => {
                Ok(Self { kind: Kind::Podman, config: write_podman_config()? })
            }
            Some(Kind::Podman) | None => Err("neither podman nor a running docker is on this machine; \
                 `cargo xtask setup` installs podman"
                .into()),
        }
    }

    /// What kind of engine answers already.
    pub fn answering() -> Option<Kind> {
        let named = std::env::var_os("DOCKER_HOST").filter(|url| !url.is_empty());
        match named {
            Some(url) => kind_at(Path::new(url.to_string_lossy().trim_start_matches("unix://"))),
            None => SOCKETS.iter().find_map(|socket| kind_at(Path::new(socket))),
        }
    }

    /// Docker, where it runs beside the engine that was found.
    pub fn docker_beside(&self) -> Option<Self> {
        let docker = Self { kind: Kind::Docker, config: None };
        let mut version = docker.command();
        version.env("DOCKER_HOST", format!("unix://{DOCKER_SOCKET}"));
        let answers = self.kind == Kind::Podman
            && sh::find(docker.name()).is_some()
            && sh::succeeds(version.args(["version", "--format", "{{.Server.Version}}"]));
        answers.then_some(docker)
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Podman => "podman",
            Kind::Docker => "docker",
        }
    }

    /// Where the server's tests find it, if they cannot start it themselves.
    pub fn url(&self) -> Option<String> {
        let named = std::env::var_os("DOCKER_HOST").map(|url| url.to_string_lossy().into_owned());
        let named = named.filter(|url| !url.is_empty());
        (self.kind == Kind::Docker).then(|| named.unwrap_or_else(|| format!("unix://{}", SOCKETS[0])))
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        if let Some(config) = &self.config {
            command.env("CONTAINERS_CONF", config);
        }
        command
    }

    pub fn image_exists(&self, image: &str) -> bool {
        sh::succeeds(self.command().args(["image", "inspect", image]))
    }

    /// A label of an image; empty when the image or the label is not there.
    pub fn image_label(&self, image: &str, label: &str) -> String {
        let format = format!("{{{{index .Config.Labels {label:?}}}}}");
        let text = sh::capture(self.command().args(["image", "inspect", "--format", &format, image]));
        text.map(|text| text.trim().replace("<no value>", "")).unwrap_or_default()
    }

    /// Makes an image of one layer out of an archive; the image that had the name before is removed if unused.
    pub fn import(&self, archive: &Path, image: &str, changes: &[String]) -> Result<()> {
        let before = self.image_id(image);
        let mut command = self.command();
        command.arg("import");
        for change in changes {
            command.args(["--change", change]);
        }
        sh::capture(command.arg(archive).arg(image))?;
        if let Some(before) = before.filter(|before| Some(before) != self.image_id(image).as_ref()) {
            sh::succeeds(self.command().args(["rmi", &before]));
        }
        Ok(())
    }

    fn image_id(&self, image: &str) -> Option<String> {
        let id = sh::capture(self.command().args(["image", "inspect", "--format", "{{.Id}}", image])).ok()?;
        Some(id.trim().to_owned())
    }

    /// Ids of all containers, running or not, that carry a label (`key` or `key=value`).
    pub fn containers(&self, label: &str) -> Result<Vec<String>> {
        let filter = format!("label={label}");
        let text = sh::capture(self.command().args(["ps", "-a", "-q", "--no-trunc", "--filter", &filter]))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    pub fn remove(&self, containers: &[String]) {
        for container in containers {
            sh::succeeds(self.command().args(["rm", "-f", "-v", container]));
        }
    }
}

/// Asks who is at a socket. Podman's stand-in for Docker answers at Docker's, too, and keeps its images in Podman.
fn kind_at(socket: &Path) -> Option<Kind> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    stream.write_all(PING).ok()?;
    let mut reply = Vec::new();
    // An engine that leaves the connection open has said enough before the time is over.
    let _ = stream.take(1 << 14).read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply).to_ascii_lowercase();
    if !reply.lines().next().is_some_and(|line| line.contains(" 200 ")) {
        return None;
    }
    Some(if reply.contains("\nlibpod-api-version:") { Kind::Podman } else { Kind::Docker })
}

pub fn is_unified_cgroup() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Podman's defaults ask for limits above what a confined root may set, and for a runtime that refuses hosts
/// with both generations of control groups. A person who has an own `CONTAINERS_CONF` is left alone.
fn write_podman_config() -> Result<Option<PathBuf>> {
    if std::env::var_os("CONTAINERS_CONF").is_some() {
        return Ok(None);
    }
    let limits = std::fs::read_to_string("/proc/self/limits").context("/proc/self/limits")?;
    let files = hard_limit(&limits, "Max open files").min(1_048_576);
    // Podman lowers its own limit of processes to this before it starts anything.
    let processes = hard_limit(&limits, "Max processes").min(32_768);
    // Soft and hard are equal because Podman 4.3 swaps the two on its API.
    let mut text = format!(
        "[containers]\ndefault_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n"
    );
    if !is_unified_cgroup() {
        text.push_str("[engine]\nruntime = \"runc\"\n");
    }
    let path = paths::own("")?.join("containers.conf");
    std::fs::write(&path, text).context(path.display())?;
    Ok(Some(path))
}

/// The hard limit in a line of `/proc/self/limits`; "unlimited" is a very large number.
fn hard_limit(limits: &str, name: &str) -> u64 {
    let line = limits.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line[name.len().min(line.len())..]
        .split_whitespace()
        .nth(1)
        .and_then(|hard| hard.parse().ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// Who is believed to be at a socket that answers so.
    fn kind_of(reply: &'static str) -> Option<Kind> {
        let folder = std::env::temp_dir().join(format!("podbay-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join(format!("{}.sock", reply.len()));
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; PING.len()]).unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
        });
        let kind = kind_at(&socket);
        engine.join().unwrap();
        std::fs::remove_file(&socket).unwrap();
        assert_eq!(kind_at(&socket), None, "nobody is there any more");
        kind
    }

    #[test]
    fn the_engine_behind_a_socket_is_recognised() {
        let docker = "HTTP/1.0 200 OK\r\nApi-Version: 1.47\r\nServer: Docker/27.0 (linux)\r\n\r\nOK";
        let podman = "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n\r\nOK";
        assert_eq!(kind_of(docker), Some(Kind::Docker));
        assert_eq!(kind_of(podman), Some(Kind::Podman));
        assert_eq!(kind_of("HTTP/1.0 500 Internal Server Error\r\n\r\n"), None);
    }
}

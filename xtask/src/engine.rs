//! The container engine of this machine, as the command line sees it: Podman, or Docker where only that is there.
//!
//! The server has its own way to the engine; this module only prepares images and looks at what is left over.
//! Both use the engine's default storage, so an image made here is there for the server.

use crate::paths;
use crate::sh::{self, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Docker listens, and where the server looks for it first.
pub const DOCKER_SOCKET: &str = "/var/run/docker.sock";

#[derive(Clone, Copy, PartialEq, Eq)]
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
    pub fn find() -> Result<Self> {
        if sh::find("podman").is_some() {
            let config = write_podman_config()?;
            return Ok(Self { kind: Kind::Podman, config });
        }
        if Self::docker_answers() {
            return Ok(Self { kind: Kind::Docker, config: None });
        }
        Err("neither podman nor a running docker is on this machine; `cargo xtask setup` installs podman"
            .into())
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

    pub fn docker_answers() -> bool {
        sh::find("docker").is_some()
            && sh::succeeds(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Podman => "podman",
            Kind::Docker => "docker",
        }
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

    pub fn container_label(&self, container: &str, label: &str) -> Result<String> {
        let format = format!("{{{{index .Config.Labels {label:?}}}}}");
        Ok(sh::capture(self.command().args(["inspect", "--format", &format, container]))?.trim().to_owned())
    }

    pub fn remove(&self, containers: &[String]) {
        for container in containers {
            sh::succeeds(self.command().args(["rm", "-f", "-v", container]));
        }
    }
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

//! Finding the engine, so that nobody has to configure one.
//!
//! In this order: the URL that was given; Docker's socket, if it answers; Podman's socket, if it
//! answers; the program `podman`, whose service we then run ourselves.
//!
//! **Limitation.** Only engines on this machine: machines get their files and the agent as mounts
//! of local folders, which a remote engine would look for on its own disk.

use super::io::Link;
use super::limits::{PING_MAX, SERVICE_START_MAX};
use super::service::{Service, find_program};
use super::{ConnectError, Settings};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DOCKER_SOCKET: &str = "/var/run/docker.sock";
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";
/// Longest path of a socket that the kernel takes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

pub(super) async fn find(settings: &Settings) -> Result<(Link, Option<Service>), ConnectError> {
    find_among(settings, &[DOCKER_SOCKET, PODMAN_SOCKET].map(Path::new), find_program("podman")).await
}

/// The same, with the places of this machine as arguments.
async fn find_among(
    settings: &Settings,
    sockets: &[&Path],
    podman: Option<PathBuf>,
) -> Result<(Link, Option<Service>), ConnectError> {
    if let Some(url) = &settings.url {
        let socket = local_socket(url)?;
        let link = Link::find(&socket, PING_MAX).await;
        return link.map(|link| (link, None)).map_err(|error| {
            ConnectError(format!(
                "the container engine at {url} (engine.url or DOCKER_HOST) does not answer: {error}"
            ))
        });
    }
    for socket in sockets {
        if let Ok(link) = Link::find(socket, PING_MAX).await {
            return Ok((link, None));
        }
    }
    let Some(podman) = podman else {
        return Err(ConnectError(
            "there is no container engine on this machine: install one (Debian, Ubuntu: `apt install podman runc`; \
             Fedora: `dnf install podman`), start Docker, or name its socket in engine.url"
                .into(),
        ));
    };
    run_podman(podman, settings).await
}

/// The socket of a URL such as `unix:///var/run/docker.sock`.
fn local_socket(url: &str) -> Result<PathBuf, ConnectError> {
    match url.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        _ if url.starts_with('/') => Ok(PathBuf::from(url)),
        _ => Err(ConnectError(format!(
            "engine.url (or DOCKER_HOST) is {url}: only an engine on this machine can be used, \
             as in unix:///var/run/docker.sock"
        ))),
    }
}

async fn run_podman(podman: PathBuf, settings: &Settings) -> Result<(Link, Option<Service>), ConnectError> {
    let socket = settings.state_dir.join("podman.sock");
    if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(ConnectError(format!(
            "the path {} is too long for a socket: choose a shorter data folder",
            socket.display()
        )));
    }
    let service = Service::start(podman, &settings.state_dir, socket.clone())
        .map_err(|error| ConnectError(format!("cannot run podman's service: {error}")))?;
    let since = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match Link::find(&socket, PING_MAX).await {
            Ok(link) => return Ok((link, Some(service))),
            Err(error) if since.elapsed() > SERVICE_START_MAX => {
                return Err(ConnectError(format!(
                    "podman is installed, but its service does not start ({error}): `podman info` may say why"
                )));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: Option<&str>) -> Settings {
        Settings {
            url: url.map(str::to_owned),
            install_id: podbay_core::InstallId::from_bits(1),
            state_dir: PathBuf::from("/nowhere"),
            agent_path: PathBuf::from("/nowhere"),
            vcpus: None,
            memory_gb: None,
            disk_gb: None,
            memory_reserve_gb: 1,
        }
    }

    async fn failure(url: Option<&str>) -> String {
        let found = find_among(&settings(url), &[Path::new("/nowhere/docker.sock")], None).await;
        found.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_machine_without_an_engine_is_told_what_to_install() {
        assert_eq!(
            failure(None).await,
            "there is no container engine on this machine: install one (Debian, Ubuntu: `apt install podman runc`; \
             Fedora: `dnf install podman`), start Docker, or name its socket in engine.url"
        );
        let text = failure(Some("unix:///nowhere/x.sock")).await;
        let named =
            "the container engine at unix:///nowhere/x.sock (engine.url or DOCKER_HOST) does not answer: ";
        assert!(text.starts_with(named), "{text}");
    }

    #[test]
    fn only_engines_on_this_machine_are_taken() {
        assert_eq!(local_socket("unix:///run/x.sock").unwrap(), Path::new("/run/x.sock"));
        assert_eq!(local_socket("/run/x.sock").unwrap(), Path::new("/run/x.sock"));
        for url in ["tcp://10.0.0.1:2375", "ssh://root@host", "unix://relative", ""] {
            assert!(local_socket(url).is_err(), "{url}");
        }
    }
}

//! Finding the engine, so that nobody has to configure one.
//!
//! In this order: the URL that was given; Docker's socket, if it answers; Podman's socket, if it
//! answers; the program `podman`, whose service we then run ourselves.
//!
//! A Podman that somebody else runs has a configuration of its own, and with one of its runtimes it
//! cannot start anything on some machines. That cannot be mended through its API, which ignores
//! what it is told of the runtime: such a service is passed over for one of our own, which has the same
//! images and machines, or else refused with what has to change.
//!
//! **Limitation.** Only engines on this machine: machines get their files and the agent as mounts
//! of local folders, which a remote engine would look for on its own disk.

use super::io::{Kind, Link};
use super::limits::{ASK_MAX, PING_MAX, SERVICE_START_MAX};
use super::service::{Service, find_program};
use super::{ConnectError, Settings};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DOCKER_SOCKET: &str = "/var/run/docker.sock";
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";
/// Only there where control groups of both generations are mounted.
const HYBRID_CGROUPS: &str = "/sys/fs/cgroup/unified/cgroup.controllers";
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
        let link = Link::find(&socket, PING_MAX).await.map_err(|error| {
            ConnectError(format!(
                "the container engine at {url} (engine.url or DOCKER_HOST) does not answer: {error}"
            ))
        })?;
        return match unfit(&link, Path::new(HYBRID_CGROUPS)).await {
            Some(why) => Err(ConnectError(format!("the container engine at {url} {why}"))),
            None => Ok((link, None)),
        };
    }
    let mut passed_over = None;
    for socket in sockets {
        let Ok(link) = Link::find(socket, PING_MAX).await else { continue };
        match unfit(&link, Path::new(HYBRID_CGROUPS)).await {
            Some(why) => passed_over = Some(format!("the container engine at {} {why}", socket.display())),
            None => return Ok((link, None)),
        }
    }
    if let Some(why) = passed_over {
        // Ours would have no other runtime either.
        if podman.is_none() || find_program("runc").is_none() {
            return Err(ConnectError(why));
        }
        tracing::warn!("{why}; until then podbay runs a Podman service of its own");
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

/// What Podman says of itself, as far as it matters here.
#[derive(Deserialize)]
struct Info {
    host: Host,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    oci_runtime: Runtime,
}

#[derive(Deserialize)]
struct Runtime {
    name: String,
}

/// Why an engine that answers cannot run anything on this machine, and what to do about it.
async fn unfit(link: &Link, hybrid_cgroups: &Path) -> Option<String> {
    if link.kind != Kind::Podman || !hybrid_cgroups.exists() {
        return None;
    }
    // An engine that does not say is taken as it is.
    let info: Info = link.request("GET", "/libpod/info", ASK_MAX).await.ok()?.json().ok()?;
    (info.host.oci_runtime.name == "crun").then(|| {
        "is a Podman with the runtime crun, which refuses machines like this one, where control groups of both \
         generations are mounted: install runc, write the two lines `[engine]` and `runtime = \"runc\"` into \
         /etc/containers/containers.conf.d/runc.conf, and restart that service"
            .to_owned()
    })
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
    let socket = settings.state_dir.join(&settings.socket_name);
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A Podman's answers with that runtime, on a socket in `folder`.
    async fn podman(folder: &Path, runtime: &str) -> Link {
        let socket = folder.join("podman.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let info =
            format!(r#"{{"host":{{"arch":"amd64","ociRuntime":{{"name":"{runtime}","path":"/x"}}}}}}"#);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let count = stream.read(&mut head).await.unwrap();
                let asked = String::from_utf8_lossy(&head[..count]).into_owned();
                let body = if asked.contains("/libpod/info ") { info.as_str() } else { "OK" };
                let reply = format!("HTTP/1.0 200 OK\r\nLibpod-Api-Version: 4.3.1\r\n\r\n{body}");
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        Link::find(&socket, PING_MAX).await.unwrap()
    }

    #[tokio::test]
    async fn a_podman_whose_runtime_refuses_this_machine_is_told_apart() {
        let folder = std::env::temp_dir().join(format!("podbay-find-{}", std::process::id()));
        for (runtime, hybrid, expected) in
            [("crun", true, true), ("crun", false, false), ("runc", true, false)]
        {
            std::fs::create_dir_all(&folder).unwrap();
            let link = podman(&folder, runtime).await;
            let marker = if hybrid { folder.clone() } else { folder.join("nothing") };
            let why = unfit(&link, &marker).await;
            assert_eq!(why.is_some(), expected, "{runtime}, hybrid: {hybrid}");
            assert!(why.is_none_or(|why| why.contains("`runtime = \"runc\"`")));
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }

    fn settings(url: Option<&str>) -> Settings {
        Settings {
            url: url.map(str::to_owned),
            install_id: podbay_core::InstallId::from_bits(1),
            state_dir: PathBuf::from("/nowhere"),
            socket_name: "podman.sock".into(),
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

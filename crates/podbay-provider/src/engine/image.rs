//! Images: present, or fetched with their progress.
//!
//! An image that is on the host is taken as it is: starting a pod must not depend on a registry
//! that is slow or down. `localhost/…` is never fetched at all.

use super::errors::{self, refused};
use super::io::{Link, escape};
use super::limits::{ASK_MAX, PULL_MAX, PULL_SILENCE_MAX};
use crate::reference::Reference;
use crate::{Answer, Credentials, ImageRequest, ProgressSink, PullProgress};
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use podbay_core::pod::{CallError, FailureCode, ImageFact, PortSpec};
use podbay_core::published::Protocol;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is asked of an image; the engines say much more.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inspected {
    id: String,
    repo_digests: Option<Vec<String>>,
    architecture: Option<String>,
    config: Option<Config>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    working_dir: Option<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
}

/// Has the image on the host and says what is in it.
pub(super) async fn ensure(
    link: &Link,
    docker: &Docker,
    request: &ImageRequest,
    progress: ProgressSink<'_>,
) -> Answer<ImageFact> {
    let reference = Reference::parse(&request.reference)
        .map_err(|text| refused(FailureCode::ImageReference, true, text))?;
    let reference = match &request.digest {
        Some(digest) if reference.owns(digest) => {
            Reference::parse(digest).map_err(|text| refused(FailureCode::ImageReference, true, text))?
        }
        Some(id) => return begun_with(link, &reference, id).await,
        None => reference,
    };
    if let Some(image) = inspect(link, &reference.to_string()).await? {
        return fact(&reference, image);
    }
    if reference.is_local() {
        let text = format!(
            "the image {reference} is not on this machine, and an image of `localhost/` is never fetched: \
             build it here (`podman build -t {reference} .`), or configure another one"
        );
        return Err(refused(FailureCode::ImageNotFound, true, text));
    }
    pull(docker, &reference, request.credentials.as_ref(), progress).await?;
    match inspect(link, &reference.to_string()).await? {
        Some(image) => fact(&reference, image),
        None => Err(refused(
            FailureCode::ImagePull,
            false,
            format!("{reference} was fetched, and is not there; was it removed at once?"),
        )),
    }
}

/// An image that no registry knows, by the engine's own id: there is no other place to get it from.
async fn begun_with(link: &Link, reference: &Reference, id: &str) -> Answer<ImageFact> {
    match inspect(link, &escape(id)).await? {
        Some(image) => fact(reference, image),
        None => {
            let text = format!(
                "the image {reference} was replaced while the pod was being installed, and the one that it \
                 was begun with ({id}) is not on this machine any more; create the pod again"
            );
            Err(refused(FailureCode::ImageNotFound, true, text))
        }
    }
}

async fn inspect(link: &Link, name: &str) -> Answer<Option<Inspected>> {
    let reply = link.request("GET", &format!("/images/{name}/json"), ASK_MAX).await?;
    match reply.status {
        200 => reply.json().map(Some),
        404 => Ok(None),
        status => Err(errors::image(Some(status), &reply.message())),
    }
}

/// Platform of images that run here, as images spell it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn fact(reference: &Reference, image: Inspected) -> Answer<ImageFact> {
    let theirs = image.architecture.unwrap_or_default();
    if !theirs.is_empty() && theirs != architecture() {
        let text = format!("the image {reference} is for {theirs}, and this machine is {}", architecture());
        return Err(refused(FailureCode::ImagePlatform, true, text));
    }
    let digests = image.repo_digests.unwrap_or_default();
    let own = digests.iter().find(|digest| reference.owns(digest)).or(digests.first());
    let config = image.config.unwrap_or_default();
    let exposed = config.exposed_ports.unwrap_or_default();
    let mut command = config.entrypoint.unwrap_or_default();
    command.extend(config.cmd.unwrap_or_default());
    Ok(ImageFact {
        digest: own.cloned().unwrap_or(image.id),
        command,
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.filter(|folder| !folder.is_empty()),
        exposed: exposed.keys().filter_map(|port| exposed_port(port)).collect(),
    })
}

/// `8080/tcp`; without protocol it is TCP. Others than TCP and UDP cannot be published.
fn exposed_port(text: &str) -> Option<PortSpec> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(PortSpec { number: number.parse().ok().filter(|number| *number > 0)?, protocol })
}

async fn pull(
    docker: &Docker,
    reference: &Reference,
    credentials: Option<&Credentials>,
    progress: ProgressSink<'_>,
) -> Answer<()> {
    let options =
        CreateImageOptions { from_image: Some(reference.to_string()), ..CreateImageOptions::default() };
    let credentials = credentials.map(|credentials| DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        serveraddress: Some(reference.registry.clone()),
        ..DockerCredentials::default()
    });
    let mut messages = docker.create_image(Some(options), None, credentials);
    let fetch = async {
        let mut layers = Layers::default();
        loop {
            let message = tokio::time::timeout(PULL_SILENCE_MAX, messages.next()).await.map_err(|_| {
                let minutes = PULL_SILENCE_MAX.as_secs() / 60;
                refused(
                    FailureCode::ImagePull,
                    false,
                    format!("the fetch of {reference} made no progress for {minutes} minutes"),
                )
            })?;
            match message {
                Some(message) => {
                    if let Some(now) = layers.take(&message.map_err(errors::image_call)?) {
                        progress(now);
                    }
                }
                None => return Ok(()),
            }
        }
    };
    tokio::time::timeout(PULL_MAX, fetch)
        .await
        .unwrap_or_else(|_| Err(CallError::Unknown(format!("the fetch of {reference} took too long"))))
}

/// Adds the layers' progress up to two numbers that only grow.
#[derive(Debug, Default)]
struct Layers {
    layers: BTreeMap<String, (u64, u64)>,
    last: PullProgress,
}

impl Layers {
    /// The new sum, if it has grown.
    fn take(&mut self, message: &CreateImageInfo) -> Option<PullProgress> {
        let layer = self.layers.entry(message.id.clone()?).or_default();
        match message.status.as_deref()? {
            "Downloading" => {
                let detail = message.progress_detail.as_ref()?;
                let number =
                    |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
                // A retried layer begins at zero again; the sum does not show it.
                layer.0 = layer.0.max(number(detail.current));
                layer.1 = layer.1.max(number(detail.total)).max(layer.0);
            }
            "Download complete" | "Pull complete" => layer.0 = layer.1,
            _ => return None,
        }
        let sum = |pick: fn(&(u64, u64)) -> u64| self.layers.values().map(pick).sum::<u64>();
        let now = PullProgress { bytes: sum(|layer| layer.0), total: sum(|layer| layer.1) };
        let grown = now != self.last;
        self.last = now;
        grown.then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    fn message(id: &str, status: &str, detail: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: detail
                .map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn progress_is_the_sum_of_the_layers_and_only_grows() {
        let mut layers = Layers::default();
        let steps = [
            (message("latest", "Pulling from library/x", None), None),
            (message("a", "Pulling fs layer", None), None),
            (message("a", "Downloading", Some((10, 100))), Some((10, 100))),
            (message("b", "Downloading", Some((5, 50))), Some((15, 150))),
            (message("a", "Downloading", Some((0, 100))), None),
            (message("a", "Downloading", Some((60, 100))), Some((65, 150))),
            (message("a", "Download complete", None), Some((105, 150))),
            (message("a", "Extracting", Some((1, 100))), None),
            (message("b", "Pull complete", None), Some((150, 150))),
            (message("c", "Already exists", None), None),
        ];
        for (message, expected) in steps {
            let now = layers.take(&message).map(|now| (now.bytes, now.total));
            assert_eq!(now, expected, "{message:?}");
        }
    }

    #[test]
    fn an_image_is_described() {
        let text = r#"{"Id":"sha256:1","RepoDigests":["other/x@sha256:9"],"Architecture":"ARCH","Config":{"User":"1000",
            "WorkingDir":"","Entrypoint":["/init"],"Cmd":["a","b"],
            "ExposedPorts":{"8080/tcp":{},"53/udp":{},"9/sctp":{},"0/tcp":{}}}}"#;
        let read = |text: &str| serde_json::from_str::<Inspected>(text).unwrap();
        let reference = Reference::parse("x").unwrap();
        let found = fact(&reference, read(&text.replace("ARCH", architecture()))).unwrap();
        assert_eq!(found.command, ["/init", "a", "b"]);
        assert_eq!(
            (found.digest.as_str(), found.user.as_str(), found.working_dir),
            ("other/x@sha256:9", "1000", None)
        );
        let ports: Vec<_> = found.exposed.iter().map(|port| (port.number, port.protocol)).collect();
        assert_eq!(ports, [(53, Protocol::Udp), (8080, Protocol::Tcp)]);
        let foreign = fact(&reference, read(&text.replace("ARCH", "s390y"))).unwrap_err();
        assert!(matches!(
            foreign,
            CallError::Refused { code: FailureCode::ImagePlatform, permanent: true, .. }
        ));
        assert_eq!(fact(&reference, read(r#"{"Id":"sha256:1"}"#)).unwrap().digest, "sha256:1");
    }
}

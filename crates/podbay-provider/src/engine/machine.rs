//! Changing: machines made, started, stopped, removed.
//!
//! The handle of a machine is its name, which is a function of pod and attempt. So whatever
//! answer was lost, the next call finds the same machine.

use super::create::{Surroundings, body};
use super::errors::{machine, machine_call};
use super::inspect;
use super::io::Link;
use super::limits::{CREATE_MAX, REMOVE_MAX, START_MAX, STOP_EXTRA_MAX};
use super::network;
use crate::{Answer, MachineSpec};
use bollard::Docker;
use bollard::query_parameters::{CreateContainerOptions, StopContainerOptions};
use podbay_core::InstallId;
use podbay_core::pod::{CallError, FailureCode};
use std::time::Duration;

/// What Podman says when the machine ended by itself between its look and its kill. It is the same
/// attempt that goes on: nothing is waited for, and nothing else is tried.
const ENDED_MEANWHILE: &str = "container state improper";

/// `call`, or Unknown when it takes too long: it may still have its effect.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Answer<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(machine_call),
        Err(_) => Err(CallError::Unknown(format!("the engine did not answer within {} s", limit.as_secs()))),
    }
}

/// Makes a machine, or adopts the one that is already there; whether it is surely a new one.
pub(super) async fn create(
    link: &Link,
    docker: &Docker,
    spec: &MachineSpec,
    around: Surroundings<'_>,
) -> Answer<bool> {
    let options =
        CreateContainerOptions { name: Some(spec.name.clone()), ..CreateContainerOptions::default() };
    let install = around.install_id;
    let request = body(spec, around);
    match within(CREATE_MAX, docker.create_container(Some(options), request)).await {
        Ok(created) => {
            for warning in &created.warnings {
                tracing::warn!(machine = spec.name, warning, "the engine made the machine, but");
            }
            Ok(true)
        }
        Err(error @ CallError::NotSent(_)) => Err(error),
        // Engines say "name already in use" with different statuses, and one may fail after it has
        // made the machine. What is there decides.
        Err(error) => adopt(link, install, spec, error).await.map(|()| false),
    }
}

async fn adopt(link: &Link, install: &InstallId, spec: &MachineSpec, error: CallError) -> Answer<()> {
    let Ok(found) = inspect::container(link, &spec.name).await else {
        return Err(CallError::Unknown(error.to_string()));
    };
    match (found.map(|found| found.pod(install)), error) {
        (Some(Some(pod)), _) if pod.as_ref() == Some(&spec.pod_id) => Ok(()),
        (Some(_), _) => Err(inspect::foreign(&spec.name)),
        (None, CallError::Refused { code: FailureCode::MachineLost, text, .. }) => {
            Err(super::errors::refused(FailureCode::Engine, false, text))
        }
        (None, error) => Err(error),
    }
}

/// `is_first` if it is known that there was no start before.
pub(super) async fn start(
    link: &Link,
    docker: &Docker,
    install: &InstallId,
    name: &str,
    is_first: bool,
) -> Answer<()> {
    if !is_first
        && let Some(found) = inspect::container(link, name).await?
        && found.pod(install).is_some()
        && !found.runs()
    {
        network::clear(link, &found.id, &found.ports()).await?;
    }
    within(START_MAX, docker.start_container(name, None)).await
}

pub(super) async fn stop(docker: &Docker, name: &str, grace: Duration) -> Answer<()> {
    let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
    let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
    match within(grace + STOP_EXTRA_MAX, docker.stop_container(name, Some(options))).await {
        Err(CallError::Refused { text, .. }) if text.contains(ENDED_MEANWHILE) => Ok(()),
        answer => answer,
    }
}

/// Kills and removes, with the volumes that the image declared.
pub(super) async fn remove(link: &Link, install: &InstallId, name: &str) -> Answer<()> {
    // There is no way back from this one, so the label is looked at once more.
    let found = match inspect::container(link, name).await? {
        None => return Ok(()),
        Some(found) if found.pod(install).is_none() => return Err(inspect::foreign(name)),
        Some(found) => found,
    };
    let ports = found.ports();
    if !found.runs() {
        // Before, because afterwards nobody would know of it if this were cut off.
        network::clear(link, &found.id, &ports).await?;
    }
    // `timeout=0` is Podman's: without it the machine would be asked to end first, and given ten seconds.
    let path = format!("/containers/{name}?force=true&v=true&timeout=0");
    let mut reply = link.request("DELETE", &path, REMOVE_MAX).await?;
    if reply.message().contains(ENDED_MEANWHILE) {
        reply = link.request("DELETE", &path, REMOVE_MAX).await?;
    }
    match reply.status {
        200..=299 | 404 => {}
        status => match machine(status, &reply.message()) {
            CallError::Refused { code: FailureCode::MachineLost, .. } => {}
            // Part of it may be gone.
            CallError::Refused { text, .. } => return Err(CallError::Unknown(text)),
            other => return Err(other),
        },
    }
    // The engine ends the network that it knows of.
    network::clear(link, &found.id, &ports).await
}

//! Seeing: what a container is and does, read tolerantly (see `io`).

use super::clock;
use super::errors::{self, refused};
use super::io::{Link, escape};
use super::limits::{ASK_MAX, ASK_PARALLEL_MAX};
use super::network::Port;
use crate::{Answer, ListedMachine};
use futures_util::{StreamExt, TryStreamExt};
use podbay_core::pod::{CallError, FailureCode, MachineFact, MachinePhase};
use podbay_core::{InstallId, PodId, Timestamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// The installation that a container belongs to.
pub(super) const LABEL_INSTALL: &str = "podbay.install";
/// Its pod.
pub(super) const LABEL_POD: &str = "podbay.pod";
/// The version of podbay that made it.
pub(super) const LABEL_VERSION: &str = "podbay.version";

/// What is asked of a container; the engines say much more.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    /// The engine's own name of it.
    pub id: String,
    created: Option<String>,
    state: State,
    config: Config,
    network_settings: Networking,
    host_config: HostConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    port_bindings: Option<HashMap<String, Option<Vec<Binding>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    status: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    exit_code: i64,
    started_at: Option<String>,
    finished_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    labels: Option<HashMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Networking {
    networks: Option<HashMap<String, Endpoint>>,
    ports: Option<HashMap<String, Option<Vec<Binding>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "IPAddress")]
    address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_ip: Option<String>,
    host_port: Option<String>,
}

impl Container {
    fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The pod, if the container is this installation's.
    pub fn pod(&self, install: &InstallId) -> Option<Option<PodId>> {
        (self.label(LABEL_INSTALL) == Some(install.as_str()))
            .then(|| self.label(LABEL_POD).and_then(PodId::parse))
    }

    /// Addresses that lead to a TCP port inside, the best first.
    pub fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let inside = self.network_settings.networks.iter().flatten().filter_map(|(_, endpoint)| {
            let address: IpAddr = endpoint.address.as_deref()?.parse().ok()?;
            Some(SocketAddr::new(address, port))
        });
        let published =
            self.network_settings.ports.as_ref().and_then(|ports| ports.get(&format!("{port}/tcp")));
        let published = published.into_iter().flatten().flatten().filter_map(|binding| {
            let address =
                binding.host_ip.as_deref().unwrap_or_default().parse().unwrap_or(IpAddr::from([0; 4]));
            Some(SocketAddr::new(reachable(address), binding.host_port.as_deref()?.parse().ok()?))
        });
        inside.chain(published).collect()
    }

    /// The ports that it is to have on the host, whether it runs or not.
    pub fn ports(&self) -> Vec<Port> {
        let bindings = self.host_config.port_bindings.iter().flatten();
        let of_inside = bindings.flat_map(|(inside, bindings)| {
            let protocol = inside.rsplit_once('/').map_or("tcp", |(_, protocol)| protocol);
            let on_host = bindings.iter().flatten().filter_map(|binding| binding.host_port.clone());
            on_host.map(|number| (protocol.to_owned(), number))
        });
        of_inside.filter(|(_, number)| !number.is_empty()).collect()
    }

    /// Whether it may use its network.
    pub fn runs(&self) -> bool {
        !matches!(self.phase(), Ok(MachinePhase::Created | MachinePhase::Exited { .. }))
    }

    /// How far it is.
    pub fn phase(&self) -> Answer<MachinePhase> {
        let state = &self.state;
        let time = |text: &Option<String>| text.as_deref().and_then(clock::parse);
        let created = time(&self.created).unwrap_or(Timestamp::EPOCH);
        match state.status.as_str() {
            // Podman calls a container `initialized` between its runtime's create and start, and
            // after a start that failed.
            "created" | "configured" | "initialized" => Ok(MachinePhase::Created),
            "running" | "stopping" | "paused" | "restarting" => {
                Ok(MachinePhase::Running { started_at: time(&state.started_at).unwrap_or(created) })
            }
            // One whose removal was cut off stays `removing` until it is removed again.
            "exited" | "stopped" | "dead" | "removing" => Ok(MachinePhase::Exited {
                code: state.exit_code,
                oom: state.oom_killed,
                // Engines write the year 1 for never.
                at: time(&state.finished_at).filter(|at| *at >= created),
                started_at: time(&state.started_at).filter(|at| *at >= created),
            }),
            other => Err(CallError::Unknown(format!(
                "the engine reports a state {other:?} that is not known here"
            ))),
        }
    }
}

/// Where a client connects to reach what listens on `address`.
pub(super) fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(all) if all.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(all) if all.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        other => other,
    }
}

/// The container of that name, whoever made it.
pub(super) async fn container(link: &Link, name: &str) -> Answer<Option<Container>> {
    let reply = link.request("GET", &format!("/containers/{name}/json"), ASK_MAX).await?;
    match reply.status {
        200 => reply.json().map(Some),
        404 => Ok(None),
        _ if is_half_removed(&reply.message()) => half_removed(link, name).await,
        status => Err(errors::machine(status, &reply.message())),
    }
}

/// What Podman says of a container whose removal was cut off (the service killed, the machine
/// switched off): its files are gone and its record is not. Inspecting it fails, and so does every
/// list that it would be in, until it is removed once more.
const HALF_REMOVED: [&str; 2] = ["container not known", "layer not known"];

fn is_half_removed(message: &str) -> bool {
    HALF_REMOVED.iter().any(|words| message.contains(words))
}

/// An entry of Podman's own list, which such a container does not break.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OwnEntry {
    #[serde(default)]
    id: String,
    names: Vec<String>,
    #[serde(default)]
    ports: Option<Vec<OwnPort>>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnPort {
    host_port: u16,
    container_port: u16,
    protocol: String,
}

impl OwnPort {
    /// In the words of the common API.
    fn binding(self) -> (String, Option<Vec<Binding>>) {
        let host_port = Some(self.host_port.to_string());
        let inside = format!("{}/{}", self.container_port, self.protocol);
        (inside, Some(vec![Binding { host_port, ..Binding::default() }]))
    }
}

async fn own_list(link: &Link, filter: &serde_json::Value) -> Answer<Vec<OwnEntry>> {
    let path = format!("/libpod/containers/json?all=true&filters={}", escape(&filter.to_string()));
    let reply = link.request("GET", &path, ASK_MAX).await?;
    match reply.status {
        200 => reply.json(),
        status => Err(errors::machine(status, &reply.message())),
    }
}

async fn half_removed(link: &Link, name: &str) -> Answer<Option<Container>> {
    let entries = own_list(link, &serde_json::json!({ "name": [format!("^{name}$")] })).await?;
    let found = entries.into_iter().find(|entry| entry.names.iter().any(|ours| ours == name));
    let bindings = |ports: Vec<OwnPort>| ports.into_iter().map(OwnPort::binding).collect();
    Ok(found.map(|entry| Container {
        id: entry.id,
        host_config: HostConfig { port_bindings: entry.ports.map(bindings) },
        created: entry.created,
        config: Config { labels: entry.labels },
        state: State { status: entry.state, ..State::default() },
        ..Container::default()
    }))
}

/// The refusal to touch what somebody else made.
pub(super) fn foreign(name: &str) -> CallError {
    let text = format!("a container named {name} is on the host, and this installation did not make it");
    refused(FailureCode::Engine, true, text)
}

/// Our machine of that name.
pub(super) async fn machine(link: &Link, install: &InstallId, name: &str) -> Answer<Option<MachineFact>> {
    let seen_at = clock::now();
    let Some(found) = container(link, name).await? else { return Ok(None) };
    if found.pod(install).is_none() {
        return Err(foreign(name));
    }
    Ok(Some(MachineFact { handle: name.to_owned(), phase: found.phase()?, seen_at }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    names: Vec<String>,
    #[serde(default)]
    created: i64,
}

/// All machines of the installation. The list itself names states too coarsely (no exit code, no
/// times), so each is asked about.
pub(super) async fn machines(link: &Link, install: &InstallId) -> Answer<Vec<ListedMachine>> {
    let filter = serde_json::json!({ "label": [format!("{LABEL_INSTALL}={install}")] }).to_string();
    let path = format!("/containers/json?all=true&filters={}", escape(&filter));
    let reply = link.request("GET", &path, ASK_MAX).await?;
    let entries: Vec<Entry> = match reply.status {
        200 => reply.json()?,
        _ if is_half_removed(&reply.message()) => {
            let labelled = serde_json::json!({ "label": [format!("{LABEL_INSTALL}={install}")] });
            let own = own_list(link, &labelled).await?;
            own.into_iter().map(|entry| Entry { names: entry.names, created: 0 }).collect()
        }
        _ => {
            let text = format!("the engine did not list containers: {}", reply.message());
            return Err(CallError::Unknown(text));
        }
    };
    let asked = futures_util::stream::iter(entries).map(|entry| async move {
        let Some(name) = entry.names.first().map(|name| name.trim_start_matches('/').to_owned()) else {
            return Ok(None);
        };
        let seen_at = clock::now();
        // Gone since the list was made.
        let found = match container(link, &name).await {
            Err(error) if !matches!(error, CallError::NotSent(_)) => return Ok(unreadable(&name, &error)),
            found => found?,
        };
        let Some(found) = found else { return Ok(None) };
        let phase = match found.phase() {
            Ok(phase) => phase,
            Err(error) => return Ok(unreadable(&name, &error)),
        };
        let created_at = found.created.as_deref().and_then(clock::parse);
        Ok(Some(ListedMachine {
            pod_id: found.pod(install).flatten(),
            created_at: created_at.unwrap_or(Timestamp::from_millis(entry.created * 1_000)),
            fact: MachineFact { handle: name.clone(), phase, seen_at },
            name,
        }))
    });
    let listed: Vec<Option<ListedMachine>> = asked.buffered(ASK_PARALLEL_MAX).try_collect().await?;
    Ok(listed.into_iter().flatten().collect())
}

/// A container that the engine cannot tell about must not hide the others. Its pod looks missing,
/// which is looked into by itself; nothing is ever removed for being unreadable.
fn unreadable(name: &str, error: &CallError) -> Option<ListedMachine> {
    tracing::warn!(machine = name, %error, "a container cannot be read");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Container {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_state_of_both_engines_is_understood() {
        let phase = |status: &str| {
            read(&format!(
                r#"{{"Created":"2026-08-20T10:00:00Z","State":{{"Status":"{status}","ExitCode":137,"OOMKilled":true,
                "StartedAt":"2026-08-20T10:00:01.5Z","FinishedAt":"2026-08-20T10:00:02Z"}}}}"#
            ))
            .phase()
        };
        let at = |millis: i64| Timestamp::from_millis(1_787_220_000_000 + millis);
        for status in ["created", "configured", "initialized"] {
            assert_eq!(phase(status), Ok(MachinePhase::Created));
        }
        for status in ["running", "stopping", "paused"] {
            assert_eq!(phase(status), Ok(MachinePhase::Running { started_at: at(1_500) }));
        }
        for status in ["exited", "stopped", "dead", "removing"] {
            let (at, started_at) = (Some(at(2_000)), Some(at(1_500)));
            assert_eq!(phase(status), Ok(MachinePhase::Exited { code: 137, oom: true, at, started_at }));
        }
        let rebooted = r#"{"Created":"2026-08-20T10:00:00Z","State":{"Status":"exited","ExitCode":0,
            "FinishedAt":"0001-01-01T00:00:00Z"}}"#;
        let (at, started_at) = (None, None);
        assert_eq!(read(rebooted).phase(), Ok(MachinePhase::Exited { code: 0, oom: false, at, started_at }));
        for status in ["", "melting"] {
            assert!(matches!(phase(status), Err(CallError::Unknown(_))), "{status}");
        }
    }

    #[test]
    fn a_machine_is_reached_inside_its_network_and_then_by_its_published_port() {
        let found = read(
            r#"{"NetworkSettings":{"Networks":{"podman":{"IPAddress":"10.88.0.7"}},
            "Ports":{"22/tcp":[{"HostIp":"0.0.0.0","HostPort":"20001"}],"53/udp":null}}}"#,
        );
        let text: Vec<String> = found.addresses(22).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.88.0.7:22", "127.0.0.1:20001"]);
        assert!(read(r#"{"NetworkSettings":{"Networks":null,"Ports":null}}"#).addresses(22).is_empty());
    }

    #[test]
    fn only_our_label_makes_a_machine_ours() {
        let install = InstallId::from_bits(1);
        let labelled = |text: &str| read(&format!(r#"{{"Config":{{"Labels":{text}}}}}"#)).pod(&install);
        assert_eq!(labelled("null"), None);
        assert_eq!(labelled(r#"{"podbay.install":"other"}"#), None);
        let pod = PodId::from_bits(2);
        let ours = format!(r#"{{"podbay.install":"{install}","podbay.pod":"{pod}"}}"#);
        assert_eq!(labelled(&ours), Some(Some(pod)));
    }
}

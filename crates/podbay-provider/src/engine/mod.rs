//! Docker and Podman through the Docker Engine API.
//!
//! A machine is a container whose first process is our agent. Everything that the agent needs
//! comes in by two read-only mounts: its program, and a folder of small files that we may replace
//! while it runs.
//!
//! The engines are meant to speak one language and do not quite; each difference that bites has
//! one place: `errors` (what refusals mean), `inspect` (states), `create` (limits, logs), `gpu`,
//! `cdi` and `driver` (devices), `service` (Podman without its daemon), `monitor` and `network` (what Podman forgets),
//! `reference` (short image names).
//!
//! Every call has a deadline (`limits`). One that runs out of it, or whose connection breaks, has
//! answered nothing: its outcome is Unknown. Only a connection that never came about is NotSent.

mod cdi;
mod clock;
mod create;
mod driver;
mod errors;
mod facts;
mod files;
mod find;
mod gpu;
mod image;
mod inspect;
mod io;
mod limits;
mod look;
mod machine;
mod monitor;
mod network;
mod service;
mod volume;
mod yaml;

use crate::{
    Answer, File, ImageRequest, ListedMachine, ListedVolume, Logs, MachineSpec, ProgressSink, Provider,
    Stats, Stream, VolumeSpec,
};
use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use podbay_core::InstallId;
use podbay_core::disk::VolumeFact;
use podbay_core::place::HostFacts;
use podbay_core::pod::{CallError, ImageFact, MachineFact};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an engine is used for and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The engine, as in `unix:///var/run/docker.sock`; found out if missing.
    pub url: Option<String>,
    /// Written on every container.
    pub install_id: InstallId,
    /// A folder of our own, for Podman's socket and the machines' files.
    pub state_dir: PathBuf,
    /// Name in that folder of the socket of a Podman service that we run.
    pub socket_name: String,
    /// The agent's program on this host, in a folder of its own.
    pub agent_path: PathBuf,
    /// CPUs that pods may use; all if missing.
    pub vcpus: Option<u32>,
    /// Memory in GB that pods may use; all but the reserve if missing.
    pub memory_gb: Option<u32>,
    /// Disk in GB that pods may use; nine tenths of what is free if missing.
    pub disk_gb: Option<u32>,
    /// Memory in GB kept for the host itself.
    pub memory_reserve_gb: u32,
}

/// Why there is no engine, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(String);

/// An engine on this machine.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    agent_folder: PathBuf,
    link: io::Link,
    docker: Docker,
    fixed: facts::Fixed,
    folders: files::Folders,
    gpus: Mutex<gpu::Inventory>,
    /// Machines that were made here and never started: a start of any other may not be its first.
    fresh: Mutex<HashSet<String>>,
    deserted: network::Deserted,
    /// Podman's service, if we run it. The last field: it ends after everything that speaks to it.
    _service: Option<service::Service>,
}

impl Engine {
    /// Finds the engine, or runs Podman's service.
    ///
    /// # Errors
    /// There is none, or it does not answer; the text says what to do.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let folders = files::Folders::open(&settings.state_dir).map_err(|error| {
            ConnectError(format!("cannot make the folder {}: {error}", settings.state_dir.display()))
        })?;
        let agent_folder = checked_agent(&settings)?;
        let (link, service) = find::find(&settings).await?;
        let docker = client(&link)?;
        let fixed = facts::Fixed::ask(&link).await?;
        let engine = Self {
            settings,
            agent_folder,
            link,
            docker,
            fixed,
            folders,
            gpus: Mutex::default(),
            fresh: Mutex::default(),
            deserted: network::Deserted::default(),
            _service: service,
        };
        // Before anybody waits for it: a driver that has to wake up takes seconds.
        engine.gpus_look().await;
        if let Ok(machines) = engine.machine_list().await {
            engine.folders.prune(machines.into_iter().map(|machine| machine.name).collect()).await;
        }
        let io::Link { kind, version, socket, .. } = &engine.link;
        tracing::info!(?kind, version, socket = %socket.display(), "container engine");
        Ok(engine)
    }

    fn gpus(&self) -> MutexGuard<'_, gpu::Inventory> {
        self.gpus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> MutexGuard<'_, HashSet<String>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// GPUs do not come and go; but their driver may be loaded after we are started.
    async fn gpus_look(&self) {
        if self.gpus().gpus.is_empty() {
            let found = tokio::task::spawn_blocking(gpu::inventory).await.unwrap_or_default();
            *self.gpus() = found;
        }
    }
}

/// The folder of the agent: it is mounted whole.
fn checked_agent(settings: &Settings) -> Result<PathBuf, ConnectError> {
    let folder = settings.agent_path.parent().filter(|_| settings.agent_path.ends_with("podbay-agent"));
    let folder = folder.and_then(|folder| std::path::absolute(folder).ok());
    let Some(folder) = folder else {
        return Err(ConnectError(format!("{} is not called podbay-agent", settings.agent_path.display())));
    };
    for path in [&folder, &settings.state_dir] {
        if !path.is_absolute() || path.to_string_lossy().contains([':', ',']) {
            return Err(ConnectError(format!(
                "engines cannot mount {}: choose a data folder with an absolute path without `:` and `,`",
                path.display()
            )));
        }
    }
    Ok(folder)
}

fn client(link: &io::Link) -> Result<Docker, ConnectError> {
    let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    let (major_version, minor_version) = ours.min(link.api);
    let version = ClientVersion { major_version, minor_version };
    // The library's own deadline is for the beginning of an answer and common to all calls; each
    // call has its own.
    let seconds = limits::PULL_MAX.as_secs();
    let docker = Docker::connect_with_unix(&link.socket.to_string_lossy(), seconds, &version)
        .map_err(|error| ConnectError(format!("{}: {error}", link.socket.display())))?;
    // Engines read credentials in the alphabet of URLs; the library writes the other one, which
    // differs for some passwords.
    Ok(docker.with_request_modifier(|mut request| {
        if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
            let text = value.to_str().unwrap_or_default().replace('+', "-").replace('/', "_");
            if let Ok(fixed) = text.try_into() {
                *value = fixed;
            }
        }
        request
    }))
}

#[async_trait]
impl Provider for Engine {
    async fn facts(&self) -> Answer<HostFacts> {
        let link = io::Link::find(&self.link.socket, limits::PING_MAX).await?;
        self.gpus_look().await;
        let gpus = self.gpus().gpus.clone();
        Ok(facts::facts(&link, &self.fixed, &self.settings, &gpus))
    }

    async fn ping(&self) -> Answer<()> {
        io::Link::find(&self.link.socket, limits::PING_MAX).await.map(|_| ())
    }

    async fn image_ensure(&self, image: &ImageRequest, progress: ProgressSink<'_>) -> Answer<ImageFact> {
        image::ensure(&self.link, &self.docker, image, progress).await
    }

    async fn machine_create(&self, spec: &MachineSpec) -> Answer<String> {
        let files_folder = self.folders.path(&spec.name)?;
        volume::check(&self.link, &self.settings.install_id, &spec.mounts).await?;
        let gpu = gpu::access(self.link.kind, self.fixed.gpu_runtime, &self.gpus(), &spec.gpus)?;
        let around = create::Surroundings {
            kind: self.link.kind,
            install_id: &self.settings.install_id,
            agent_folder: &self.agent_folder,
            files_folder: &files_folder,
            disk_quota: self.fixed.disk_quota,
            gpu,
        };
        // Before the machine: it must never be seen without its files.
        self.folders.make(&spec.name, &spec.files).await?;
        let created = machine::create(&self.link, &self.docker, spec, around).await;
        if matches!(created, Err(CallError::Refused { .. })) {
            // Nothing was made, so nobody will come to remove them.
            self.folders.remove(&spec.name).await?;
        }
        if created? {
            self.fresh().insert(spec.name.clone());
        }
        Ok(spec.name.clone())
    }

    async fn machine_start(&self, handle: &str) -> Answer<()> {
        self.folders.path(handle)?;
        let is_first = self.fresh().remove(handle);
        machine::start(&self.link, &self.docker, &self.settings.install_id, handle, is_first).await
    }

    async fn machine_inspect(&self, name: &str) -> Answer<Option<MachineFact>> {
        self.folders.path(name)?;
        let found = inspect::machine(&self.link, &self.settings.install_id, name).await?;
        if found.is_some() {
            return Ok(found);
        }
        let ours = name.to_owned();
        let left = monitor::leftovers(&self.link, move |name| name == ours).await?;
        Ok(left.first().map(|monitor| monitor.fact(clock::now())))
    }

    async fn machine_list(&self) -> Answer<Vec<ListedMachine>> {
        let mut machines = inspect::machines(&self.link, &self.settings.install_id).await?;
        let known: HashSet<String> = machines.iter().map(|machine| machine.name.clone()).collect();
        let folders = self.folders.clone();
        // The folder is this installation's mark on a machine that has no labels any more.
        let is_left = move |name: &str| !known.contains(name) && folders.exist(name);
        let left = monitor::leftovers(&self.link, is_left).await?;
        machines.extend(left.iter().map(|monitor| monitor.listed(clock::now())));
        self.deserted.clear(&self.link).await;
        Ok(machines)
    }

    async fn machine_stop(&self, handle: &str, grace: Duration) -> Answer<()> {
        self.folders.path(handle)?;
        machine::stop(&self.docker, handle, grace).await
    }

    async fn machine_remove(&self, handle: &str) -> Answer<()> {
        self.folders.path(handle)?;
        machine::remove(&self.link, &self.settings.install_id, handle).await?;
        monitor::clear(&self.link, handle).await?;
        self.fresh().remove(handle);
        // After the machine, which has them mounted.
        self.folders.remove(handle).await
    }

    async fn machine_logs(&self, handle: &str, tail: u32) -> Answer<Logs> {
        self.folders.path(handle)?;
        look::logs(&self.docker, handle, tail).await
    }

    async fn machine_stats(&self, handle: &str) -> Answer<Stats> {
        self.folders.path(handle)?;
        look::stats(&self.docker, handle).await
    }

    async fn files_put(&self, name: &str, files: &[File]) -> Answer<()> {
        self.folders.replace(name, files).await
    }

    async fn volume_ensure(&self, spec: &VolumeSpec) -> Answer<VolumeFact> {
        self.folders.path(&spec.name)?;
        volume::ensure(&self.link, &self.docker, &self.settings.install_id, spec).await
    }

    async fn volume_inspect(&self, name: &str) -> Answer<Option<VolumeFact>> {
        self.folders.path(name)?;
        volume::inspect(&self.link, &self.settings.install_id, name).await
    }

    async fn volume_list(&self) -> Answer<Vec<ListedVolume>> {
        volume::list(&self.link, &self.settings.install_id).await
    }

    async fn volume_remove(&self, name: &str) -> Answer<()> {
        self.folders.path(name)?;
        volume::remove(&self.link, &self.settings.install_id, name).await
    }

    async fn dial(&self, handle: &str, port: u16) -> Answer<Box<dyn Stream>> {
        self.folders.path(handle)?;
        look::dial(&self.link, handle, port).await
    }

    async fn dial_published(&self, address: IpAddr, port: u16) -> Answer<Box<dyn Stream>> {
        look::dial_published(SocketAddr::new(address, port)).await
    }
}

//! From an empty folder to a running server, and back.

use crate::app::{App, Chance, Clock, Error, Host, Hosts, KeysOf, Parts, Tuning, owner};
use crate::config::Config;
use crate::reconcile::{Driver, Lease, answered, lease};
use crate::tasks::Background;
use crate::{connections, tasks};
use anyhow::Context;
use futures_util::future::join_all;
use podbay_core::HostId;
use podbay_provider::Provider;
use podbay_provider::engine::{Engine, Settings as EngineSettings};
use podbay_store::{Settings as StoreSettings, Store};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Between two looks at what the host has.
const FACTS_EVERY: Duration = Duration::from_secs(300);

/// Serves until a signal. Pods run on: they belong to the engine, not to this process.
///
/// # Errors
/// Something that the server cannot do without is missing; the text says what to do.
pub async fn serve(config: Config, agent: &[u8]) -> anyhow::Result<()> {
    start_log(&config);
    anyhow::ensure!(
        !config.advertised().is_unspecified(),
        "set `public_address`: this machine has no default route, so its address cannot be found out"
    );
    let folder = config.data_dir.clone();
    make_private(&folder).with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    // One server at a time makes what all servers of a folder have in common.
    let starting = starting(&folder).await?;
    let (_lock, is_alone) = match config.is_shared() {
        true => lock_shared(&folder)?,
        false => (lock(&folder)?, true),
    };
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}: choose another address with --listen", config.listen)
    })?;
    let app = build(config, agent, is_alone).await?;
    let key = owner::owner_ensure(&app, |key| {
        let kept = write_private(&folder.join("admin.key"), format!("{}\n", key.reveal()).as_bytes());
        kept.map_err(|error| Error::Internal(format!("{error:#}")))
    });
    let key = key.await?;
    let address = listener.local_addr()?;
    greet(&app, address, key.as_ref().map(podbay_core::key::ApiKey::reveal));
    let mut background = start_tasks(&app).await?;
    drop(starting);
    let cut_off = connections::serve(app.clone(), listener, stop_signal()).await;
    if cut_off > 0 {
        tracing::warn!(cut_off, "requests were still in flight at the end");
    }
    tracing::info!("stopping; pods keep running");
    background.shutdown().await;
    if let Err(error) = lease::leave(&app).await {
        tracing::warn!(cause = ?error, "other servers wait for this one's lease to run out");
    }
    app.store.close().await;
    Ok(())
}

/// The app on a real store and a real engine. Starts nothing that runs by itself.
async fn build(config: Config, agent: &[u8], is_alone: bool) -> anyhow::Result<Arc<App>> {
    let (clock, chance) = (Clock::system(), Chance::system());
    let folder = config.data_dir.clone();
    let settings = StoreSettings::at(config.database_url());
    let store = Store::open(&settings)
        .await
        .with_context(|| format!("cannot open the database {}", redact(&settings.url)))?;
    let (fresh, now) = (chance.install_id(), clock.now());
    let install_id = store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.install_id(&fresh, now).await?) }))
        .await?;
    // For whoever has to find out what is ours in the engine without asking us.
    if let Err(error) = write_private(&folder.join("install"), format!("{install_id}\n").as_bytes()) {
        tracing::warn!(%error, "the name of this installation is not beside its database");
    }
    let host_key_secret =
        secret(&folder.join("host-keys.secret"), &chance, "pods then get new SSH host keys")?;
    let vault_secret =
        secret(&folder.join("vault.secret"), &chance, "registry credentials must then be added again")?;
    let lease = config.is_shared().then(|| {
        Lease::new(machine_name(), folder_digest(&folder, [&host_key_secret, &vault_secret]), is_alone)
    });
    let engine = Engine::connect(EngineSettings {
        url: config.engine.url.clone().or_else(docker_host),
        install_id: install_id.clone(),
        state_dir: folder.join("engine"),
        // Each server runs a Podman service of its own.
        socket_name: match is_alone {
            true => "podman.sock".to_owned(),
            false => format!("podman-{}.sock", std::process::id()),
        },
        agent_path: place_agent(&folder, agent)?,
        vcpus: config.engine.vcpus,
        memory_gb: config.engine.memory_gb,
        disk_gb: config.engine.disk_gb,
        memory_reserve_gb: config.engine.memory_reserve_gb,
    })
    .await?;
    let hosts: [(_, Arc<dyn Provider>); 1] = [(HostId::from_stored("local".into()), Arc::new(engine))];
    let app = App::new(Parts {
        store,
        config,
        clock,
        chance,
        install_id,
        hosts: Hosts::new(hosts),
        host_key_secret,
        vault_secret,
        lease,
        tuning: Tuning::default(),
    });
    facts_refresh(&app)
        .await
        .context("the container engine answers, but does not say what this machine has")?;
    Ok(app)
}

/// Takes up what is live, and starts everything that runs by itself.
///
/// # Errors
/// The database does not answer, or servers of another data folder work on it.
pub async fn start_tasks(app: &Arc<App>) -> anyhow::Result<Background> {
    let mut background = Background::new()?;
    let live = if app.lease.is_some() {
        let adopted = lease::beat(app).await.map_err(|error| anyhow::anyhow!("{error}"))?.adopted;
        background.spawn(lease::beats_run(app.clone()));
        background.spawn(lease::hints_run(app.clone()));
        adopted
    } else {
        app.driver.wake_all(app).await?
    };
    if live > 0 {
        tracing::info!(live, "taking up the pods that were there before");
    }
    for (pod, _) in app.store.reader().await?.pod_live_ids().await? {
        app.keys_touch(KeysOf::Pod(pod));
    }
    background.spawn(Driver::run(app.clone()));
    background.spawn_aside(tasks::sweep_run(app.clone()));
    background.spawn_aside(tasks::keys::run(app.clone()));
    background.spawn_aside(tasks::audit::run(app.clone()));
    background.spawn_aside(tasks::replies_run(app.clone()));
    background.spawn_aside(tasks::retention::run(app.clone()));
    background.spawn_aside(facts_run(app.clone()));
    Ok(background)
}

async fn facts_run(app: Arc<App>) {
    loop {
        tokio::time::sleep(FACTS_EVERY).await;
        if let Err(error) = facts_refresh(&app).await {
            tracing::warn!(%error, "facts of the hosts");
        }
    }
}

/// Writes what the hosts have into the rows. One that does not answer keeps what was known of it.
///
/// # Errors
/// No engine answers, or the database does not.
pub async fn facts_refresh(app: &App) -> anyhow::Result<()> {
    let looks = join_all(app.hosts.iter().map(|host| host_refresh(app, host))).await;
    let (good, bad): (Vec<_>, Vec<_>) = looks.into_iter().partition(Result::is_ok);
    let mut errors = bad.into_iter().filter_map(Result::err);
    if good.is_empty() {
        return errors.next().map_or(Ok(()), Err);
    }
    errors.for_each(|error| tracing::warn!(error = format!("{error:#}"), "facts of a host"));
    Ok(())
}

async fn host_refresh(app: &App, host: &Host) -> anyhow::Result<()> {
    let (asked_at, asked) = (app.now(), host.provider.facts().await);
    let mut facts = asked.with_context(|| host.engine.clone())?;
    if let Some(known) = app.store.reader().await?.host_get(&host.id).await?
        && app.config.engine.disk_gb.is_none()
    {
        // What is free now lacks what pods have written since, and their rows count that already.
        facts.disk_gb = known.disk_gb;
    }
    let (host, engine) = (host.id.clone(), host.engine.clone());
    let written = app.store.write(move |tx| {
        Box::pin(async move {
            tx.host_put(&host, &facts, asked_at).await?;
            // A start after a silence: orders must not wait for the first sweep.
            answered(tx, &host, &engine, asked_at, false).await
        })
    });
    Ok(written.await?)
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second server in one process (tests) keeps the first one's log.
    let colour = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let _ = log.try_init();
}

#[expect(clippy::print_stderr, reason = "the greeting is talk for the person who started the server")]
fn greet(app: &App, address: std::net::SocketAddr, key: Option<String>) {
    let folder = app.config.data_dir.display();
    eprintln!("podbay {} is listening on http://{address}", env!("CARGO_PKG_VERSION"));
    eprintln!(
        "  pods are reached at {}, ports {}–{}",
        app.config.advertised(),
        app.config.ports.first,
        app.config.ports.last
    );
    if let Some(key) = key {
        eprintln!(
            "  first start: the owner's API key, shown this once and kept in {folder}/admin.key:\n\n    {key}\n"
        );
        eprintln!(
            "  try:  export PODBAY_URL=http://{address} PODBAY_API_KEY=$(cat {folder}/admin.key); podbay offers"
        );
    }
}

async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    Ok(())
}

/// The only server of a data folder.
pub(crate) fn lock(folder: &Path) -> anyhow::Result<fs::File> {
    let file = lock_file(folder, "lock")?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| taken(folder))?;
    Ok(file)
}

/// One of the servers of a data folder, and whether the others that there were have ended.
fn lock_shared(folder: &Path) -> anyhow::Result<(fs::File, bool)> {
    let file = lock_file(folder, "lock")?;
    let is_alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    flock(&file, FlockOperation::NonBlockingLockShared).map_err(|_| taken(folder))?;
    Ok((file, is_alone))
}

/// The turn of a server that starts.
async fn starting(folder: &Path) -> anyhow::Result<fs::File> {
    let file = lock_file(folder, "starting")?;
    tokio::task::spawn_blocking(move || {
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    })
    .await?
}

fn lock_file(folder: &Path, name: &str) -> std::io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(name))
}

fn taken(folder: &Path) -> anyhow::Error {
    anyhow::anyhow!("another podbay serves from {}: stop it, or choose another --data-dir", folder.display())
}

/// What the servers of one database must have in common: this folder, on this machine, with these secrets.
fn folder_digest(folder: &Path, secrets: [&[u8; 32]; 2]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"podbay data folder v1\0");
    secrets.into_iter().for_each(|secret| hash.update(secret));
    hash.update(fs::read("/etc/machine-id").unwrap_or_default());
    hash.update(
        fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).as_os_str().as_encoded_bytes(),
    );
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Writes a file for its owner only, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let write = || {
        // A leftover may have another mode.
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The secret of that file, made at the first start.
fn secret(path: &Path, chance: &Chance, without: &str) -> anyhow::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            let path = path.display();
            anyhow::anyhow!("{path} is damaged: restore it, or remove it ({without})")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = chance.secret();
            write_private(path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Puts the agent where machines can mount it. Each version has a folder of its own, since
/// running pods hold on to theirs.
fn place_agent(folder: &Path, agent: &[u8]) -> anyhow::Result<PathBuf> {
    let digest = Sha256::digest(agent);
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = folder.join("agent").join(name);
    let path = folder.join("podbay-agent");
    fs::create_dir_all(&folder)?;
    // Whatever the umask: users of pods must get through to the program.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    if fs::read(&path).is_ok_and(|present| present == agent) {
        return Ok(path);
    }
    let fresh = folder.join("podbay-agent.new");
    fs::write(&fresh, agent).and_then(|()| fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)))?;
    fs::rename(&fresh, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Where the Docker tools look, too.
fn docker_host() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a variable of other tools, not of our configuration")]
    std::env::var("DOCKER_HOST").ok().filter(|url| !url.is_empty())
}

/// A database URL without its password.
pub(crate) fn redact(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

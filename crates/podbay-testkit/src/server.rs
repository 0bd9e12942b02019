//! The real server over a scripted world.

use crate::{Client, ManualClock, database};
use axum::Router;
use podbay_core::place::{CpuSize, HostFacts};
use podbay_core::published::UserRole;
use podbay_core::{DiskId, HostId, InstallId, PodId};
use podbay_provider::Provider;
use podbay_provider::fake::{Fake, Image, World};
use podbay_server::app::{App, Chance, Clock, Hosts, Parts, Tuning, owner};
use podbay_server::config::WhenLost;
use podbay_server::reconcile::{Lease, lease};
use podbay_server::{Config, http, lifecycle, reconcile, tasks};
use podbay_store::{Settings, Store, StoreError};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Passes after which a server that is still busy is taken for one that never comes to rest.
const STEPS_MAX: usize = 100_000;

/// How a server takes its share of what there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It takes itself for the only one, and asks for no lease.
    Only,
    /// It has a lease, and knows that the servers before it have ended.
    Alone,
    /// It has a lease, as others may have.
    Among,
    /// It asks for a lease, and has another data folder than the others, in which it is alone.
    Elsewhere,
}

impl Share {
    fn lease(self) -> Option<Lease> {
        let new = |folder: &str, is_alone| Some(Lease::new("test".into(), folder.into(), is_alone));
        match self {
            Self::Only => None,
            Self::Alone => new("folder", true),
            Self::Among => new("folder", false),
            Self::Elsewhere => new("another folder", true),
        }
    }
}

/// What a server does at its start. Its database may be in trouble: it then begins with the next sign of life.
async fn take_up(app: &Arc<App>) {
    if app.lease.is_some() {
        let _ = lease::beat(app).await;
    } else {
        app.driver.wake_all(app).await.expect("rows");
    }
}

/// A server, its world, and time.
pub struct TestServer {
    /// The clock of both.
    pub clock: ManualClock,
    /// The scripted host; of several, the first.
    pub world: World,
    /// All scripted hosts, in the order of their names.
    pub worlds: Vec<(HostId, World)>,
    /// The server's inside.
    pub app: Arc<App>,
    router: Router,
    config: Config,
    tuning: Tuning,
    folder: Arc<TempDir>,
    /// The database is not a file, and stays open.
    is_in_memory: bool,
    seed: u64,
    /// How the next start of this server takes its share of what there is to do.
    pub share: Share,
    keys: Mutex<HashMap<String, String>>,
    forgiven: Cell<bool>,
}

impl TestServer {
    /// A server with a roomy host and one image.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with another configuration.
    pub async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::tuned(configure, |_| {}).await
    }

    /// A server with another configuration and other waits.
    pub async fn tuned(configure: impl FnOnce(&mut Config), tune: impl FnOnce(&mut Tuning)) -> Self {
        Self::on_hosts(vec![facts()], configure, tune).await
    }

    /// A server with several hosts, which have the images of the one.
    pub async fn on_hosts(
        hosts: Vec<HostFacts>,
        configure: impl FnOnce(&mut Config),
        tune: impl FnOnce(&mut Tuning),
    ) -> Self {
        Self::on(false, hosts, configure, tune).await
    }

    /// A server whose SQLite, if that is its database, is in memory: a tenth of the time for those who start
    /// thousands of them.
    pub async fn in_memory(hosts: Vec<HostFacts>, configure: impl FnOnce(&mut Config)) -> Self {
        Self::on(database::postgres().is_none(), hosts, configure, |_| {}).await
    }

    async fn on(
        is_in_memory: bool,
        hosts: Vec<HostFacts>,
        configure: impl FnOnce(&mut Config),
        tune: impl FnOnce(&mut Tuning),
    ) -> Self {
        let folder = Arc::new(folder());
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        if let Some(server) = database::postgres() {
            config.database = database::schema(&server);
        }
        config.cpu_sizes = vec![
            CpuSize { vcpus: 1, memory_gb: 2, disk_gb: 10 },
            CpuSize { vcpus: 4, memory_gb: 16, disk_gb: 40 },
        ];
        // The clock stands still, so no bucket would ever fill again.
        config.limits = config.limits.without_quotas();
        configure(&mut config);
        let clock = ManualClock::default();
        let worlds = worlds(hosts, &clock);
        let mut tuning =
            Tuning { delete_wait: Duration::ZERO, probe_window: Duration::ZERO, ..Tuning::default() };
        tune(&mut tuning);
        let share = if config.is_shared() { Share::Alone } else { Share::Only };
        let store = match is_in_memory {
            true => Store::in_memory().expect("the database"),
            false => open(&config, |_| {}).await,
        };
        let app = start(&config, store, &tuning, &clock, &worlds, 1, share).await;
        let router = http::router(app.clone());
        Self {
            clock,
            world: worlds[0].1.clone(),
            worlds,
            app,
            router,
            config,
            tuning,
            folder,
            is_in_memory,
            seed: 1,
            share,
            keys: Mutex::default(),
            forgiven: Cell::new(false),
        }
    }

    /// Drops the server as a crash would, and starts it again on the same database and world.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// As [`TestServer::restart`], with the database opened differently, unless it is in memory: that stays open.
    pub async fn restart_with(&mut self, tune: impl FnOnce(&mut Settings)) {
        self.seed += 1;
        // What was on its way to the database arrives: a crash loses answers, not the disk's queue.
        let store = if self.is_in_memory {
            let last = self.app.store.write(|_| Box::pin(async { Ok::<_, StoreError>(()) }));
            last.await.expect("an empty write");
            self.app.store.clone()
        } else {
            self.app.store.close().await;
            open(&self.config, tune).await
        };
        self.app =
            start(&self.config, store, &self.tuning, &self.clock, &self.worlds, self.seed, self.share).await;
        self.router = http::router(self.app.clone());
        take_up(&self.app).await;
    }

    /// Starts again on the data of another folder, with the same world.
    pub async fn move_to(&mut self, folder: std::path::PathBuf) {
        assert!(!self.is_in_memory, "the database is in no folder");
        self.config.data_dir = folder;
        self.restart().await;
    }

    /// Another server on the same database and world, all of whose writes and calls pass a turnstile.
    /// It starts as after a crash: everything live is looked at.
    pub async fn beside<T>(&self, seed: u64, share: Share, turnstile: Arc<T>) -> Arc<App>
    where
        T: podbay_store::Turnstile + podbay_provider::fake::Turnstile + 'static,
    {
        let store = self.app.store.behind(turnstile.clone());
        let access = |world: &World| Fake::new(world.clone(), install_id()).behind(turnstile.clone());
        self.another_with(seed, share, store, hosts(&self.worlds, access)).await
    }

    /// Another server on the same database and world.
    pub async fn another(&self, seed: u64, share: Share) -> (Arc<App>, Router) {
        assert!(!self.is_in_memory, "nobody else can open this database");
        let store = open(&self.config, |_| {}).await;
        let app = self.another_with(seed, share, store, hosts(&self.worlds, plain)).await;
        let router = http::router(app.clone());
        (app, router)
    }

    async fn another_with(&self, seed: u64, share: Share, store: Store, hosts: Hosts) -> Arc<App> {
        let app = assemble(&self.config, &self.tuning, &self.clock, store, hosts, seed, share);
        take_up(&app).await;
        app
    }

    /// The client of a user with a full key, made at the first call.
    pub async fn user(&self, name: &str) -> Client {
        self.user_with(name, UserRole::User).await
    }

    /// The client of the owner of the installation, made at the first call.
    pub async fn owner(&self) -> Client {
        self.user_with("owner", UserRole::Admin).await
    }

    async fn user_with(&self, name: &str, role: UserRole) -> Client {
        let known = self.keys.lock().expect("keys").get(name).cloned();
        let key = match known {
            Some(key) => key,
            None => {
                let made = owner::user_create(&self.app, name, role).await;
                let key = made.expect("a user").1.reveal();
                self.keys.lock().expect("keys").insert(name.to_owned(), key.clone());
                key
            }
        };
        Client::new(self.router.clone(), Some(key))
    }

    /// A new user who joins a team by an invitation of `admin`; their client and their id.
    pub async fn member(&self, admin: &Client, team: &str, name: &str, role: &str) -> (Client, String) {
        let invited =
            admin.post(&format!("/api/v1/teams/{team}/invitations"), &json!({ "role": role })).await.ok();
        let body = json!({ "name": name, "email": format!("{name}@example.org") });
        let joined = self.anonymous().post(invited["path"].as_str().expect("a path"), &body).await.ok();
        let key = joined["key"].as_str().expect("a first key").to_owned();
        self.keys.lock().expect("keys").insert(name.to_owned(), key.clone());
        (self.anonymous().with_key(&key), joined["userId"].as_str().expect("an id").to_owned())
    }

    /// A client without a key.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.router.clone(), None)
    }

    /// Steps the reconciler until nothing is due at the present time.
    pub async fn settle(&self) {
        for _ in 0..STEPS_MAX {
            if !self.app.driver.step(&self.app).await {
                tasks::keys::distribute(&self.app).await;
                return;
            }
        }
        panic!("the reconciler does not come to rest");
    }

    /// The scripted host of that name.
    #[must_use]
    pub fn world_of(&self, host: &HostId) -> &World {
        let found = self.worlds.binary_search_by(|(id, _)| id.cmp(host));
        &self.worlds[found.expect("a host of this server")].1
    }

    /// Moves the clock from one due time to the next, settling at each, for at most `span`.
    pub async fn advance(&self, span: Duration) {
        let end = self.clock.now().plus(span);
        self.settle().await;
        while let Some(due) = self.app.driver.next_due().filter(|due| *due <= end) {
            self.clock.set(due.max(self.clock.now()));
            self.settle().await;
        }
        self.clock.set(end);
        self.settle().await;
    }

    /// Compares rows and world once, and settles.
    pub async fn sweep(&self) -> reconcile::sweep::Found {
        lease::beat(&self.app).await.expect("a lease");
        let found = reconcile::sweep::sweep(&self.app).await;
        self.settle().await;
        found
    }

    /// Deletes every pod and every disk of every user and settles: the host is empty afterwards.
    pub async fn clear(&self) {
        let names: Vec<String> = self.keys.lock().expect("keys").keys().cloned().collect();
        for name in names {
            let client = self.user(&name).await;
            let page = client.get("/api/v1/pods?limit=1000").await.ok();
            for pod in page["data"].as_array().expect("a list") {
                let id = pod["id"].as_str().expect("an id");
                let _ = client.delete(&format!("/api/v1/pods/{id}")).await;
            }
        }
        self.settle().await;
        let names: Vec<String> = self.keys.lock().expect("keys").keys().cloned().collect();
        for name in names {
            let client = self.user(&name).await;
            let page = client.get("/api/v1/disks?limit=1000").await.ok();
            for disk in page["data"].as_array().expect("a list") {
                let id = disk["id"].as_str().expect("an id");
                let _ = client.delete(&format!("/api/v1/disks/{id}")).await;
            }
        }
        self.settle().await;
    }

    /// The one who asks has read [`World::violations`] and tells of them: the drop need not.
    pub fn forgive(&self) {
        self.forgiven.set(true);
    }

    /// The row of a pod.
    pub async fn row(&self, id: &str) -> podbay_core::pod::Pod {
        let id = PodId::parse(id).expect("a pod id");
        let mut tx = self.app.store.reader().await.expect("a reader");
        tx.pod_get(&id).await.expect("a row").expect("the pod")
    }

    /// The row of a disk.
    pub async fn disk_row(&self, id: &str) -> podbay_core::disk::Disk {
        let id = DiskId::parse(id).expect("a disk id");
        let mut tx = self.app.store.reader().await.expect("a reader");
        tx.disk_get(&id).await.expect("a row").expect("the disk")
    }

    /// Kinds of the events of a pod, in order.
    pub async fn events(&self, id: &str) -> Vec<String> {
        let id = PodId::parse(id).expect("a pod id");
        let mut tx = self.app.store.reader().await.expect("a reader");
        let events = tx.event_list(&id, 0, 1000).await.expect("events");
        events.into_iter().map(|event| event.kind).collect()
    }

    /// Whether the owner gives up a host that is silent for long.
    #[must_use]
    pub fn gives_up(&self) -> bool {
        self.config.engine.when_lost == WhenLost::Fail
    }

    /// The folder of the database.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// An order that this server takes.
    #[must_use]
    pub fn order() -> Value {
        json!({
            "pod": { "cloudId": "cpu-1x2", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1 },
            "provider": { "type": "primecompute" },
        })
    }

    /// An order of a disk of that size that this server takes.
    #[must_use]
    pub fn disk_order(size: u32) -> Value {
        json!({ "disk": { "size": size }, "provider": { "type": "primecompute" } })
    }

    /// A valid public key; each number gives another one.
    #[must_use]
    pub fn ssh_public_key(number: u8) -> String {
        use base64::Engine as _;
        let mut blob = Vec::new();
        blob.extend_from_slice(&[0, 0, 0, 11]);
        blob.extend_from_slice(b"ssh-ed25519");
        blob.extend_from_slice(&[0, 0, 0, 32]);
        blob.extend_from_slice(&[number; 32]);
        format!("ssh-ed25519 {} key-{number}", base64::engine::general_purpose::STANDARD.encode(blob))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.forgiven.get() {
            for (_, world) in &self.worlds {
                assert_eq!(world.violations(), Vec::<String>::new(), "the world saw what never may happen");
            }
        }
    }
}

/// The installation of every test server.
#[must_use]
pub fn install_id() -> InstallId {
    InstallId::from_bits(0xF00D)
}

/// In memory where the machine has such a place: what is tested is what is written, not the disk.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// What the host of a test has.
#[must_use]
pub fn facts() -> HostFacts {
    HostFacts {
        vcpus: 64,
        memory_gb: 256,
        disk_gb: 2000,
        architecture: "amd64".into(),
        engine: "fake".into(),
        ..HostFacts::default()
    }
}

/// The first has the name that the product gives its own.
fn worlds(hosts: Vec<HostFacts>, clock: &ManualClock) -> Vec<(HostId, World)> {
    let name = |nth| if nth == 0 { "local".to_owned() } else { format!("remote-{nth:02}") };
    let named = |(nth, facts)| (HostId::from_stored(name(nth)), world(facts, clock));
    hosts.into_iter().enumerate().map(named).collect()
}

fn plain(world: &World) -> Fake {
    Fake::new(world.clone(), install_id())
}

fn hosts(worlds: &[(HostId, World)], access: impl Fn(&World) -> Fake) -> Hosts {
    Hosts::new(worlds.iter().map(|(id, world)| (id.clone(), Arc::new(access(world)) as Arc<dyn Provider>)))
}

fn world(facts: HostFacts, clock: &ManualClock) -> World {
    let ticking = clock.clone();
    let world = World::new(facts, move || ticking.now());
    world.image("localhost/podbay/base:latest", Image::default());
    world.image("localhost/web", Image::default().exposing("8080/tcp").exposing("9090/udp"));
    world
}

fn assemble(
    config: &Config,
    tuning: &Tuning,
    clock: &ManualClock,
    store: Store,
    hosts: Hosts,
    seed: u64,
    share: Share,
) -> Arc<App> {
    let ticking = clock.clone();
    App::new(Parts {
        store,
        config: config.clone(),
        clock: Clock::from_fn(move || ticking.now()),
        chance: Chance::seeded(seed),
        install_id: install_id(),
        hosts,
        host_key_secret: [7; 32],
        vault_secret: [8; 32],
        lease: share.lease(),
        tuning: tuning.clone(),
    })
}

async fn open(config: &Config, tune: impl FnOnce(&mut Settings)) -> Store {
    // Each reader has to learn the schema, and a test asks for one thing at a time.
    let mut settings = Settings { readers: 2, ..Settings::at(config.database_url()) };
    tune(&mut settings);
    Store::open(&settings).await.expect("the database")
}

async fn start(
    config: &Config,
    store: Store,
    tuning: &Tuning,
    clock: &ManualClock,
    worlds: &[(HostId, World)],
    seed: u64,
    share: Share,
) -> Arc<App> {
    let app = assemble(config, tuning, clock, store, hosts(worlds, plain), seed, share);
    // A server that starts again has the facts in its rows; the engine may be away just now.
    if let Err(error) = lifecycle::facts_refresh(&app).await {
        assert!(seed > 1, "facts: {error}");
    }
    if seed == 1 {
        take_up(&app).await;
    }
    app
}

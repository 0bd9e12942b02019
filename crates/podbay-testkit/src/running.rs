//! The real server over a scripted world, running by itself: real time, real chance, a database file.

use podbay_core::place::HostFacts;
use podbay_core::{HostId, InstallId};
use podbay_provider::Provider;
use podbay_provider::fake::{Fake, Image, World};
use podbay_server::app::{App, Chance, Clock, Hosts, Parts, Tuning};
use podbay_server::tasks::Background;
use podbay_server::{Config, lifecycle};
use podbay_store::{Settings, Store};
use std::path::PathBuf;
use std::sync::Arc;

/// A server that can be stopped and started again on the same host.
pub struct Running {
    /// Its inside.
    pub app: Arc<App>,
    background: Background,
}

impl Running {
    /// Starts it as the product does: what is live is looked at.
    ///
    /// # Errors
    /// A database that cannot be opened.
    pub async fn start(folder: PathBuf, world: &World) -> anyhow::Result<Self> {
        let app = open(folder, world).await?;
        let background = lifecycle::start_tasks(&app).await?;
        Ok(Self { app, background })
    }

    /// Ends it as the product does.
    pub async fn stop(mut self) {
        self.background.shutdown().await;
        self.app.store.close().await;
    }
}

fn config(folder: PathBuf) -> Config {
    let mut config = Config { data_dir: folder, ..Config::default() };
    (config.ports.first, config.ports.last) = (1024, 65_535);
    // One key is pressed as hard as it goes: what is measured is the work, not the brake.
    config.limits = config.limits.without_quotas();
    config
}

/// A huge host, which has every image.
#[must_use]
pub fn world() -> World {
    let facts = HostFacts {
        vcpus: 100_000,
        memory_gb: 200_000,
        disk_gb: 1_000_000,
        architecture: "amd64".into(),
        engine: "fake".into(),
        ..HostFacts::default()
    };
    let clock = Clock::system();
    let world = World::new(facts, move || clock.now());
    for reference in Config::default().images.values() {
        world.image(reference, Image::default().on_host());
    }
    world
}

async fn open(folder: PathBuf, world: &World) -> anyhow::Result<Arc<App>> {
    let (config, install_id) = (config(folder), InstallId::from_bits(0xBE));
    let provider: Arc<dyn Provider> = Arc::new(Fake::new(world.clone(), install_id.clone()));
    let hosts = [(HostId::from_stored("local".into()), provider)];
    let app = App::new(Parts {
        store: Store::open(&Settings::at(config.database_url())).await?,
        config,
        clock: Clock::system(),
        chance: Chance::system(),
        install_id,
        hosts: Hosts::new(hosts),
        host_key_secret: [7; 32],
        vault_secret: [8; 32],
        lease: None,
        tuning: Tuning::default(),
    });
    lifecycle::facts_refresh(&app).await?;
    Ok(app)
}

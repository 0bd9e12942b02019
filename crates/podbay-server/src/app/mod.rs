//! [`App`]: everything a verb needs, and the verbs themselves, one file per noun.
//!
//! A verb is permission, validation, one transaction, a wake. **Invariant:** nothing outside
//! happens in a verb or in its transaction; it leaves rows and events, and the reconciler acts. The
//! one exception only looks: [`templates::image_check`].

pub mod api_keys;
pub mod chance;
pub mod disks;
pub mod error;
pub mod force;
pub mod hosts;
pub mod invitations;
mod jupyter;
pub mod logins;
pub mod offers;
pub mod once;
pub mod owner;
pub mod pods;
pub mod registry_credentials;
pub mod sharing;
pub mod ssh_keys;
pub mod teams;
pub mod templates;
pub mod users;
pub mod vault;
pub mod wallet;

pub use chance::{Chance, Clock};
pub use error::Error;
pub use hosts::{Host, Hosts};

use crate::config::Config;
use crate::reconcile::{Driver, Lease};
use podbay_core::limits::IMAGE_CHECKS_PARALLEL_MAX;
use podbay_core::permission::{Permission, Scopes};
use podbay_core::published::UserRole;
use podbay_core::{ApiKeyId, InstallId, PodId, Subject, TeamId, Timestamp, UserId, limits};
use podbay_provider::registry::Registry;
use podbay_store::Store;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};
use vault::Vault;

/// The parts of the server that tests replace or tune.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How long a delete call waits for the machine or the volume to be gone.
    pub delete_wait: Duration,
    /// How long one probe pass looks for the SSH banner.
    pub probe_window: Duration,
    /// See [`limits::HEAD_WAIT_MAX`].
    pub head_wait: Duration,
    /// See [`limits::BODY_WAIT_MAX`].
    pub body_wait: Duration,
    /// See [`limits::REPLY_STALL_MAX`].
    pub reply_stall: Duration,
    /// See [`limits::ACCEPT_PAUSE`].
    pub accept_pause: Duration,
    /// See [`limits::DRAIN_MAX`].
    pub drain: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            delete_wait: limits::DELETE_WAIT_MAX,
            probe_window: Duration::from_secs(3),
            head_wait: limits::HEAD_WAIT_MAX,
            body_wait: limits::BODY_WAIT_MAX,
            reply_stall: limits::REPLY_STALL_MAX,
            accept_pause: limits::ACCEPT_PAUSE,
            drain: limits::DRAIN_MAX,
        }
    }
}

/// The server's state. In memory are only hints and copies; what is true is in the rows.
pub struct App {
    /// Every byte that survives a restart.
    pub store: Store,
    /// The owner's configuration.
    pub config: Config,
    /// The only clock.
    pub clock: Clock,
    /// The only source of ids and chance.
    pub chance: Chance,
    /// This installation.
    pub install_id: InstallId,
    /// Where pods are placed.
    pub hosts: Hosts,
    /// Secret that the pods' SSH host keys are derived from.
    pub host_key_secret: [u8; 32],
    /// Seals passwords of registries.
    pub vault: Vault,
    /// Asks registries about images.
    pub registry: Registry,
    /// Turns of those who ask.
    pub image_checks: Semaphore,
    /// Convergence.
    pub driver: Driver,
    /// The share that this server has of it; `None` if it is the only one.
    pub lease: Option<Lease>,
    /// Pods and disks whose end has just been recorded.
    pub ended: broadcast::Sender<Subject>,
    /// Volumes and machines that no row knows, and whose finding has been told.
    pub strays: Mutex<BTreeSet<String>>,
    /// What audits have seen.
    pub audit: Mutex<crate::tasks::audit::Memory>,
    /// The turn to audit: two at a time would take each other's look for a second one.
    pub audit_turn: Arc<tokio::sync::Mutex<()>>,
    /// What has changed since the SSH keys of running pods were last written.
    pub keys_dirty: Mutex<BTreeSet<KeysOf>>,
    /// Wakes the task that writes them.
    pub keys_changed: tokio::sync::Notify,
    /// See [`Tuning`].
    pub tuning: Tuning,
    /// Rendered replies, kept until the next write.
    pub replies: crate::http::Cache,
    /// Rendered rows of the status call, kept until the pod's row changes.
    pub status_rows: crate::http::StatusRows,
    /// How often callers have called.
    pub limits: crate::http::Limits,
    /// Calls with a key of the caller's that are being answered.
    pub flights: once::Flights,
    /// For what outlives a call.
    me: Weak<Self>,
    actors: Mutex<(u64, HashMap<ApiKeyId, podbay_store::ApiKeyRecord>)>,
}

/// Where the SSH keys that pods let in may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeysOf {
    /// In one pod.
    Pod(PodId),
    /// In every pod that lets the user in.
    User(UserId),
    /// In every pod of the team.
    Team(TeamId),
}

/// What [`App::new`] is made of.
pub struct Parts {
    /// See [`App::store`].
    pub store: Store,
    /// See [`App::config`].
    pub config: Config,
    /// See [`App::clock`].
    pub clock: Clock,
    /// See [`App::chance`].
    pub chance: Chance,
    /// See [`App::install_id`].
    pub install_id: InstallId,
    /// See [`App::hosts`].
    pub hosts: Hosts,
    /// See [`App::host_key_secret`].
    pub host_key_secret: [u8; 32],
    /// Secret that [`App::vault`] seals with.
    pub vault_secret: [u8; 32],
    /// See [`App::lease`].
    pub lease: Option<Lease>,
    /// See [`App::tuning`].
    pub tuning: Tuning,
}

/// Most ends that a waiting delete may lag behind; beyond, it answers DELETING.
const ENDED_QUEUE: usize = 1024;

impl App {
    /// Puts the parts together. Starts nothing: what runs by itself is started by the caller.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            registry: Registry::new(parts.config.guard().unwrap_or_default()),
            image_checks: Semaphore::new(IMAGE_CHECKS_PARALLEL_MAX),
            vault: Vault::new(&parts.vault_secret),
            store: parts.store,
            config: parts.config,
            clock: parts.clock,
            chance: parts.chance,
            install_id: parts.install_id,
            hosts: parts.hosts,
            host_key_secret: parts.host_key_secret,
            driver: Driver::default(),
            lease: parts.lease,
            ended: broadcast::channel(ENDED_QUEUE).0,
            strays: Mutex::default(),
            audit: Mutex::default(),
            audit_turn: Arc::default(),
            keys_dirty: Mutex::default(),
            keys_changed: tokio::sync::Notify::new(),
            tuning: parts.tuning,
            replies: crate::http::Cache::default(),
            status_rows: crate::http::StatusRows::default(),
            limits: crate::http::Limits::default(),
            flights: once::Flights::default(),
            me: me.clone(),
            actors: Mutex::default(),
        })
    }

    /// Now, by the app's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The record of a key, from memory while the rows have not changed. Revocation is a write,
    /// so it is seen at once.
    pub(crate) async fn key_record(
        &self,
        id: &ApiKeyId,
    ) -> Result<Option<podbay_store::ApiKeyRecord>, podbay_store::StoreError> {
        let version = self.store.version();
        if self.store.is_single_writer()
            && let Ok(cache) = self.actors.lock()
            && cache.0 == version
            && let Some(record) = cache.1.get(id)
        {
            return Ok(Some(record.clone()));
        }
        let record = self.store.reader().await?.api_key_get(id).await?;
        if let (Some(record), Ok(mut cache)) = (&record, self.actors.lock()) {
            if cache.0 != version {
                *cache = (version, HashMap::new());
            }
            cache.1.insert(id.clone(), record.clone());
        }
        Ok(record)
    }

    /// Waits a moment until the end of `subject` is told by `ended`; whether it was.
    pub(crate) async fn wait_end(&self, mut ended: broadcast::Receiver<Subject>, subject: &Subject) -> bool {
        if self.tuning.delete_wait.is_zero() {
            return false;
        }
        let gone = async {
            loop {
                match ended.recv().await {
                    Ok(other) if other != *subject => {}
                    Ok(_) => return true,
                    Err(_) => return false,
                }
            }
        };
        tokio::time::timeout(self.tuning.delete_wait, gone).await.unwrap_or(false)
    }

    /// Marks SSH keys for distribution.
    pub fn keys_touch(&self, changed: KeysOf) {
        if let Ok(mut dirty) = self.keys_dirty.lock() {
            dirty.insert(changed);
        }
        self.keys_changed.notify_one();
    }
}

/// Who is calling, proved by a key.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user that the key belongs to.
    pub user: UserId,
    /// The key.
    pub key: ApiKeyId,
    /// What the key may do.
    pub scopes: Scopes,
    /// The user's role, looked up only where it matters.
    pub role: Option<UserRole>,
    /// The idempotency key of this call.
    pub once: Option<Arc<once::Once>>,
}

impl Actor {
    /// Whether the actor may do what needs `permission`.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming what the key lacks.
    pub fn check(&self, permission: Permission) -> Result<(), Error> {
        if self.scopes.allow(permission) { Ok(()) } else { Err(Error::Forbidden(permission)) }
    }
}

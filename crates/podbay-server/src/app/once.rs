//! Idempotency keys: a call that is repeated is answered again and not done again (decision 6).
//!
//! The reply is kept in the transaction of the effect. So a crash leaves both or neither, and a
//! repeated call finds the one or does the other.

use super::vault::{Remade, Vault};
use super::{Actor, App, Error};
use podbay_core::key::ApiKey;
use podbay_core::mutation::{self, Mutation};
use podbay_core::{ApiKeyId, LoginCode, Timestamp, UserId, limits};
use podbay_store::{BoxFuture, KeptReply, Tx};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a verb leaves behind, as the answer to a repeated call.
pub trait Replay: Send + 'static {
    /// Status and body. What must not lie in the database in clear, such as a secret that is shown once, is
    /// left out by answering an error instead.
    ///
    /// # Errors
    /// It cannot be rendered.
    fn replay(&self, app: &App) -> Result<(u16, String), Error>;

    /// The reply with its secret, if it has one: kept sealed, for the API key that called and no other.
    ///
    /// # Errors
    /// It cannot be rendered.
    fn with_secret(&self) -> Result<Option<(u16, String)>, Error> {
        Ok(None)
    }
}

/// The key of one call.
#[derive(Debug)]
pub struct Once {
    /// Whose keys it is among: two callers may choose the same name for theirs.
    whose: String,
    name: String,
    request_sha256: [u8; 32],
    seed: Option<Seed>,
    seal: Option<Seal>,
    is_kept: AtomicBool,
    is_again: AtomicBool,
}

/// What the secrets of a reply are made of, so that they can be made again and lie nowhere.
#[derive(Clone)]
struct Seed(Remade);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// What replies with a secret are sealed with. It is made of the vault's secret and of the caller's API key, of
/// which only a hash is stored: database and vault together do not open them.
struct Seal(Vault);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Once {
    fn new(whose: String, name: String, request_sha256: [u8; 32]) -> Self {
        let (is_kept, is_again) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { whose, name, request_sha256, seed: None, seal: None, is_kept, is_again }
    }

    /// A call of a user that names a key; the hash tells it from other calls, and the token says with which
    /// of the user's API keys it was made.
    #[must_use]
    pub fn of_user(
        vault: &Vault,
        user: &UserId,
        token: &str,
        name: String,
        request_sha256: [u8; 32],
    ) -> Arc<Self> {
        let made = vault.remake(&[b"reply", token.as_bytes(), name.as_bytes()]);
        let seal = made.first_chunk().map(|key| Seal(Vault::new(key)));
        Arc::new(Self { seal, ..Self::new(user.to_string(), name, request_sha256) })
    }

    /// The same of whoever `holds` something that nobody else has, and needs no API key. What is held is
    /// not stored: without it, database and vault together do not give the secrets that are made of it.
    #[must_use]
    pub fn of_holder(
        vault: &Vault,
        kind: &'static str,
        holds: &[u8],
        name: String,
        request_sha256: [u8; 32],
    ) -> Arc<Self> {
        let seed = Some(Seed(vault.remake(&[kind.as_bytes(), holds, name.as_bytes()])));
        let whose = format!("{kind}:{}", hex(&Sha256::digest(holds)));
        Arc::new(Self { seed, ..Self::new(whose, name, request_sha256) })
    }

    /// The first API key of a user who needed none to become one: the same for the same call.
    #[must_use]
    pub(crate) fn first_key(&self) -> Option<ApiKey> {
        let Seed(seed) = self.seed.as_ref()?;
        let (id, entropy) = (u128::from_be_bytes(*seed.first_chunk()?), seed[16..].first_chunk()?);
        Some(ApiKey::from_entropy(ApiKeyId::from_bits(id), entropy))
    }

    /// Code and token of a login. Another body of the same caller under the same name gets the same code with
    /// another token.
    #[must_use]
    pub(crate) fn login(&self) -> Option<(LoginCode, String)> {
        let Seed(seed) = self.seed.as_ref()?;
        let code = LoginCode::from_bits(u128::from_be_bytes(*seed.first_chunk()?));
        let token = Sha256::new().chain_update(&seed[16..]).chain_update(self.request_sha256);
        Some((code, hex(&token.finalize())))
    }

    /// Whether what is asked for needs no API key.
    #[must_use]
    pub fn is_keyless(&self) -> bool {
        self.seed.is_some()
    }

    /// Whether a reply was kept with an effect.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::SeqCst)
    }

    /// Whether the verb has found that it was done before.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.is_again.load(Ordering::SeqCst)
    }

    /// The verb has found that it was done before.
    pub(crate) fn found_again(&self) {
        self.is_again.store(true, Ordering::SeqCst);
    }

    /// What is sealed is of no use under another key of the caller's, or for another call.
    fn about(&self) -> String {
        format!("{} {}", self.name, hex(&self.request_sha256))
    }

    /// The reply with its secret as it is kept, if it has one.
    fn sealed<T: Replay>(&self, app: &App, value: &T) -> Result<Option<String>, Error> {
        let (Some(Seal(seal)), Some((status, body))) = (&self.seal, value.with_secret()?) else {
            return Ok(None);
        };
        seal.seal(&self.about(), &format!("{status} {body}"), app.chance.nonce()).map(Some)
    }

    /// The reply as this caller may see it.
    pub(crate) fn open(&self, kept: KeptReply) -> (u16, String) {
        let opened = kept.sealed.and_then(|sealed| self.seal.as_ref()?.0.open(&self.about(), &sealed));
        let whole = opened.as_deref().and_then(|opened| opened.split_once(' '));
        match whole.and_then(|(status, body)| Some((status.parse().ok()?, body.to_owned()))) {
            Some(whole) => whole,
            None => (kept.status, kept.body),
        }
    }

    async fn keep(
        &self,
        tx: &mut Tx,
        (status, body): (u16, String),
        sealed: Option<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if mutation::on(Mutation::ForgetReply) {
            return Ok(());
        }
        let reply = KeptReply { request_sha256: self.request_sha256, status, body, sealed };
        if tx.idempotency_insert(&self.whose, &self.name, &reply, now, horizon(now)).await? {
            Ok(())
        } else {
            Err(in_flight())
        }
    }
}

/// What was kept after this moment counts.
fn horizon(now: Timestamp) -> Timestamp {
    let kept = i64::try_from(limits::IDEMPOTENCY_KEPT.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(kept))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key that stands for another call.
pub(crate) fn of_another() -> Error {
    Error::field("header.Idempotency-Key", "this key belongs to another request; make a new one for each")
}

fn in_flight() -> Error {
    Error::Conflict(
        "a call with this Idempotency-Key is being answered just now; repeat it in a moment".into(),
    )
}

impl App {
    /// Runs `job` in a transaction, as [`podbay_store::Store::write`] does, and keeps the answer in it if the
    /// caller gave a key. Every POST writes its effect through this.
    ///
    /// # Errors
    /// What `job` answers; [`Error::Conflict`] if the key was used meanwhile, and then nothing is written.
    pub async fn write_once<T, F>(&self, actor: &Actor, job: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
        T: Replay,
    {
        self.write_keyed(actor.once.clone(), job).await
    }

    /// The same where no API key says who calls.
    ///
    /// # Errors
    /// As [`App::write_once`].
    pub async fn write_keyed<T, F>(&self, once: Option<Arc<Once>>, job: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
        T: Replay,
    {
        let (Some(once), Some(app)) = (once, self.me.upgrade()) else {
            return self.store.write(job).await;
        };
        let (now, in_job) = (self.now(), once.clone());
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let value = job(tx).await?;
                in_job.keep(tx, value.replay(&app)?, in_job.sealed(&app, &value)?, now).await?;
                Ok::<_, Error>(value)
            })
        });
        let value = written.await?;
        once.is_kept.store(true, Ordering::SeqCst);
        Ok(value)
    }

    /// The reply that is kept under a key, if any.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it was the reply to another call.
    pub(crate) async fn kept_reply(&self, once: &Once) -> Result<Option<KeptReply>, Error> {
        let mut tx = self.store.reader().await?;
        match tx.idempotency_get(&once.whose, &once.name, horizon(self.now())).await? {
            Some(kept) if kept.request_sha256 != once.request_sha256 => Err(of_another()),
            kept => Ok(kept),
        }
    }

    /// Keeps a reply that had no effect, such as an error: the same call gets the same one.
    pub(crate) async fn keep_reply(&self, once: &Arc<Once>, reply: (u16, String)) -> Result<(), Error> {
        let (once, now) = (once.clone(), self.now());
        self.store.write(move |tx| Box::pin(async move { once.keep(tx, reply, None, now).await })).await
    }

    /// Forgets replies that have been kept long enough; how many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_replies(&self) -> Result<u64, Error> {
        let since = horizon(self.now());
        let mut forgotten = 0;
        loop {
            let batch = self.store.write(move |tx| {
                Box::pin(async move {
                    Ok::<_, Error>(tx.idempotency_expire(since, limits::IDEMPOTENCY_BATCH).await?)
                })
            });
            let batch = batch.await?;
            forgotten += batch;
            if batch < limits::IDEMPOTENCY_BATCH {
                return Ok(forgotten);
            }
        }
    }
}

/// Keys of calls that are being answered by this server. Of two servers that answer the same one, the row of the
/// reply lets one commit.
#[derive(Default)]
pub struct Flights(Mutex<HashSet<(String, String)>>);

/// A call that is being answered.
pub(crate) struct Flight {
    app: Arc<App>,
    of: (String, String),
}

impl Flight {
    /// Begins one.
    ///
    /// # Errors
    /// [`Error::Conflict`] while there is another one with that key.
    pub(crate) fn begin(app: &Arc<App>, once: &Once) -> Result<Self, Error> {
        let of = (once.whose.clone(), once.name.clone());
        let mut flights = app.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.insert(of.clone()) { Ok(Self { app: app.clone(), of }) } else { Err(in_flight()) }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.app.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.of);
    }
}

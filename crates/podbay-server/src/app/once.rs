//! Idempotency keys: a call that is repeated is answered again and not done again (decision 6).
//!
//! The reply is kept in the transaction of the effect. So a crash leaves both or neither, and a
//! repeated call finds the one or does the other.

use super::{Actor, App, Error};
use podbay_core::mutation::{self, Mutation};
use podbay_core::{Timestamp, UserId, limits};
use podbay_store::{BoxFuture, KeptReply, Tx};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a verb leaves behind, as the answer to a repeated call.
pub trait Replay: Send + 'static {
    /// Status and body. What must not lie in the database, such as a secret that is shown once, is
    /// left out by answering an error instead.
    ///
    /// # Errors
    /// It cannot be rendered.
    fn replay(&self, app: &App) -> Result<(u16, String), Error>;
}

/// The key of one call.
#[derive(Debug)]
pub struct Once {
    name: String,
    request_sha256: [u8; 32],
    is_kept: AtomicBool,
}

impl Once {
    /// A call that names a key; the hash tells it from other calls.
    #[must_use]
    pub fn new(name: String, request_sha256: [u8; 32]) -> Arc<Self> {
        Arc::new(Self { name, request_sha256, is_kept: AtomicBool::new(false) })
    }

    /// Whether a reply was kept with an effect.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::SeqCst)
    }

    async fn keep(
        &self,
        tx: &mut Tx,
        user: &UserId,
        (status, body): (u16, String),
        now: Timestamp,
    ) -> Result<(), Error> {
        if mutation::on(Mutation::ForgetReply) {
            return Ok(());
        }
        let reply = KeptReply { request_sha256: self.request_sha256, status, body };
        if tx.idempotency_insert(user, &self.name, &reply, now, horizon(now)).await? {
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
        let (Some(once), Some(app)) = (actor.once.clone(), self.me.upgrade()) else {
            return self.store.write(job).await;
        };
        let (user, now, in_job) = (actor.user.clone(), self.now(), once.clone());
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let value = job(tx).await?;
                in_job.keep(tx, &user, value.replay(&app)?, now).await?;
                Ok::<_, Error>(value)
            })
        });
        let value = written.await?;
        once.is_kept.store(true, Ordering::SeqCst);
        Ok(value)
    }

    /// The reply that is kept under a key, if any, and what call it was the reply to.
    pub(crate) async fn kept_reply(&self, user: &UserId, name: &str) -> Result<Option<KeptReply>, Error> {
        Ok(self.store.reader().await?.idempotency_get(user, name, horizon(self.now())).await?)
    }

    /// Keeps a reply that had no effect, such as an error: the same call gets the same one.
    pub(crate) async fn keep_reply(
        &self,
        user: &UserId,
        once: &Arc<Once>,
        reply: (u16, String),
    ) -> Result<(), Error> {
        let (user, once, now) = (user.clone(), once.clone(), self.now());
        self.store.write(move |tx| Box::pin(async move { once.keep(tx, &user, reply, now).await })).await
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

/// Keys of calls that are being answered. One server owns a database, so its memory is enough.
#[derive(Default)]
pub struct Flights(Mutex<HashSet<(UserId, String)>>);

/// A call that is being answered.
pub(crate) struct Flight {
    app: Arc<App>,
    of: (UserId, String),
}

impl Flight {
    /// Begins one.
    ///
    /// # Errors
    /// [`Error::Conflict`] while there is another one with that key.
    pub(crate) fn begin(app: &Arc<App>, user: &UserId, name: &str) -> Result<Self, Error> {
        let of = (user.clone(), name.to_owned());
        let mut flights = app.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.insert(of.clone()) { Ok(Self { app: app.clone(), of }) } else { Err(in_flight()) }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.app.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.of);
    }
}

//! Several servers on one database share its pods and disks out by claims, each of which lasts as long as
//! its server's lease.
//!
//! A claim saves work: it keeps two servers from doing the same. What keeps a server from doing harm that
//! stood still while its lease ran out is the version of each row: whatever it wants to do or to tell must be
//! written against the version that it has read (decision 7). So there is no leader, and nobody's clock decides.

use crate::app::{App, Error, KeysOf};
use podbay_core::{ServerId, Subject, Timestamp, limits};
use podbay_store::{Server, Tx};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a server that may have others beside it knows of its claims. The rows say what is true.
pub struct Lease {
    name: String,
    folder: String,
    is_alone: AtomicBool,
    mine: Mutex<Mine>,
    hints: Mutex<BTreeSet<Hint>>,
    hinted: Notify,
}

#[derive(Default)]
struct Mine {
    /// `None` before the first beat, and after a beat that found the lease gone.
    server: Option<ServerId>,
    claims: HashSet<Subject>,
}

/// What servers tell each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// A user has changed their mind about it.
    Changed(Subject),
    /// Its end was recorded.
    Ended(Subject),
    /// A server goes away.
    Left,
}

/// What a beat did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// The lease was over: this server begins anew.
    pub joined: bool,
    /// Servers whose leases were found to be over.
    pub expired: u64,
    /// What had no server and has this one now.
    pub adopted: usize,
}

impl Lease {
    /// Of a server on the machine of that `name`. Servers of one database must have the same `folder`; one that
    /// knows that it `is_alone` there need not wait for the leases of those that were there before it.
    #[must_use]
    pub fn new(name: String, folder: String, is_alone: bool) -> Self {
        let (mine, hints, hinted) = (Mutex::default(), Mutex::default(), Notify::new());
        Self { name, folder, is_alone: AtomicBool::new(is_alone), mine, hints, hinted }
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This server, unless its lease is known to be over.
    #[must_use]
    pub fn server(&self) -> Option<ServerId> {
        self.mine().server.clone()
    }

    /// How much this server has claimed.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.mine().claims.len()
    }

    fn has(&self, subject: &Subject) -> bool {
        self.mine().claims.contains(subject)
    }

    /// Forgets a claim; the rows say whether there is still one.
    fn forget(&self, subject: &Subject) {
        self.mine().claims.remove(subject);
    }

    /// Says something to the other servers soon.
    fn hint(&self, hint: Hint) {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner).insert(hint);
        self.hinted.notify_one();
    }

    fn take_hints(&self) -> Vec<String> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *hints).iter().map(Hint::to_text).collect()
    }
}

impl Hint {
    fn to_text(&self) -> String {
        let of = |what: &str, subject: &Subject| format!("{what} {subject}");
        match self {
            Self::Changed(subject) => of("changed", subject),
            Self::Ended(subject) => of("ended", subject),
            Self::Left => "left".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (what, subject) = text.split_once(' ').unwrap_or((text, ""));
        match what {
            "changed" => Some(Self::Changed(Subject::parse(subject)?)),
            "ended" => Some(Self::Ended(Subject::parse(subject)?)),
            "left" => Some(Self::Left),
            // Of a newer version.
            _ => None,
        }
    }
}

impl App {
    /// The user has changed their mind about it: whoever works on it learns so.
    pub(crate) fn changed(&self, subject: Subject) {
        self.driver.wake_changed(subject.clone());
        if let Some(lease) = self.lease.as_ref().filter(|lease| !lease.has(&subject)) {
            lease.hint(Hint::Changed(subject));
        }
    }

    /// Its end was recorded: whoever waits for it learns so.
    pub(crate) fn tell_ended(&self, subject: Subject) {
        if let Some(lease) = &self.lease {
            lease.forget(&subject);
            lease.hint(Hint::Ended(subject.clone()));
        }
        // Nobody may be waiting.
        let _ = self.ended.send(subject);
    }
}

/// Whether this server may work on it now.
pub(super) async fn claim(app: &App, subject: &Subject) -> Result<bool, Error> {
    let Some(lease) = &app.lease else { return Ok(true) };
    let Some(server) = lease.server() else { return Ok(false) };
    if lease.has(subject) {
        return Ok(true);
    }
    let (of, by) = (subject.clone(), server.clone());
    let taken =
        app.store.write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.claim_take(&of, &by).await?) }));
    let taken = taken.await?;
    let mut mine = lease.mine();
    if taken && mine.server.as_ref() == Some(&server) {
        mine.claims.insert(subject.clone());
    }
    Ok(taken)
}

/// A plan has turned out to be void, perhaps because another server has it now: the rows are asked again.
pub(super) fn doubt_claim(app: &App, subject: &Subject) {
    if let Some(lease) = &app.lease {
        lease.forget(subject);
    }
}

/// What a write for a pod or a disk must still find true: that this server has it.
#[derive(Clone)]
pub(super) struct Fence(Option<(Subject, ServerId)>);

impl Fence {
    pub(super) fn of(app: &App, subject: &Subject) -> Self {
        // A server without a lease has not got here; if it loses it just now, the empty id is nobody's.
        let server = app.lease.as_ref().map(|lease| lease.server());
        Self(
            server.map(|server| {
                (subject.clone(), server.unwrap_or_else(|| ServerId::from_stored(String::new())))
            }),
        )
    }

    /// Whether it is. If not, the caller must not act.
    pub(super) async fn holds(&self, tx: &mut Tx) -> Result<bool, podbay_store::StoreError> {
        match &self.0 {
            Some((subject, server)) => tx.claim_holds(subject, server).await,
            None => Ok(true),
        }
    }

    /// It is over: nobody needs to claim it any more.
    pub(super) async fn drop_claim(&self, tx: &mut Tx) -> Result<(), podbay_store::StoreError> {
        match &self.0 {
            Some((subject, _)) => tx.claim_drop(subject).await,
            None => Ok(()),
        }
    }
}

/// A sign of life: renews the lease or begins a new one, finds those that are over, and takes up what has no
/// server.
///
/// # Errors
/// The database does not answer; or servers of another data folder work on it.
pub async fn beat(app: &App) -> Result<Beat, Error> {
    let Some(lease) = &app.lease else { return Ok(Beat::default()) };
    let mut beat = Beat::default();
    let server = match renew(app, lease, &mut beat).await? {
        Some(server) => server,
        None => join(app, lease, &mut beat).await?,
    };
    if beat.expired > 0 {
        tracing::warn!(servers = beat.expired, "the lease of another server is over");
        // It may have had SSH keys to write that nobody else knows of.
        for (pod, _) in app.store.reader().await?.pod_live_ids().await? {
            app.keys_touch(KeysOf::Pod(pod));
        }
    }
    loop {
        let by = server.clone();
        let adopted = app.store.write(move |tx| {
            Box::pin(async move { Ok::<_, Error>(tx.claim_adopt(&by, limits::CLAIMS_BATCH).await?) })
        });
        let adopted = adopted.await?;
        beat.adopted += adopted.len();
        lease.mine().claims.extend(adopted.iter().cloned());
        for subject in &adopted {
            // What happened while nobody looked is unknown.
            app.driver.wake_suspect(subject.clone());
        }
        if adopted.is_empty() {
            return Ok(beat);
        }
    }
}

/// Renews the lease, and ends those that are over; `None` if this server's own was.
async fn renew(app: &App, lease: &Lease, beat: &mut Beat) -> Result<Option<ServerId>, Error> {
    let Some(server) = lease.server() else { return Ok(None) };
    let (now, of) = (app.now(), server.clone());
    let renewed = app.store.write(move |tx| {
        Box::pin(async move {
            if !tx.server_renew(&of, now.plus(limits::LEASE)).await? {
                return Ok::<_, Error>(None);
            }
            Ok(Some(expire(tx, now).await?))
        })
    });
    let Some(expired) = renewed.await? else {
        *lease.mine() = Mine::default();
        return Ok(None);
    };
    beat.expired = expired;
    Ok(Some(server))
}

/// Ends the leases that are over, by the clock or because it has jumped back since they were given; how many.
async fn expire(tx: &mut Tx, now: Timestamp) -> podbay_store::Result<u64> {
    // A clock that is a little behind another server's is no jump.
    tx.server_expire(now, now.plus(2 * limits::LEASE)).await
}

/// Begins a lease, beside the servers that there are.
async fn join(app: &App, lease: &Lease, beat: &mut Beat) -> Result<ServerId, Error> {
    let now = app.now();
    let server = Server {
        id: app.chance.server_id(),
        name: lease.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        folder: lease.folder.clone(),
        started_at: now,
        lease_until: now.plus(limits::LEASE),
    };
    let id = server.id.clone();
    let is_alone = lease.is_alone.load(Ordering::SeqCst);
    let joined = app.store.write(move |tx| {
        Box::pin(async move {
            let mut expired = expire(tx, now).await?;
            if is_alone {
                expired += tx.server_end(&server.folder).await?;
            }
            let others = tx.server_list().await?;
            if let Some(other) = others.iter().find(|other| other.folder != server.folder) {
                return Err(Error::Conflict(format!(
                    "a server on {} works on this database with another data folder; servers of one database \
                     must run on one machine with one `data_dir`",
                    other.name
                )));
            }
            tx.server_insert(&server).await?;
            Ok(expired)
        })
    });
    beat.expired = joined.await?;
    beat.joined = true;
    lease.is_alone.store(false, Ordering::SeqCst);
    lease.mine().server = Some(id.clone());
    Ok(id)
}

/// Gives everything back, for the other servers to take up at once.
///
/// # Errors
/// The database does not answer; then the lease runs out.
pub async fn leave(app: &App) -> Result<(), Error> {
    let Some(server) = app.lease.as_ref().and_then(Lease::server) else { return Ok(()) };
    let now = app.now();
    // Not deleted: whoever finds the lease over does what this server may have left undone.
    let left = app
        .store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.server_renew(&server, now).await?) }));
    left.await?;
    Ok(app.store.hint(&[Hint::Left.to_text()]).await?)
}

/// Listens to the other servers and speaks to them, for ever. With one writer there are none.
pub async fn hints_run(app: Arc<App>) {
    let Some(lease) = &app.lease else { return };
    loop {
        if let Err(error) = hints(&app, lease).await {
            tracing::warn!(cause = ?error, "hints of other servers");
        }
        tokio::time::sleep(limits::LEASE_RENEW_EVERY).await;
    }
}

async fn hints(app: &App, lease: &Lease) -> Result<(), Error> {
    let Some(mut heard) = app.store.hints().await? else { return Ok(()) };
    loop {
        tokio::select! {
            said = heard.next() => match said? {
                Some(text) => on_hint(app, lease, &text).await,
                None => missed(app, lease),
            },
            () = lease.hinted.notified() => app.store.hint(&lease.take_hints()).await?,
        }
    }
}

async fn on_hint(app: &App, lease: &Lease, text: &str) {
    match Hint::parse(text) {
        Some(Hint::Changed(subject)) if lease.has(&subject) => app.driver.wake_changed(subject),
        // Nobody may be waiting.
        Some(Hint::Ended(subject)) => _ = app.ended.send(subject),
        Some(Hint::Left) => _ = beat(app).await,
        _ => {}
    }
}

/// What was said meanwhile is lost: everything that this server has is looked at.
fn missed(app: &App, lease: &Lease) {
    let mine: Vec<Subject> = lease.mine().claims.iter().cloned().collect();
    for subject in mine {
        app.driver.wake(subject);
    }
}

/// Gives signs of life for ever.
pub async fn beats_run(app: Arc<App>) {
    loop {
        tokio::time::sleep(limits::LEASE_RENEW_EVERY).await;
        match beat(&app).await {
            Ok(beat) if beat.joined => {
                tracing::warn!(?beat, "this server's lease was over, and it has begun another one");
            }
            Ok(beat) if beat != Beat::default() => tracing::info!(?beat, "lease"),
            Ok(_) => {}
            Err(error) => tracing::warn!(cause = ?error, "lease"),
        }
    }
}

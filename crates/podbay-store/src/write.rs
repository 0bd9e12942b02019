//! Writing: the group commit of the embedded database, and plain transactions elsewhere.
//!
//! A durable commit waits for the disk; a hundred jobs can wait for the same one. The writer, a thread of its own,
//! opens a transaction, gives each waiting job a savepoint, commits once, and answers only then:
//! nothing is acknowledged that could still be lost. A job that waits alone has the transaction for itself.

use crate::checkpoint::Checkpoints;
use crate::sqlite::{Sqlite, beside};
use crate::store::{BoxFuture, Connection, SqliteHandle};
use crate::{StoreError, Tx};
use futures_util::FutureExt;
use sqlx::postgres::PgPool;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait; one more is answered Busy.
const QUEUE_MAX: usize = 4096;
/// Jobs that share a commit.
const GROUP_MAX: usize = 128;

/// Runs inside the transaction, and answers once it is known whether that was committed.
trait Job: Send {
    fn run<'t>(self: Box<Self>, tx: &'t mut Tx) -> BoxFuture<'t, Ran>;
    fn refuse(self: Box<Self>, error: StoreError);
}

/// A job that has run: whether to keep what it wrote, and how to answer.
struct Ran {
    keep: bool,
    answer: Box<dyn FnOnce(Option<StoreError>) + Send>,
}

struct Typed<F, T, E> {
    job: F,
    reply: oneshot::Sender<Reply<T, E>>,
}

enum Reply<T, E> {
    Done(Result<T, E>),
    Panicked(Box<dyn Any + Send>),
}

impl<F, T, E> Job for Typed<F, T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run<'t>(self: Box<Self>, tx: &'t mut Tx) -> BoxFuture<'t, Ran> {
        Box::pin(async move {
            let Self { job, reply } = *self;
            let reply_with = match AssertUnwindSafe(async move { job(tx).await }).catch_unwind().await {
                Ok(result) => Reply::Done(result),
                Err(panic) => Reply::Panicked(panic),
            };
            let keep = matches!(&reply_with, Reply::Done(Ok(_)));
            let answer = move |failed: Option<StoreError>| {
                let reply_with = match (failed, reply_with) {
                    // What a job refused itself stays its own answer; what it wrote is lost.
                    (Some(error), Reply::Done(Ok(_))) => Reply::Done(Err(error.into())),
                    (_, reply) => reply,
                };
                // The caller may have gone; what is committed stays.
                let _ = reply.send(reply_with);
            };
            Ran { keep, answer: Box::new(answer) }
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Reply::Done(Err(error.into())));
    }
}

/// The queue in front of the one writing connection.
pub(crate) struct Writer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    /// `checkpoints` is none if nothing is ever written.
    pub(crate) fn start(
        connection: Sqlite,
        commits: Arc<AtomicU64>,
        checkpoints: Option<Checkpoints>,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let ended = beside("podbay-writer", run(connection, receiver, commits, checkpoints))?;
        Ok(Self { queue: std::sync::Mutex::new(Some(sender)), ended: tokio::sync::Mutex::new(Some(ended)) })
    }

    pub(crate) async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let closed = || StoreError::Unavailable("the database is closed".into());
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone()).ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Typed { job, reply });
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy("too many writes are waiting".into()),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        match answer.await {
            Ok(Reply::Done(result)) => result,
            Ok(Reply::Panicked(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err(closed().into()),
        }
    }

    pub(crate) async fn close(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        if let Some(ended) = self.ended.lock().await.take()
            && ended.await.is_err()
        {
            tracing::error!("the database writer ended badly");
        }
    }
}

async fn run(
    connection: Sqlite,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    commits: Arc<AtomicU64>,
    mut checkpoints: Option<Checkpoints>,
) {
    let mut tx = Tx::new(Connection::Sqlite(SqliteHandle::Writer(connection)));
    let mut group = Vec::with_capacity(GROUP_MAX);
    // What a broken transaction left undone is the next group.
    while !group.is_empty() || receive(&mut tx, &mut queue, &mut group, &mut checkpoints).await {
        let waiting = group.len();
        write_group(&mut tx, &mut group, &commits).await;
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.committed(waiting - group.len());
        }
    }
    if let Some(checkpoints) = checkpoints {
        checkpoints.close(&mut tx).await;
    }
}

/// Waits for the next group, and lets checkpoints in before it; false once there is none any more.
async fn receive(
    tx: &mut Tx,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    group: &mut Vec<Box<dyn Job>>,
    checkpoints: &mut Option<Checkpoints>,
) -> bool {
    loop {
        let asked = async {
            match checkpoints {
                Some(checkpoints) => checkpoints.asked().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A writer that always has work would never come to it.
            biased;
            gap = asked => gap.use_for(tx).await,
            received = queue.recv_many(group, GROUP_MAX) => return received > 0,
        }
    }
}

async fn write_group(tx: &mut Tx, group: &mut Vec<Box<dyn Job>>, commits: &AtomicU64) {
    tx.broken = None;
    if let Err(error) = crate::exec!(tx, "BEGIN IMMEDIATE") {
        group.drain(..).for_each(|job| job.refuse(error.clone()));
        return;
    }
    let mut answers = Vec::with_capacity(group.len());
    let mut end = "COMMIT";
    if group.len() == 1 {
        for job in group.drain(..) {
            let Ran { keep, answer } = job.run(tx).await;
            end = if keep { "COMMIT" } else { "ROLLBACK" };
            answers.push(answer);
        }
    } else {
        let mut jobs = std::mem::take(group).into_iter();
        while tx.broken.is_none()
            && let Some(job) = jobs.next()
        {
            answers.push(run_one(tx, job).await);
        }
        group.extend(jobs);
    }
    let failed = crate::exec!(tx, end).err();
    if failed.is_some() {
        roll_back(tx).await;
    }
    commits.fetch_add(1, Ordering::SeqCst);
    for answer in answers {
        answer(failed.clone());
    }
}

type Answer = Box<dyn FnOnce(Option<StoreError>) + Send>;

/// One job in its savepoint. What goes wrong with the transaction as a whole is in `tx.broken`.
async fn run_one(tx: &mut Tx, job: Box<dyn Job>) -> Answer {
    if let Err(error) = crate::exec!(tx, "SAVEPOINT job") {
        tx.broken.get_or_insert(error);
    }
    let Ran { keep, answer } = job.run(tx).await;
    let undone = if keep { Ok(0) } else { crate::exec!(tx, "ROLLBACK TO job") };
    if let Err(error) = undone.and(crate::exec!(tx, "RELEASE job")) {
        tx.broken.get_or_insert(error);
    }
    answer
}

/// Ends the transaction without its writes. SQLite may have done so already (disk full): then this
/// fails, and that is fine.
async fn roll_back(tx: &mut Tx) {
    tx.broken = None;
    let _ = crate::exec!(tx, "ROLLBACK");
}

/// A transaction of its own, for a database that keeps writers apart itself.
pub(crate) async fn in_transaction<T, E, F>(pool: PgPool, job: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    E: From<StoreError>,
{
    let connection = pool.acquire().await.map_err(StoreError::from)?;
    let mut tx = Tx::new(Connection::Postgres(connection));
    crate::exec!(&mut tx, "BEGIN ISOLATION LEVEL READ COMMITTED")?;
    match AssertUnwindSafe(job(&mut tx)).catch_unwind().await {
        Ok(Ok(value)) => match crate::exec!(&mut tx, "COMMIT") {
            Ok(_) => Ok(value),
            Err(error) => {
                roll_back(&mut tx).await;
                Err(error.into())
            }
        },
        Ok(Err(error)) => {
            roll_back(&mut tx).await;
            Err(error)
        }
        Err(panic) => {
            roll_back(&mut tx).await;
            std::panic::resume_unwind(panic)
        }
    }
}

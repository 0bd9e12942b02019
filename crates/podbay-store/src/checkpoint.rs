//! Moving what is in SQLite's write-ahead log into the database file.
//!
//! By itself SQLite does that within a commit, every thousand pages: one commit in a hundred then waits ten
//! times as long as the others. Here a thread beside the writer does it on a connection of its own, and the
//! writer only what was written meanwhile, between two groups: the log can begin anew then, in place. It must
//! never change a row, and an error of it is no error of a write: the log is the database until it is moved.

use crate::sqlite::{Options, Sqlite, beside};
use crate::{Result, Tx, exec, opt};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Pages (of 4 KiB) in the log that are moved together. A move makes the commits beside it wait for the
/// disk longer, so there are to be few.
const MOVE_PAGES: i64 = 8_000;
/// What the writer may be asked to move: a few milliseconds for everybody who waits.
const GAP_PAGES: i64 = 256;
/// Pages at which writes wait for readers: 64 MiB. A reader keeps everything in the log that was written
/// since it began.
const FORCE_PAGES: i64 = 16_384;
/// How long they wait then, for each [`FORCE_PAGES`] of the log.
const FORCE_PATIENCE: Duration = Duration::from_millis(100);
/// Jobs between two looks at the log. The largest writes some dozen pages.
const LOOK_JOBS: usize = 64;
/// What the writer may have added while a move was under way is moved again, so often.
const MOVES_MAX: usize = 3;

/// The log, as SQLite counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Log {
    pages: i64,
    moved: i64,
}

impl From<Option<(i64, i64, i64)>> for Log {
    fn from(row: Option<(i64, i64, i64)>) -> Self {
        let (_, pages, moved) = row.unwrap_or_default();
        // Without a log both are −1.
        Self { pages: pages.max(0), moved: moved.max(0) }
    }
}

/// A request to the writer: end the move between two groups, and with `patience` wait for readers.
pub(crate) struct Gap {
    patience: Option<Duration>,
    answer: oneshot::Sender<Log>,
}

/// The writer's side.
pub(crate) struct Checkpoints {
    jobs: usize,
    looks: watch::Sender<usize>,
    gaps: mpsc::Receiver<Gap>,
    ended: oneshot::Receiver<()>,
}

impl Checkpoints {
    /// `connection` is the writer's.
    pub(crate) fn start(options: Options, connection: &mut Sqlite) -> Result<Self> {
        connection.exec("PRAGMA wal_autocheckpoint = 0", &[])?;
        let (looks, looked) = watch::channel(0);
        let (asks, gaps) = mpsc::channel(1);
        let ended = beside("podbay-log", run(options, looked, asks))?;
        Ok(Self { jobs: 0, looks, gaps, ended })
    }

    /// So many jobs have been committed.
    pub(crate) fn committed(&mut self, jobs: usize) {
        let before = self.jobs / LOOK_JOBS;
        self.jobs += jobs;
        if self.jobs / LOOK_JOBS > before {
            self.looks.send_replace(self.jobs);
        }
    }

    /// Waits until the writer is asked for a gap.
    pub(crate) async fn asked(&mut self) -> Gap {
        match self.gaps.recv().await {
            Some(gap) => gap,
            // The thread has ended; writing goes on without it.
            None => std::future::pending().await,
        }
    }

    /// Ends the thread, and moves what is left, so that the file alone is the database.
    pub(crate) async fn close(self, tx: &mut Tx) {
        drop((self.looks, self.gaps));
        let _ = self.ended.await;
        report(forced(tx, FORCE_PATIENCE).await);
    }
}

impl Gap {
    /// Does what was asked for, on the writer's connection, outside a transaction.
    pub(crate) async fn use_for(self, tx: &mut Tx) {
        tx.broken = None;
        let moved = match self.patience {
            Some(patience) => forced(tx, patience).await,
            None => opt!(tx, (i64, i64, i64), "PRAGMA wal_checkpoint(PASSIVE)").map(Log::from),
        };
        if let Some(log) = report(moved) {
            let _ = self.answer.send(log);
        }
    }
}

/// Moves all, and gives the log's room back to the disk, once no reader needs it. Nobody writes meanwhile.
async fn forced(tx: &mut Tx, patience: Duration) -> Result<Log> {
    tx.broken = None;
    let before = opt!(tx, (i64,), "PRAGMA busy_timeout")?.map_or(0, |(millis,)| millis);
    wait_at_most(tx, patience.as_millis()).await?;
    let moved = opt!(tx, (i64, i64, i64), "PRAGMA wal_checkpoint(TRUNCATE)").map(Log::from);
    tx.broken = None;
    wait_at_most(tx, before.unsigned_abs().into()).await?;
    moved
}

async fn wait_at_most(tx: &mut Tx, millis: u128) -> Result<()> {
    let sql = format!("PRAGMA busy_timeout = {millis}");
    exec!(tx, sqlx::AssertSqlSafe(sql)).map(drop)
}

fn report(moved: Result<Log>) -> Option<Log> {
    moved.inspect_err(|error| tracing::warn!(%error, "the write-ahead log grows on")).ok()
}

/// The thread: looks at the log, and moves what is in it. Ends with the writer.
async fn run(options: Options, mut looks: watch::Receiver<usize>, gaps: mpsc::Sender<Gap>) {
    let mut connection = None;
    let mut next = MOVE_PAGES;
    while looks.changed().await.is_ok() {
        next = match look(&options, &mut connection, next, &gaps).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log grows on");
                next + MOVE_PAGES
            }
        };
    }
}

/// Moves the log if it has reached `next`; how many pages the next move waits for.
async fn look(
    options: &Options,
    connection: &mut Option<Sqlite>,
    next: i64,
    gaps: &mpsc::Sender<Gap>,
) -> Result<i64> {
    let connection = match connection {
        Some(connection) => connection,
        // Not before: most who open a database write little.
        none => none.insert(options.open()?),
    };
    let mut log = asked(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    if log.pages < next {
        // It has begun anew, so nobody holds it back any more.
        return Ok(if log.pages < MOVE_PAGES { MOVE_PAGES } else { next });
    }
    for _ in 0..MOVES_MAX {
        log = asked(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        if log.pages - log.moved <= GAP_PAGES {
            break;
        }
    }
    let times = u32::try_from(log.pages / FORCE_PAGES).unwrap_or(u32::MAX);
    let patience = (times > 0).then(|| FORCE_PATIENCE.saturating_mul(times));
    if patience.is_some() || log.pages - log.moved <= GAP_PAGES {
        let (answer, answered) = oneshot::channel();
        if gaps.send(Gap { patience, answer }).await.is_ok()
            && let Ok(after) = answered.await
        {
            log = after;
        }
    }
    // What a reader holds back is not asked for again with every look.
    Ok(if log.moved == log.pages { MOVE_PAGES } else { log.pages + MOVE_PAGES })
}

fn asked(connection: &mut Sqlite, sql: &str) -> Result<Log> {
    connection.opt(sql, &[]).map(Log::from)
}

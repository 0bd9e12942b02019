//! The connections that read a SQLite file.
//!
//! A pool for databases on a network asks each connection that comes back whether it still lives.
//! Here that would be a message to the connection's thread and back for every request.

use crate::{Result, StoreError};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How long a caller waits for a connection.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Some connections, of which each has one holder at a time.
pub(crate) struct Readers {
    options: Box<SqliteConnectOptions>,
    all: Vec<Arc<Mutex<Slot>>>,
    /// As many permits as connections: who has one finds a connection that nobody holds.
    free: Arc<Semaphore>,
}

struct Slot {
    connection: SqliteConnection,
    is_broken: bool,
}

/// One of them. It is given back before its permit.
pub(crate) struct Reader {
    slot: OwnedMutexGuard<Slot>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) async fn open(options: SqliteConnectOptions, count: u32) -> Result<Self> {
        let mut all = Vec::new();
        for _ in 0..count {
            let connection = options.connect().await?;
            all.push(Arc::new(Mutex::new(Slot { connection, is_broken: false })));
        }
        let free = Arc::new(Semaphore::new(all.len()));
        Ok(Self { options: Box::new(options), all, free })
    }

    pub(crate) async fn take(&self) -> Result<Reader> {
        let busy = || StoreError::Busy("no connection for reading became free".into());
        let closed = |_| StoreError::Unavailable("the database is closed".into());
        let permit = tokio::time::timeout(WAIT_MAX, self.free.clone().acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(closed)?;
        let mut slot =
            self.all.iter().find_map(|slot| slot.clone().try_lock_owned().ok()).ok_or_else(busy)?;
        if slot.is_broken {
            *slot = Slot { connection: self.options.connect().await?, is_broken: false };
        }
        Ok(Reader { slot, _permit: permit })
    }

    /// Hands out no more. A connection ends with its thread when the last holder is gone.
    pub(crate) fn close(&self) {
        self.free.close();
    }
}

impl Reader {
    pub(crate) fn connection(&self) -> &SqliteConnection {
        &self.slot.connection
    }

    pub(crate) fn connection_mut(&mut self) -> &mut SqliteConnection {
        &mut self.slot.connection
    }

    /// The next holder gets a new connection.
    pub(crate) fn set_broken(&mut self) {
        self.slot.is_broken = true;
    }
}

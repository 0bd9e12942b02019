//! The connections that read a SQLite file.

use crate::sqlite::{Options, Sqlite};
use crate::{Result, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How long a caller waits for a connection.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Some connections, of which each has one holder at a time.
pub(crate) struct Readers {
    options: Options,
    all: Vec<Arc<Mutex<Slot>>>,
    /// As many permits as connections: who has one finds a connection that nobody holds.
    free: Arc<Semaphore>,
}

struct Slot {
    connection: Sqlite,
    is_broken: bool,
}

/// One of them. It is given back before its permit.
pub(crate) struct Reader {
    slot: OwnedMutexGuard<Slot>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) fn open(options: Options, count: u32) -> Result<Self> {
        let mut all = Vec::new();
        for _ in 0..count {
            let connection = options.open()?;
            all.push(Arc::new(Mutex::new(Slot { connection, is_broken: false })));
        }
        let free = Arc::new(Semaphore::new(all.len()));
        Ok(Self { options, all, free })
    }

    pub(crate) async fn take(&self) -> Result<Reader> {
        let busy = || StoreError::Busy("no connection for reading became free".into());
        let closed = |_| StoreError::Unavailable("the database is closed".into());
        let permit = tokio::time::timeout(WAIT_MAX, self.free.clone().acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(closed)?;
        let mut slot =
            self.all.iter().find_map(|slot| slot.clone().try_lock_owned().ok()).ok_or_else(busy)?;
        if slot.is_broken {
            *slot = Slot { connection: self.options.open()?, is_broken: false };
        }
        Ok(Reader { slot, _permit: permit })
    }

    /// Hands out no more.
    pub(crate) fn close(&self) {
        self.free.close();
    }
}

impl Reader {
    pub(crate) fn connection(&self) -> &Sqlite {
        &self.slot.connection
    }

    pub(crate) fn connection_mut(&mut self) -> &mut Sqlite {
        &mut self.slot.connection
    }

    /// The next holder gets a new connection.
    pub(crate) fn set_broken(&mut self) {
        self.slot.is_broken = true;
    }
}

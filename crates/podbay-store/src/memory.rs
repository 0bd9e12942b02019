//! Databases in memory, for those who need very many of them for a moment: the simulator.

use crate::sqlite::{Access, Options, Sqlite, is_of_one_thread};
use crate::store::open_with;
use crate::{Result, Store, StoreError, schema};
use rusqlite::backup::{Backup, StepResult};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;

/// Readers of each.
const READERS: u32 = 2;

thread_local! {
    /// What each begins as: a copy takes a hundredth of the time of the migrations.
    static EMPTY: RefCell<Option<Sqlite>> = const { RefCell::new(None) };
}

impl Store {
    /// A new SQLite in memory, migrated and empty, which nobody else can open. Its connections have one cache and no
    /// write-ahead log: who reads and who writes would be in each other's way, so it is for a runtime of one thread.
    ///
    /// # Errors
    /// The runtime has several threads, or the database refuses.
    pub fn in_memory() -> Result<Self> {
        if !is_of_one_thread(&Handle::current()) {
            return Err(StoreError::Other("a database in memory is for a runtime of one thread".into()));
        }
        let options = blank();
        let mut connection = options.open()?;
        EMPTY.with_borrow_mut(|empty| {
            let empty = match empty {
                Some(empty) => empty,
                none => {
                    let mut made = blank().open()?;
                    schema::migrate(&mut made)?;
                    none.insert(made)
                }
            };
            match Backup::new(empty.inner(), connection.inner())?.step(-1)? {
                StepResult::Done => Ok(()),
                other => Err(StoreError::Other(format!("copy a database in memory: {other:?}"))),
            }
        })?;
        open_with(connection, &options, READERS)
    }
}

fn blank() -> Options {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("memory-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Options { path: name.into(), access: Access::Make, pages_max: None, in_memory: true }
}

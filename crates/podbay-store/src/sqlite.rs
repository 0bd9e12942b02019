//! The embedded database. A statement runs on the thread that asks for it: a row that is in memory takes less
//! time than to wake another thread and be woken by it. What may take long has a thread of its own, see
//! [`beside`] and [`crate::Store::snapshot`].

use crate::{Result, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, Row, Statement, ToSql};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// How long a statement waits for another process (a backup) that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 512;

/// The highest number of a parameter.
const PARAMETERS_MAX: usize = 255;

/// How a file is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    /// See [`crate::Settings::pages_max`].
    pub(crate) pages_max: Option<u32>,
    /// The path is a name, and there is no file: see [`crate::Store::in_memory`].
    pub(crate) in_memory: bool,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read.
    Read,
    /// Read and written.
    Write,
    /// Read and written; made if it is not there.
    Make,
}

/// A connection.
pub(crate) struct Sqlite(Connection);

/// A type that a row is read into.
pub(crate) trait FromRow: Sized {
    /// The columns it is read from; none for a tuple, which is read from those that there are.
    const COLUMNS: &'static [&'static str] = &[];

    /// Reads its values in the order of its columns.
    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<Self>;
}

/// The values of a row, in the order in which they are asked for.
pub(crate) struct Cells<'r> {
    row: &'r Row<'r>,
    /// Where each of them is in the row; empty if as they come.
    places: &'r [usize],
    next: usize,
}

impl Cells<'_> {
    pub(crate) fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let nth = self.next;
        self.next += 1;
        self.row.get(self.places.get(nth).copied().unwrap_or(nth))
    }
}

macro_rules! tuples {
    ($(($($type:ident)+))+) => {
        $(impl<$($type: FromSql),+> FromRow for ($($type,)+) {
            fn read(cells: &mut Cells<'_>) -> rusqlite::Result<Self> {
                Ok(($(cells.next::<$type>()?,)+))
            }
        })+
    };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }

/// A struct that rows of both databases are read into, by the names of its columns.
macro_rules! row {
    ($(#[$meta:meta])* $seen:vis struct $name:ident { $($of:vis $column:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(sqlx::FromRow)]
        $seen struct $name { $($of $column: $type,)+ }

        impl $crate::sqlite::FromRow for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn read(cells: &mut $crate::sqlite::Cells<'_>) -> rusqlite::Result<Self> {
                Ok(Self { $($column: cells.next()?,)+ })
            }
        }
    };
}

pub(crate) use row;

impl Options {
    pub(crate) fn open(&self) -> Result<Sqlite> {
        let access = match self.access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Make => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        // Nobody else has this connection, so it needs no lock of its own.
        let access = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if self.in_memory {
            // Seen by all connections of the process that know it by its name. They have one cache, and so a row is
            // never copied from one of theirs into another.
            let uri = format!("file:{}?mode=memory&cache=shared", self.path.display());
            Connection::open_with_flags(uri, access | OpenFlags::SQLITE_OPEN_URI)?
        } else {
            Connection::open_with_flags(&self.path, access)?
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "foreign_keys", true)?;
        // Otherwise a statement is planned anew for each value of its LIMIT.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        if self.access != Access::Read {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // Every commit is on the disk before it is answered: money and places depend on it.
            connection.pragma_update(None, "synchronous", "FULL")?;
        }
        if self.in_memory && self.access == Access::Read {
            // There its flag is not heeded.
            connection.pragma_update(None, "query_only", true)?;
        }
        if let Some(pages) = self.pages_max {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        Ok(Sqlite(connection))
    }
}

impl Sqlite {
    /// A file that nobody else has open. Without a write-ahead log: what is written is in the file itself.
    pub(crate) fn alone(path: &Path) -> Result<Self> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, access)?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self(connection))
    }

    /// The connection itself, for what is not one statement.
    pub(crate) fn inner(&mut self) -> &mut Connection {
        &mut self.0
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) fn exec(&mut self, sql: &str, binds: &[&dyn ToSql]) -> Result<u64> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(sql, &mut statement, binds)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(self.0.changes())
    }

    /// Reads all rows.
    pub(crate) fn all<T: FromRow>(&mut self, sql: &str, binds: &[&dyn ToSql]) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, binds, |row| {
            all.push(row);
            true
        })?;
        Ok(all)
    }

    /// Reads the first row, if there is one.
    pub(crate) fn opt<T: FromRow>(&mut self, sql: &str, binds: &[&dyn ToSql]) -> Result<Option<T>> {
        let mut first = None;
        self.each(sql, binds, |row| {
            first = Some(row);
            false
        })?;
        Ok(first)
    }

    /// Hands rows over as long as more are wanted.
    fn each<T: FromRow>(
        &mut self,
        sql: &str,
        binds: &[&dyn ToSql],
        mut take: impl FnMut(T) -> bool,
    ) -> Result<()> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(sql, &mut statement, binds)?;
        // Most are asked for in the order of the struct.
        let place = |(nth, name): (usize, &&str)| match statement.column_name(nth) {
            Ok(there) if there == *name => Ok(nth),
            _ => statement.column_index(name),
        };
        let places = T::COLUMNS.iter().enumerate().map(place);
        let places = places.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !take(T::read(&mut Cells { row, places: &places, next: 0 })?) {
                break;
            }
        }
        Ok(())
    }
}

/// Values, and ids after them.
pub(crate) fn and_ids<'a>(values: &[&'a dyn ToSql], ids: &'a [&'a str]) -> Vec<&'a dyn ToSql> {
    let ids = ids.iter().map(|id| id as &dyn ToSql);
    values.iter().copied().chain(ids).collect()
}

/// PostgreSQL takes `$2` for the second value, and SQLite for the name of a parameter: it counts them in the order in
/// which they appear. To ask it for the names takes longer than to look for them; so there is no `$` but theirs in a
/// statement.
fn bind(sql: &str, statement: &mut Statement<'_>, binds: &[&dyn ToSql]) -> Result<()> {
    let (mut bound, mut nth) = ([0_u64; 1 + PARAMETERS_MAX / 64], 0);
    for name in sql.split('$').skip(1) {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let number = name[..digits].parse::<usize>().ok().filter(|number| *number <= PARAMETERS_MAX);
        let value = number.and_then(|number| binds.get(number.checked_sub(1)?));
        let (Some(number), Some(value)) = (number, value) else {
            return Err(StoreError::Other(format!("nothing is bound to ${} in: {sql}", &name[..digits])));
        };
        let (word, bit) = (&mut bound[number / 64], 1 << (number % 64));
        if *word & bit == 0 {
            *word |= bit;
            nth += 1;
            statement.raw_bind_parameter(nth, value)?;
        }
    }
    match statement.parameter_count() {
        count if count == nth => Ok(()),
        count => Err(StoreError::Other(format!("{nth} of {count} parameters are bound in: {sql}"))),
    }
}

/// Runs `work`, which may take its time, on a thread of its own, within the runtime that this is called in;
/// what comes back is answered when it has ended, with an error if it panicked. A runtime of one thread is
/// a test's or a command's: there it is a task like others, so that everything happens in one order.
pub(crate) fn beside(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<oneshot::Receiver<()>> {
    let runtime = Handle::current();
    let (ended, wait) = oneshot::channel();
    let work = async move {
        work.await;
        // Nobody has to wait for it.
        let _ = ended.send(());
    };
    if is_of_one_thread(&runtime) {
        runtime.spawn(work);
        return Ok(wait);
    }
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work));
    started.map_err(|error| StoreError::Unavailable(format!("start a thread: {error}")))?;
    Ok(wait)
}

/// Whether nobody else is held up by what takes its time.
pub(crate) fn is_of_one_thread(runtime: &Handle) -> bool {
    runtime.runtime_flavor() == RuntimeFlavor::CurrentThread
}

//! Every byte of podbay that survives a restart.
//!
//! [`Store`] is the embedded SQLite or a PostgreSQL; [`Tx`] is a connection, inside a transaction
//! or for reading, and every query is a method on it, one file per noun. There is one SQL text
//! for both databases, so types are TEXT, BIGINT and BOOLEAN, times are milliseconds since the
//! epoch, and structures are JSON in TEXT.
//!
//! **Invariants.** No policy here: a method does what its name says or says why not. A row that
//! cannot be read is an error with table, column and row, never a default.

mod account;
mod audit;
mod backup;
mod checkpoint;
mod disk;
mod error;
mod event;
mod forced;
mod hint;
mod host;
mod idempotency;
mod invitation;
mod login;
mod memory;
mod pod;
mod pod_mark;
mod readers;
mod retention;
mod schema;
mod server;
mod sharing;
mod sqlite;
mod store;
mod team;
mod template;
mod transfer;
mod usage;
mod wallet;
mod write;

pub use account::{ApiKeyRecord, LAST_USED_PRECISION, SshKeyRecord, User};
pub use backup::restore_mark;
pub use error::StoreError;
pub use event::Event;
pub use hint::Hints;
pub use host::HostState;
pub use idempotency::KeptReply;
pub use invitation::Invitation;
pub use login::Login;
pub use pod::HistorySort;
pub use pod_mark::PodMark;
pub use schema::Schema;
pub use server::Server;
pub use sharing::Door;
pub use store::{BoxFuture, Settings, Store, Turnstile, Tx};
pub use team::{Member, Membership, Team};
pub use transfer::TABLES;
pub use wallet::{BillingRow, Credit};

/// A part of a list, and how long the whole is.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Length of the whole.
    pub total: u64,
}

/// The result of a query.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Runs a statement; how many rows it changed.
macro_rules! exec {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::guarded!($tx, {
            let sql = sqlx::SqlSafeStr::into_sql_str($sql);
            match &mut $tx.connection {
                $crate::store::Connection::Sqlite(inner) => inner.exec(sql.as_str(), &[$(&$bind),*]),
                $crate::store::Connection::Postgres(inner) => sqlx::query(sql)$(.bind($bind))*
                    .execute(&mut **inner).await.map(|done| done.rows_affected()).map_err($crate::StoreError::from),
            }
        })
    };
}

/// Reads all rows.
macro_rules! all {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::fetch!($tx, $row, all, fetch_all, $sql, [$($bind),*])
    };
}

/// Reads one row, if there is one.
macro_rules! opt {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::fetch!($tx, $row, opt, fetch_optional, $sql, [$($bind),*])
    };
}

/// What `all!` and `opt!` have in common.
macro_rules! fetch {
    ($tx:expr, $row:ty, $method:ident, $fetch:ident, $sql:expr, [$($bind:expr),*]) => {
        $crate::guarded!($tx, {
            let sql = sqlx::SqlSafeStr::into_sql_str($sql);
            match &mut $tx.connection {
                $crate::store::Connection::Sqlite(inner) => {
                    inner.$method::<$row>(sql.as_str(), &[$(&$bind),*])
                }
                $crate::store::Connection::Postgres(inner) => sqlx::query_as::<_, $row>(sql)$(.bind($bind))*
                    .$fetch(&mut **inner).await.map_err($crate::StoreError::from),
            }
        })
    };
}

/// As `all!`, with the ids of one of [`in_lists`] bound after the others.
macro_rules! in_list {
    ($tx:expr, $row:ty, $sql:expr, [$($bind:expr),*], $ids:expr) => {
        $crate::guarded!($tx, match &mut $tx.connection {
            $crate::store::Connection::Sqlite(inner) => {
                let ids = $ids;
                inner.all::<$row>($sql, &$crate::sqlite::and_ids(&[$(&$bind),*], &ids))
            }
            $crate::store::Connection::Postgres(inner) => {
                let mut query = sqlx::query_as::<_, $row>($sql.as_str())$(.bind($bind))*;
                for id in $ids {
                    query = query.bind(id);
                }
                query.fetch_all(&mut **inner).await.map_err($crate::StoreError::from)
            }
        })
    };
}

/// Runs a statement unless the transaction is broken, and notes if it breaks it.
macro_rules! guarded {
    ($tx:expr, $run:expr) => {
        match $tx.broken.clone() {
            Some(error) => Err(error),
            None => {
                let result = $run;
                $tx.note(result)
            }
        }
    };
}

pub(crate) use {all, exec, fetch, guarded, in_list, opt};

/// How many ids an IN list has: one, few, or a page of them. A statement for each is kept prepared.
pub(crate) const IN_LISTS: [usize; 3] = [1, 16, 128];

/// The placeholders of an IN list, the first of which has that number.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let each: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    each.join(", ")
}

/// Ids cut into lists of one of the [`IN_LISTS`], with which one it is. What is missing of the last
/// is filled up with empty ids, which nothing has.
pub(crate) fn in_lists(ids: Vec<&str>) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let size = IN_LISTS.iter().position(|size| ids.len() <= *size).unwrap_or(IN_LISTS.len() - 1);
    let lists: Vec<Vec<&str>> = ids.chunks(IN_LISTS[size]).map(<[&str]>::to_vec).collect();
    lists.into_iter().map(move |mut ids| {
        ids.resize(IN_LISTS[size], "");
        (size, ids)
    })
}

/// A stored number as the type that the domain gives it.
pub(crate) fn number<T: TryFrom<i64>>(
    value: i64,
    table: &'static str,
    column: &'static str,
    row: &str,
) -> Result<T> {
    T::try_from(value).map_err(|_| StoreError::Corrupt { table, column, row: row.to_owned() })
}

/// A stored JSON text as what it stands for.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    text: &str,
    table: &'static str,
    column: &'static str,
    row: &str,
) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { table, column, row: row.to_owned() })
}

/// What is stored for a structure.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Other(format!("write JSON: {error}")))
}

//! Copies of the whole database, and what a restored one must remember.

use crate::store::Connection;
use crate::{Result, Store, StoreError, Tx, exec, opt};
use podbay_core::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};
use std::path::Path;

/// One connection to a copy. Without a write-ahead log: what is written is in the file itself.
async fn alone(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full);
    Ok(options.connect().await?)
}

/// Marks a copy that is not in use yet as in use since that moment.
///
/// # Errors
/// The file is damaged, or is no copy that [`Store::copy_to`] has made.
pub async fn restore_mark(path: &Path, at: Timestamp) -> Result<()> {
    let mut copy = alone(path).await?;
    let (verdict,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(&mut copy).await?;
    if verdict != "ok" {
        return Err(StoreError::Other(format!("the file is damaged: {verdict}")));
    }
    let sql = "UPDATE install SET restored_at = $1 WHERE backup_at IS NOT NULL";
    let marked = sqlx::query(sql).bind(at.as_millis()).execute(&mut copy).await?.rows_affected();
    copy.close().await?;
    if marked == 1 { Ok(()) } else { Err(StoreError::Other("the file is not marked as a backup".into())) }
}

impl Store {
    /// Writes a copy of the database, as it is at one moment not before `at`, to a file that is not there
    /// yet, and marks it as one. Writers go on meanwhile.
    ///
    /// # Errors
    /// The file cannot be written, or the database is not a file.
    pub async fn copy_to(&self, path: &Path, at: Timestamp) -> Result<()> {
        let mut tx = self.reader().await?;
        if matches!(tx.connection, Connection::Postgres(_)) {
            return Err(StoreError::Other("a PostgreSQL database is copied with pg_dump".into()));
        }
        let text = path.to_str().ok_or_else(|| StoreError::Other("the path is not UTF-8".into()))?;
        exec!(&mut tx, "VACUUM INTO $1", text)?;
        let mut copy = alone(path).await?;
        let mark = sqlx::query("UPDATE install SET backup_at = $1, restored_at = NULL").bind(at.as_millis());
        mark.execute(&mut copy).await?;
        Ok(copy.close().await?)
    }
}

impl Tx {
    /// From when to when things happened that a restored database does not know; `None` if it never was
    /// restored.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn unknown_span(&mut self) -> Result<Option<(Timestamp, Timestamp)>> {
        let sql = "SELECT backup_at, restored_at FROM install WHERE backup_at IS NOT NULL AND restored_at IS NOT NULL";
        let row = opt!(self, (i64, i64), sql)?;
        Ok(row.map(|(from, to)| (Timestamp::from_millis(from), Timestamp::from_millis(to))))
    }
}

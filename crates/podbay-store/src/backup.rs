//! Copies of the whole database, and what a restored one must remember.

use crate::sqlite::Sqlite;
use crate::store::Connection;
use crate::{Result, Store, StoreError, Tx, exec, opt};
use podbay_core::Timestamp;
use std::path::Path;

/// Marks a copy that is not in use yet as in use since that moment.
///
/// # Errors
/// The file is damaged, or is no copy that [`Store::copy_to`] has made.
pub fn restore_mark(path: &Path, at: Timestamp) -> Result<()> {
    let mut copy = Sqlite::alone(path)?;
    let verdict: Option<(String,)> = copy.opt("PRAGMA integrity_check(1)", &[])?;
    let (verdict,) = verdict.unwrap_or_default();
    if verdict != "ok" {
        return Err(StoreError::Other(format!("the file is damaged: {verdict}")));
    }
    let sql = "UPDATE install SET restored_at = $1 WHERE backup_at IS NOT NULL";
    let marked = copy.exec(sql, &[&at.as_millis()])?;
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
        let mark = "UPDATE install SET backup_at = $1, restored_at = NULL";
        Sqlite::alone(path)?.exec(mark, &[&at.as_millis()])?;
        Ok(())
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

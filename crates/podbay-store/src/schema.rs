//! Which version of podbay a database is of, and which ones may work on it.
//!
//! Migrations expand first and contract a release later: so the release before may run on while the next one
//! has migrated already. A database that is newer than this program is therefore no error by itself; one that
//! says that this program is too old is.

use crate::sqlite::Sqlite;
use crate::store::Connection;
use crate::{Result, StoreError, Tx, opt};
use rusqlite::TransactionBehavior;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use std::collections::BTreeMap;

/// The migration that began to say which programs may work on a database.
const FLOOR_SINCE: i64 = 12;

/// Where a database stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The newest migration that was applied; 0 for an empty database.
    pub applied: i64,
    /// The newest one that this program knows.
    pub known: i64,
    /// The newest one that a program must know to work on it.
    pub floor: i64,
}

/// Every migration that this program knows. Newer ones do not trouble it.
pub(crate) fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

pub(crate) fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        other => StoreError::Other(format!("migrate the database: {other}")),
    }
}

/// Brings a SQLite up to date, all of it or nothing. What has been applied is written down as [`Migrator`] does
/// it for PostgreSQL, and did for SQLite up to migration 16.
pub(crate) fn migrate(connection: &mut Sqlite) -> Result<()> {
    let connection = connection.inner();
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
         checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
    )?;
    if missing(connection)?.is_empty() {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again: another process may have been first.
    for step in missing(&tx)? {
        tx.execute_batch(step.sql.as_str())?;
        // How long it took is known only afterwards, and nobody asks.
        let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   VALUES (?, ?, TRUE, ?, -1)";
        tx.execute(sql, (step.version, &*step.description, &*step.checksum))?;
    }
    Ok(tx.commit()?)
}

/// What is not applied yet; an error if what is was cut off, or is not what this program knows.
fn missing(connection: &rusqlite::Connection) -> Result<Vec<Migration>> {
    let mut statement = connection.prepare("SELECT version, success, checksum FROM _sqlx_migrations")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let applied: BTreeMap<i64, (bool, Vec<u8>)> = rows.collect::<rusqlite::Result<_>>()?;
    if let Some((version, _)) = applied.iter().find(|(_, (success, _))| !success) {
        return Err(failed(MigrateError::Dirty(*version)));
    }
    let mut missing = Vec::new();
    for step in migrator().iter() {
        match applied.get(&step.version) {
            None => missing.push(step.clone()),
            Some((_, checksum)) if *checksum == *step.checksum => {}
            Some(_) => return Err(failed(MigrateError::VersionMismatch(step.version))),
        }
    }
    Ok(missing)
}

impl Schema {
    /// How many migrations this program would apply.
    #[must_use]
    pub fn pending(&self) -> usize {
        migrator().iter().filter(|migration| migration.version > self.applied).count()
    }

    /// Whether this program may work on it.
    ///
    /// # Errors
    /// It is too old.
    pub(crate) fn check(&self) -> Result<()> {
        if self.floor <= self.known {
            return Ok(());
        }
        Err(StoreError::Other(format!(
            "the database was written by a newer podbay (migration {}), and only those that know migration {} \
             may use it; this one knows {}: start a newer version",
            self.applied, self.floor, self.known
        )))
    }
}

impl Tx {
    /// Where the database stands.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn schema(&mut self) -> Result<Schema> {
        let known = migrator().iter().map(|migration| migration.version).max().unwrap_or(0);
        let begun = match &self.connection {
            Connection::Sqlite(_) => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'"
            }
            Connection::Postgres(_) => "SELECT COUNT(to_regclass('_sqlx_migrations'))",
        };
        if opt!(self, (i64,), begun)? == Some((0,)) {
            return Ok(Schema { known, ..Schema::default() });
        }
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
        let applied = opt!(self, (i64,), sql)?.map_or(0, |(version,)| version);
        let floor = match applied {
            FLOOR_SINCE.. => opt!(self, (i64,), "SELECT migration FROM schema_floor")?.map_or(0, |(it,)| it),
            _ => 0,
        };
        Ok(Schema { applied, known, floor })
    }
}

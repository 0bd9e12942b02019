//! What can go wrong with a database, told apart where a program acts differently.

/// Why a query failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A row holds what no version of podbay writes.
    #[error("corrupt row: {table}.{column} of {row}")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Primary key of the row.
        row: String,
    },
    /// Somebody else holds what is needed; the same call may succeed in a moment.
    #[error("busy: {0}")]
    Busy(String),
    /// The database cannot be written.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// There is no room left.
    #[error("disk full: {0}")]
    DiskFull(String),
    /// A unique or check constraint forbids it.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The database does not answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Anything else: a defect.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody repairing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Unavailable(_) => true,
            Self::Corrupt { .. }
            | Self::ReadOnly(_)
            | Self::DiskFull(_)
            | Self::Conflict(_)
            | Self::Other(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => {
                if database.is_unique_violation()
                    || database.is_check_violation()
                    || database.is_foreign_key_violation()
                {
                    return Self::Conflict(text);
                }
                by_state(database.code().as_deref().unwrap_or_default(), text)
            }
            sqlx::Error::PoolTimedOut => Self::Busy(text),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed => Self::Unavailable(text),
            _ => Self::Other(text),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error() {
            Some(failure) => by_number(failure.extended_code, text),
            None => Self::Other(text),
        }
    }
}

/// The five-letter states of PostgreSQL.
fn by_state(state: &str, text: String) -> StoreError {
    match state.get(..2).unwrap_or_default() {
        "40" | "55" => StoreError::Busy(text),
        "53" if state == "53100" => StoreError::DiskFull(text),
        "08" | "53" | "57" => StoreError::Unavailable(text),
        "25" if state == "25006" => StoreError::ReadOnly(text),
        _ => StoreError::Other(text),
    }
}

/// The extended result codes of SQLite.
fn by_number(code: i32, text: String) -> StoreError {
    use rusqlite::ffi;
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_CHECK
        | ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return StoreError::Conflict(text),
        _ => {}
    }
    match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => StoreError::Busy(text),
        ffi::SQLITE_READONLY => StoreError::ReadOnly(text),
        ffi::SQLITE_FULL => StoreError::DiskFull(text),
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => StoreError::Unavailable(text),
        _ => StoreError::Other(text),
    }
}

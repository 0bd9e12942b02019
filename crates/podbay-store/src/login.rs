//! Logins that wait for somebody's approval, and those that have it.

use crate::account::{bound, from_hex, to_hex};
use crate::sqlite::row;
use crate::{Result, StoreError, Tx, exec, opt};
use podbay_core::{ApiKeyId, LoginCode, Timestamp, UserId};

/// A program that asks for an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What the person who approves it types.
    pub code: LoginCode,
    /// SHA-256 of the token with which the program asks how it went.
    pub status_sha256: [u8; 32],
    /// RSA public key of the program, in PEM.
    pub public_key: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// From when on it is unknown.
    pub expires_at: Timestamp,
    /// The API key that was made for it, sealed with its public key; `None` while nobody has approved.
    pub sealed: Option<String>,
}

row! {
    struct LoginRow {
        code: String,
        status_sha256: String,
        public_key: String,
        created_at: i64,
        expires_at: i64,
        sealed: Option<String>,
    }
}

impl TryFrom<LoginRow> for Login {
    type Error = StoreError;
    fn try_from(row: LoginRow) -> Result<Self> {
        let corrupt =
            || StoreError::Corrupt { table: "logins", column: "status_sha256", row: row.code.clone() };
        Ok(Self {
            status_sha256: from_hex(&row.status_sha256).ok_or_else(corrupt)?,
            code: LoginCode::from_stored(row.code),
            public_key: row.public_key,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            sealed: row.sealed,
        })
    }
}

impl Tx {
    /// Adds a login that waits.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn login_insert(&mut self, login: &Login) -> Result<()> {
        exec!(
            self,
            "INSERT INTO logins (code, status_sha256, public_key, created_at, expires_at, sealed) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            login.code.as_str(),
            to_hex(&login.status_sha256),
            &login.public_key,
            login.created_at.as_millis(),
            login.expires_at.as_millis(),
            &login.sealed
        )?;
        Ok(())
    }

    /// The login of that code, unless it has expired by `now`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn login_get(&mut self, code: &LoginCode, now: Timestamp) -> Result<Option<Login>> {
        let sql = "SELECT code, status_sha256, public_key, created_at, expires_at, sealed FROM logins \
                   WHERE code = $1 AND expires_at > $2";
        opt!(self, LoginRow, sql, code.as_str(), now.as_millis())?.map(Login::try_from).transpose()
    }

    /// Notes who approved a login, and with which sealed key; whether it was still waiting at `now`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn login_approve(
        &mut self,
        code: &LoginCode,
        user: &UserId,
        key: &ApiKeyId,
        sealed: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "UPDATE logins SET user_id = $2, api_key_id = $3, sealed = $4 \
                   WHERE code = $1 AND sealed IS NULL AND expires_at > $5";
        Ok(exec!(self, sql, code.as_str(), user.as_str(), key.as_str(), sealed, now.as_millis())? > 0)
    }

    /// Forgets a login that waits; whether there was one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn login_refuse(&mut self, code: &LoginCode, now: Timestamp) -> Result<bool> {
        let sql = "DELETE FROM logins WHERE code = $1 AND sealed IS NULL AND expires_at > $2";
        Ok(exec!(self, sql, code.as_str(), now.as_millis())? > 0)
    }

    /// Forgets what has expired by `now`, and of those that wait all but the newest `keep`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn login_prune(&mut self, now: Timestamp, keep: u64) -> Result<()> {
        exec!(self, "DELETE FROM logins WHERE expires_at <= $1", now.as_millis())?;
        let sql = "DELETE FROM logins WHERE code IN (SELECT code FROM logins WHERE sealed IS NULL \
                   ORDER BY created_at DESC, code DESC LIMIT $1 OFFSET $2)";
        exec!(self, sql, i64::MAX, bound(keep))?;
        Ok(())
    }
}

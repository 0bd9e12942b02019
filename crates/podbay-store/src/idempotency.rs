//! Replies that are kept under a key of the caller's, so that a repeated call is answered and not done.

use crate::account::{bound, from_hex, to_hex};
use crate::{Result, StoreError, Tx, exec, number, opt};
use podbay_core::{Timestamp, UserId};

/// What a call was, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReply {
    /// Of method, path and body.
    pub request_sha256: [u8; 32],
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Tx {
    /// The reply that a user's key stands for, if it was kept after `since`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_get(
        &mut self,
        user: &UserId,
        name: &str,
        since: Timestamp,
    ) -> Result<Option<KeptReply>> {
        let sql = "SELECT request_sha256, status, reply FROM idempotency \
                   WHERE user_id = $1 AND name = $2 AND created_at > $3";
        let row = opt!(self, (String, i64, String), sql, user.as_str(), name, since.as_millis())?;
        let Some((sha256, status, body)) = row else { return Ok(None) };
        let corrupt =
            || StoreError::Corrupt { table: "idempotency", column: "request_sha256", row: name.into() };
        Ok(Some(KeptReply {
            request_sha256: from_hex(&sha256).ok_or_else(corrupt)?,
            status: number(status, "idempotency", "status", name)?,
            body,
        }))
    }

    /// Keeps a reply under a user's key, in place of one that was not kept after `since`; whether
    /// it did, or one stands there already.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_insert(
        &mut self,
        user: &UserId,
        name: &str,
        reply: &KeptReply,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<bool> {
        let changed = exec!(
            self,
            "INSERT INTO idempotency (user_id, name, request_sha256, status, reply, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, name) DO UPDATE SET \
             request_sha256 = $3, status = $4, reply = $5, created_at = $6 WHERE idempotency.created_at <= $7",
            user.as_str(),
            name,
            to_hex(&reply.request_sha256),
            i64::from(reply.status),
            &reply.body,
            now.as_millis(),
            since.as_millis()
        )?;
        Ok(changed == 1)
    }

    /// Forgets the oldest replies that were not kept after `since`, `most` of them; how many it were.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_expire(&mut self, since: Timestamp, most: u64) -> Result<u64> {
        let sql = "DELETE FROM idempotency WHERE (user_id, name) IN (SELECT user_id, name FROM idempotency \
                   WHERE created_at <= $1 ORDER BY created_at LIMIT $2)";
        exec!(self, sql, since.as_millis(), bound(most))
    }
}

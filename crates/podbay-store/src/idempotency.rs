//! Replies that are kept under a key of the caller's, so that a repeated call is answered and not done.

use crate::account::{bound, from_hex, to_hex};
use crate::{Result, StoreError, Tx, exec, number, opt};
use podbay_core::Timestamp;

/// What a call was, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReply {
    /// Of method, path and body.
    pub request_sha256: [u8; 32],
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Status and body as the one who called may see them, if others may not.
    pub sealed: Option<String>,
}

impl Tx {
    /// The reply that a key of `whose` stands for, if it was kept after `since`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_get(
        &mut self,
        whose: &str,
        name: &str,
        since: Timestamp,
    ) -> Result<Option<KeptReply>> {
        let sql = "SELECT request_sha256, status, reply, sealed FROM kept_replies \
                   WHERE whose = $1 AND name = $2 AND created_at > $3";
        let row = opt!(self, (String, i64, String, Option<String>), sql, whose, name, since.as_millis())?;
        let Some((sha256, status, body, sealed)) = row else { return Ok(None) };
        let corrupt =
            || StoreError::Corrupt { table: "kept_replies", column: "request_sha256", row: name.into() };
        Ok(Some(KeptReply {
            request_sha256: from_hex(&sha256).ok_or_else(corrupt)?,
            status: number(status, "kept_replies", "status", name)?,
            body,
            sealed,
        }))
    }

    /// Keeps a reply under a key of `whose`, in place of one that was not kept after `since`; whether
    /// it did, or one stands there already.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_insert(
        &mut self,
        whose: &str,
        name: &str,
        reply: &KeptReply,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<bool> {
        let changed = exec!(
            self,
            "INSERT INTO kept_replies (whose, name, request_sha256, status, reply, created_at, sealed) \
             VALUES ($1, $2, $3, $4, $5, $6, $8) ON CONFLICT (whose, name) DO UPDATE SET request_sha256 = $3, \
             status = $4, reply = $5, created_at = $6, sealed = $8 WHERE kept_replies.created_at <= $7",
            whose,
            name,
            to_hex(&reply.request_sha256),
            i64::from(reply.status),
            &reply.body,
            now.as_millis(),
            since.as_millis(),
            reply.sealed.as_deref()
        )?;
        Ok(changed == 1)
    }

    /// Forgets the oldest replies that were not kept after `since`, `most` of them; how many it were.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn idempotency_expire(&mut self, since: Timestamp, most: u64) -> Result<u64> {
        let sql = "DELETE FROM kept_replies WHERE (whose, name) IN (SELECT whose, name FROM kept_replies \
                   WHERE created_at <= $1 ORDER BY created_at LIMIT $2)";
        exec!(self, sql, since.as_millis(), bound(most))
    }
}

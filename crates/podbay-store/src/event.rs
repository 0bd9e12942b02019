//! Events: appended with the change they tell, never altered.

use crate::account::bound;
use crate::sqlite::row;
use crate::{Result, Tx, all, exec};
use podbay_core::{DiskId, PodId, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number within its pod or disk, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Machine-readable kind.
    pub kind: String,
    /// What happened, for a person.
    pub text: String,
}

row! {
    struct EventRow {
        seq: i64,
        at: i64,
        kind: String,
        text: String,
    }
}

impl Tx {
    /// Appends an event of a pod, or of the installation.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn event_insert(
        &mut self,
        pod: Option<&PodId>,
        now: Timestamp,
        kind: &str,
        text: &str,
    ) -> Result<()> {
        self.event_append(pod.map_or("", PodId::as_str), now, kind, text).await
    }

    /// Appends an event of a disk. Its id stands where a pod's does: the two never meet.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_event_insert(
        &mut self,
        disk: &DiskId,
        now: Timestamp,
        kind: &str,
        text: &str,
    ) -> Result<()> {
        self.event_append(disk.as_str(), now, kind, text).await
    }

    async fn event_append(&mut self, of: &str, now: Timestamp, kind: &str, text: &str) -> Result<()> {
        self.lock_name(of).await?;
        exec!(
            self,
            "INSERT INTO events (pod_id, seq, at, kind, text) \
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM events WHERE pod_id = $1",
            of,
            now.as_millis(),
            kind,
            text
        )?;
        Ok(())
    }

    /// Events of a pod or a disk after a number, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn event_list(
        &mut self,
        of: &(impl AsRef<str> + Sync),
        after: i64,
        limit: u64,
    ) -> Result<Vec<Event>> {
        let sql =
            "SELECT seq, at, kind, text FROM events WHERE pod_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let rows = all!(self, EventRow, sql, of.as_ref(), after, bound(limit))?;
        let event = |row: EventRow| Event {
            seq: row.seq,
            at: Timestamp::from_millis(row.at),
            kind: row.kind,
            text: row.text,
        };
        Ok(rows.into_iter().map(event).collect())
    }
}

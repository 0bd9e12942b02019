//! What is forgotten of pods and disks that ended long ago: what happened to them, never what they cost.

use crate::account::bound;
use crate::usage::UsageRow;
use crate::{Result, Tx, all, exec, opt};
use podbay_core::Timestamp;
use podbay_core::usage::{Interval, merged};

impl Tx {
    /// Ids of pods and disks that ended by `before` and whose events are all there still, `most` of each.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn retirable(&mut self, before: Timestamp, most: u64) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for sql in [
            "SELECT id FROM pods WHERE terminated_at <= $1 AND EXISTS \
             (SELECT 1 FROM events WHERE pod_id = pods.id AND seq = 1) LIMIT $2",
            "SELECT id FROM disks WHERE terminated_at <= $1 AND EXISTS \
             (SELECT 1 FROM events WHERE pod_id = disks.id AND seq = 1) LIMIT $2",
        ] {
            let rows = all!(self, (String,), sql, before.as_millis(), bound(most))?;
            found.extend(rows.into_iter().map(|(id,)| id));
        }
        Ok(found)
    }

    /// Puts one event, which has the number of the last one, in the place of all events of what has ended, and
    /// one interval in the place of those that follow each other at one price.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn retire(&mut self, id: &str, now: Timestamp) -> Result<()> {
        self.lock_name(id).await?;
        let sql =
            "SELECT COUNT(*), COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM events WHERE pod_id = $1";
        let Some((count, 1, last)) = opt!(self, (i64, i64, i64), sql, id)? else {
            // Another server was first.
            return Ok(());
        };
        exec!(self, "DELETE FROM events WHERE pod_id = $1", id)?;
        exec!(
            self,
            "INSERT INTO events (pod_id, seq, at, kind, text) VALUES ($1, $2, $3, 'events.retired', $4)",
            id,
            // Above 1, by which those that are all there are known.
            last.max(2),
            now.as_millis(),
            format!("{count} events are older than the retention and were removed")
        )?;
        let sql = "SELECT pod_id, state, price, started_at, ended_at FROM usage_intervals \
                   WHERE pod_id = $1 ORDER BY seq";
        let rows = all!(self, UsageRow, sql, id)?;
        let all = rows.iter().map(Interval::try_from).collect::<Result<Vec<_>>>()?;
        let fewer = merged(&all);
        if fewer.len() == all.len() {
            return Ok(());
        }
        exec!(self, "DELETE FROM usage_intervals WHERE pod_id = $1", id)?;
        for interval in &fewer {
            self.usage_open(&id, interval.state, interval.price, interval.started_at).await?;
            if let Some(end) = interval.ended_at {
                self.usage_close(&id, end).await?;
            }
        }
        Ok(())
    }

    /// Removes events of the installation itself that are older than `before`.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn events_expire(&mut self, before: Timestamp) -> Result<u64> {
        // The last one stays: numbers go on from it.
        let sql = "DELETE FROM events WHERE pod_id = '' AND at <= $1 AND seq < \
                   (SELECT MAX(seq) FROM events WHERE pod_id = '')";
        exec!(self, sql, before.as_millis())
    }
}

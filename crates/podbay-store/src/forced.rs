//! Pods that were ended by force, when hosts last answered, and which are silent.

use crate::{Result, Tx, all, exec, opt};
use podbay_core::{HostId, PodId, Timestamp};

impl Tx {
    /// Writes that a pod was ended without a word of its host.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn forced_end_insert(&mut self, pod: &PodId, host: &HostId, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO forced_ends (pod_id, host_id, forced_at) VALUES ($1, $2, $3)",
            pod.as_str(),
            host.as_str(),
            now.as_millis()
        )?;
        Ok(())
    }

    /// The pods of a host that were ended so, and when; until [`Tx::forced_end_settle`].
    ///
    /// # Errors
    /// The database refuses.
    pub async fn forced_end_list(&mut self, host: &HostId) -> Result<Vec<(PodId, Timestamp)>> {
        let sql = "SELECT pod_id, forced_at FROM forced_ends WHERE host_id = $1 ORDER BY pod_id";
        let rows = all!(self, (String, i64), sql, host.as_str())?;
        Ok(rows.into_iter().map(|(id, at)| (PodId::from_stored(id), Timestamp::from_millis(at))).collect())
    }

    /// Gives back what such a pod held; whether it still held it.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn forced_end_settle(&mut self, pod: &PodId, now: Timestamp) -> Result<bool> {
        if exec!(self, "DELETE FROM forced_ends WHERE pod_id = $1", pod.as_str())? == 0 {
            return Ok(false);
        }
        self.placement_release(pod, now).await?;
        self.attachment_release(pod).await?;
        Ok(true)
    }

    /// Writes that the engine of a host answered at that time, and with `all_seen` that all machines that
    /// rows call running were seen running; since when it was silent, if its silence ends with that.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_answered_put(
        &mut self,
        host: &HostId,
        at: Timestamp,
        all_seen: bool,
    ) -> Result<Option<Timestamp>> {
        let sql = "UPDATE hosts SET answered_at = $2, seen_at = CASE WHEN $3 THEN $2 ELSE seen_at END WHERE id = $1 \
                   RETURNING silent_since";
        let row = opt!(self, (Option<i64>,), sql, host.as_str(), at.as_millis(), all_seen)?;
        let Some(since) = row.and_then(|(since,)| since) else { return Ok(None) };
        let sql = "UPDATE hosts SET silent_since = NULL WHERE id = $1 AND silent_since IS NOT NULL";
        Ok((exec!(self, sql, host.as_str())? == 1).then_some(Timestamp::from_millis(since)))
    }

    /// See [`Tx::host_answered_put`]; `None` if that was never written.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_answered(&mut self, host: &HostId) -> Result<Option<Timestamp>> {
        let row = opt!(self, (Option<i64>,), "SELECT answered_at FROM hosts WHERE id = $1", host.as_str())?;
        Ok(row.and_then(|(at,)| at).map(Timestamp::from_millis))
    }

    /// Writes that the engine of a host is silent since that time; whether that is news.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_silent_put(&mut self, host: &HostId, since: Timestamp) -> Result<bool> {
        let sql = "UPDATE hosts SET silent_since = $2 WHERE id = $1 AND silent_since IS NULL \
                   AND (answered_at IS NULL OR answered_at <= $2)";
        Ok(exec!(self, sql, host.as_str(), since.as_millis())? == 1)
    }

    /// Since when it is silent, if it is. A server of the release before does not clear what is over.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_silence(&mut self, host: &HostId) -> Result<Option<Timestamp>> {
        let sql = "SELECT silent_since FROM hosts WHERE id = $1 AND silent_since IS NOT NULL \
                   AND (answered_at IS NULL OR answered_at <= silent_since)";
        let row = opt!(self, (i64,), sql, host.as_str())?;
        Ok(row.map(|(at,)| Timestamp::from_millis(at)))
    }
}

//! Intervals of usage of pods and disks: opened, closed once, summed elsewhere.

use crate::sqlite::row;
use crate::{IN_LISTS, Result, StoreError, Tx, all, exec, in_list, in_lists, opt, placeholders};
use podbay_core::usage::{Interval, UsageState};
use podbay_core::{Micros, PodId, PricePerHour, Timestamp};
use std::collections::HashMap;
use std::sync::LazyLock;

static OF_PODS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| {
    let sql = "SELECT pod_id, state, price, started_at, ended_at FROM usage_intervals WHERE pod_id IN (IDS) \
               ORDER BY pod_id, seq";
    IN_LISTS.map(|size| sql.replace("IDS", &placeholders(1, size)))
});

row! {
    pub(crate) struct UsageRow {
        pub(crate) pod_id: String,
        state: String,
        price: i64,
        started_at: i64,
        ended_at: Option<i64>,
    }
}

impl TryFrom<&UsageRow> for Interval {
    type Error = StoreError;
    fn try_from(row: &UsageRow) -> Result<Self> {
        let state = match row.state.as_str() {
            "running" => UsageState::Running,
            "stopped" => UsageState::Stopped,
            _ => {
                let row = row.pod_id.clone();
                return Err(StoreError::Corrupt { table: "usage_intervals", column: "state", row });
            }
        };
        Ok(Self {
            state,
            price: Micros(row.price),
            started_at: Timestamp::from_millis(row.started_at),
            ended_at: row.ended_at.map(Timestamp::from_millis),
        })
    }
}

impl Tx {
    /// Opens an interval; does nothing if one is open (a unique index says so, too).
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_open(
        &mut self,
        of: &(impl AsRef<str> + Sync),
        state: UsageState,
        price: PricePerHour,
        at: Timestamp,
    ) -> Result<()> {
        let state = match state {
            UsageState::Running => "running",
            UsageState::Stopped => "stopped",
        };
        exec!(
            self,
            "INSERT INTO usage_intervals (pod_id, seq, state, price, started_at, ended_at) \
             SELECT $1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM usage_intervals WHERE pod_id = $1), $2, $3, $4, NULL \
             WHERE NOT EXISTS (SELECT 1 FROM usage_intervals WHERE pod_id = $1 AND ended_at IS NULL)",
            of.as_ref(),
            state,
            price.0,
            at.as_millis()
        )?;
        Ok(())
    }

    /// Closes the open interval, not before its start; whether there was one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_close(&mut self, of: &(impl AsRef<str> + Sync), at: Timestamp) -> Result<bool> {
        let sql = "UPDATE usage_intervals SET ended_at = CASE WHEN started_at > $2 THEN started_at ELSE $2 END \
                   WHERE pod_id = $1 AND ended_at IS NULL";
        Ok(exec!(self, sql, of.as_ref(), at.as_millis())? > 0)
    }

    /// Ends the newest interval earlier, not before its start, if it is closed and ends later.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_cut(&mut self, of: &(impl AsRef<str> + Sync), at: Timestamp) -> Result<bool> {
        let sql = "UPDATE usage_intervals SET ended_at = CASE WHEN started_at > $2 THEN started_at ELSE $2 END \
                   WHERE pod_id = $1 AND ended_at > $2 \
                   AND seq = (SELECT MAX(seq) FROM usage_intervals WHERE pod_id = $1)";
        Ok(exec!(self, sql, of.as_ref(), at.as_millis())? > 0)
    }

    /// The intervals of a pod or a disk, in order.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_list(&mut self, of: &(impl AsRef<str> + Sync)) -> Result<Vec<Interval>> {
        let sql = "SELECT pod_id, state, price, started_at, ended_at FROM usage_intervals \
                   WHERE pod_id = $1 ORDER BY seq";
        all!(self, UsageRow, sql, of.as_ref())?.iter().map(Interval::try_from).collect()
    }

    /// The intervals of several pods, each in order.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_of(&mut self, pods: &[PodId]) -> Result<HashMap<PodId, Vec<Interval>>> {
        let mut intervals: HashMap<PodId, Vec<Interval>> = HashMap::new();
        let mut pods: Vec<&str> = pods.iter().map(PodId::as_str).collect();
        // One that is named twice is billed once.
        pods.sort_unstable();
        pods.dedup();
        for (size, ids) in in_lists(pods) {
            for row in in_list!(self, UsageRow, &OF_PODS[size], [], ids)? {
                let interval = Interval::try_from(&row)?;
                intervals.entry(PodId::from_stored(row.pod_id)).or_default().push(interval);
            }
        }
        Ok(intervals)
    }

    /// How many intervals are open.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_open_count(&mut self) -> Result<u64> {
        let row = opt!(self, (i64,), "SELECT COUNT(*) FROM usage_intervals WHERE ended_at IS NULL")?;
        Ok(row.map_or(0, |(count,)| count.unsigned_abs()))
    }
}

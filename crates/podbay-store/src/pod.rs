//! Pods: one row each, live and ended.

use crate::account::bound;
use crate::sqlite::row;
use crate::{
    IN_LISTS, Page, Result, StoreError, Tx, all, exec, in_list, in_lists, json, number, opt, placeholders,
    to_json,
};
use podbay_core::pod::{Desired, Pod};
use podbay_core::{HostId, PodId, TeamId, Timestamp, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What the history is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistorySort {
    /// The end.
    TerminatedAt,
    /// The order.
    CreatedAt,
}

row! {
    struct PodRow {
        id: String,
        user_id: String,
        team_id: Option<String>,
        spec: String,
        desired: String,
        generation: i64,
        host_id: String,
        placement: Option<String>,
        image: String,
        image_digest: Option<String>,
        machine: String,
        attempt: i64,
        attempt_failed: Option<String>,
        failure: Option<String>,
        progress: i64,
        ready_at: Option<i64>,
        restarts: i64,
        setbacks: i64,
        next_at: i64,
        version: i64,
        created_at: i64,
        updated_at: i64,
        terminated_at: Option<i64>,
    }
}

impl TryFrom<PodRow> for Pod {
    type Error = StoreError;

    fn try_from(row: PodRow) -> Result<Self> {
        let id = row.id.as_str();
        let desired = match row.desired.as_str() {
            "running" => Desired::Running,
            "gone" => Desired::Gone,
            _ => return Err(StoreError::Corrupt { table: "pods", column: "desired", row: row.id.clone() }),
        };
        Ok(Self {
            spec: json(&row.spec, "pods", "spec", id)?,
            desired,
            host: HostId::from_stored(row.host_id),
            placement: optional(row.placement.as_deref(), "placement", id)?,
            image: json(&row.image, "pods", "image", id)?,
            machine: json(&row.machine, "pods", "machine", id)?,
            attempt: number(row.attempt, "pods", "attempt", id)?,
            attempt_failed: optional(row.attempt_failed.as_deref(), "attempt_failed", id)?,
            failure: optional(row.failure.as_deref(), "failure", id)?,
            progress: number(row.progress, "pods", "progress", id)?,
            restarts: number(row.restarts, "pods", "restarts", id)?,
            setbacks: number(row.setbacks, "pods", "setbacks", id)?,
            user_id: UserId::from_stored(row.user_id),
            team_id: row.team_id.map(TeamId::from_stored),
            generation: row.generation,
            image_digest: row.image_digest,
            ready_at: row.ready_at.map(Timestamp::from_millis),
            next_at: Timestamp::from_millis(row.next_at),
            version: row.version,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            terminated_at: row.terminated_at.map(Timestamp::from_millis),
            id: PodId::from_stored(row.id),
        })
    }
}

fn optional<T: DeserializeOwned>(text: Option<&str>, column: &'static str, row: &str) -> Result<Option<T>> {
    text.map(|text| json(text, "pods", column, row)).transpose()
}

fn read(rows: Vec<PodRow>) -> Result<Vec<Pod>> {
    rows.into_iter().map(Pod::try_from).collect()
}

/// Reads pods.
macro_rules! pods {
    ($($where:tt)+) => {
        concat!(
            "SELECT id, user_id, team_id, spec, desired, generation, host_id, placement, image, image_digest, machine, \
             attempt, attempt_failed, failure, progress, ready_at, restarts, setbacks, next_at, version, created_at, \
             updated_at, terminated_at FROM pods ",
            $($where)+
        )
    };
}

/// Whether the user `$1` sees a row: it is personal, or of a team that the user is a member of.
macro_rules! seen {
    () => {
        "owner_id IN (SELECT $1 UNION ALL SELECT team_id FROM team_members WHERE user_id = $1)"
    };
}

pub(crate) use seen;

/// `$2` rows after the first `$3` that the user `$1` sees, and how many there are in all; and the same of one
/// owner `$1`, whose index has the order already: who sees several owners' has all of them sorted. Chosen within the
/// index, and read then: rows are large, and those that are not on the page need not be touched.
macro_rules! page {
    ($state:literal, $order:literal) => {
        [page!($state, $order, seen!()), page!($state, $order, "owner_id = $1")]
    };
    ($state:literal, $order:literal, $whose:expr) => {
        PageSql {
            page: pods!(
                "WHERE id IN (SELECT id FROM pods WHERE ",
                $state,
                " AND ",
                $whose,
                " ORDER BY ",
                $order,
                " LIMIT $2 OFFSET $3) ORDER BY ",
                $order
            ),
            total: concat!("SELECT COUNT(*) FROM pods WHERE ", $state, " AND ", $whose),
        }
    };
}

struct PageSql {
    page: &'static str,
    total: &'static str,
}

/// Owners of what the user `$1` sees: two of them stand for several.
macro_rules! owners {
    ($state:literal) => {
        concat!(
            "SELECT owner FROM (SELECT $1 AS owner UNION ALL SELECT team_id FROM team_members WHERE user_id = $1) \
             AS owners WHERE EXISTS (SELECT 1 FROM pods WHERE owner_id = owner AND ",
            $state,
            ") LIMIT 2"
        )
    };
}

static BY_IDS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| {
    let sql = pods!("WHERE terminated_at IS NULL AND id IN (IDS) AND ", seen!());
    IN_LISTS.map(|size| sql.replace("IDS", &placeholders(2, size)))
});

/// The place of each id among those ids.
pub(crate) fn in_order(ids: &[PodId]) -> HashMap<&str, usize> {
    let mut order = HashMap::with_capacity(ids.len());
    for id in ids {
        let next = order.len();
        order.entry(id.as_str()).or_insert(next);
    }
    order
}

fn optional_json<T: Serialize>(value: &Option<T>) -> Result<Option<String>> {
    value.as_ref().map(to_json).transpose()
}

impl Tx {
    /// Adds a pod.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_insert(&mut self, pod: &Pod) -> Result<()> {
        exec!(
            self,
            "INSERT INTO pods (id, user_id, team_id, host_id, spec, desired, generation, placement, image, machine, \
             attempt, attempt_failed, failure, progress, ready_at, restarts, setbacks, next_at, version, created_at, \
             updated_at, terminated_at, image_digest, owner_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
             $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
            pod.id.as_str(),
            pod.user_id.as_str(),
            pod.team_id.as_ref().map(TeamId::as_str),
            pod.host.as_str(),
            to_json(&pod.spec)?,
            match pod.desired {
                Desired::Running => "running",
                Desired::Gone => "gone",
            },
            pod.generation,
            optional_json(&pod.placement)?,
            to_json(&pod.image)?,
            to_json(&pod.machine)?,
            i64::from(pod.attempt),
            optional_json(&pod.attempt_failed)?,
            optional_json(&pod.failure)?,
            i64::from(pod.progress),
            pod.ready_at.map(Timestamp::as_millis),
            i64::from(pod.restarts),
            i64::from(pod.setbacks),
            pod.next_at.as_millis(),
            pod.version,
            pod.created_at.as_millis(),
            pod.updated_at.as_millis(),
            pod.terminated_at.map(Timestamp::as_millis),
            pod.image_digest.as_deref(),
            pod.owner().as_str()
        )?;
        Ok(())
    }

    /// The pod of that id, also an ended one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_get(&mut self, id: &PodId) -> Result<Option<Pod>> {
        opt!(self, PodRow, pods!("WHERE id = $1"), id.as_str())?.map(Pod::try_from).transpose()
    }

    /// The pod of that id, also an ended one, if the user sees it.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_get_seen(&mut self, user: &UserId, id: &PodId) -> Result<Option<Pod>> {
        let row = opt!(self, PodRow, pods!("WHERE id = $2 AND ", seen!()), user.as_str(), id.as_str())?;
        row.map(Pod::try_from).transpose()
    }

    /// A part of the live pods that a user sees, newest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_list_live(&mut self, user: &UserId, offset: u64, limit: u64) -> Result<Page<Pod>> {
        let sql = page!("terminated_at IS NULL", "created_at DESC, id DESC");
        self.pod_page(user, owners!("terminated_at IS NULL"), sql, offset, limit).await
    }

    /// The live pods that a user sees among those ids, in the order of the ids, each once.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_list_by_ids(&mut self, user: &UserId, ids: &[PodId]) -> Result<Vec<Pod>> {
        let order = in_order(ids);
        let mut found = Vec::with_capacity(order.len());
        for (size, ids) in in_lists(order.keys().copied().collect()) {
            let rows = in_list!(self, PodRow, &BY_IDS[size], [user.as_str()], ids)?;
            found.extend(read(rows)?);
        }
        found.sort_by_key(|pod: &Pod| order.get(pod.id.as_str()).copied());
        Ok(found)
    }

    /// A part of the ended pods that a user sees.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_list_history(
        &mut self,
        user: &UserId,
        sort: HistorySort,
        descending: bool,
        offset: u64,
        limit: u64,
    ) -> Result<Page<Pod>> {
        let sql = match (sort, descending) {
            (HistorySort::TerminatedAt, true) => {
                page!("terminated_at IS NOT NULL", "terminated_at DESC, id DESC")
            }
            (HistorySort::TerminatedAt, false) => page!("terminated_at IS NOT NULL", "terminated_at, id"),
            (HistorySort::CreatedAt, true) => page!("terminated_at IS NOT NULL", "created_at DESC, id DESC"),
            (HistorySort::CreatedAt, false) => page!("terminated_at IS NOT NULL", "created_at, id"),
        };
        self.pod_page(user, owners!("terminated_at IS NOT NULL"), sql, offset, limit).await
    }

    async fn pod_page(
        &mut self,
        user: &UserId,
        owners: &'static str,
        [of_several, of_one]: [PageSql; 2],
        offset: u64,
        limit: u64,
    ) -> Result<Page<Pod>> {
        let owners = all!(self, (String,), owners, user.as_str())?;
        let (sql, whose) = match &owners[..] {
            [] => return Ok(Page { items: Vec::new(), total: 0 }),
            [(only,)] => (of_one, only.as_str()),
            _ => (of_several, user.as_str()),
        };
        let items = read(all!(self, PodRow, sql.page, whose, bound(limit), bound(offset))?)?;
        let total = opt!(self, (i64,), sql.total, whose)?.map_or(0, |(total,)| total.unsigned_abs());
        Ok(Page { items, total })
    }

    /// Writes what the reconciler owns of a pod, if nobody has since `expected`; whether it did.
    /// Progress never shrinks within an attempt: it is also written beside (see
    /// [`Tx::pod_progress`]).
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_update(&mut self, pod: &Pod, expected: i64) -> Result<bool> {
        self.pod_write(pod, expected, None).await
    }

    /// As [`Tx::pod_update`], if what its user wants is also still what it was when `pod` was read.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_update_as_wanted(&mut self, pod: &Pod, expected: i64) -> Result<bool> {
        self.pod_write(pod, expected, Some(pod.generation)).await
    }

    async fn pod_write(&mut self, pod: &Pod, expected: i64, wanted: Option<i64>) -> Result<bool> {
        let changed = exec!(
            self,
            "UPDATE pods SET placement = $3, image = $4, machine = $5, \
             progress = CASE WHEN attempt = $6 AND progress > $9 THEN progress ELSE $9 END, \
             attempt = $6, attempt_failed = $7, failure = $8, ready_at = $10, restarts = $11, setbacks = $12, \
             next_at = $13, updated_at = $14, image_digest = $15, version = $2 + 1 \
             WHERE id = $1 AND version = $2 AND generation = COALESCE($16, generation)",
            pod.id.as_str(),
            expected,
            optional_json(&pod.placement)?,
            to_json(&pod.image)?,
            to_json(&pod.machine)?,
            i64::from(pod.attempt),
            optional_json(&pod.attempt_failed)?,
            optional_json(&pod.failure)?,
            i64::from(pod.progress),
            pod.ready_at.map(Timestamp::as_millis),
            i64::from(pod.restarts),
            i64::from(pod.setbacks),
            pod.next_at.as_millis(),
            pod.updated_at.as_millis(),
            pod.image_digest.as_deref(),
            wanted
        )?;
        // By itself: five indexes have it, and all of them would be written with every step of a life.
        if let Some(at) = pod.terminated_at.filter(|_| changed == 1) {
            let sql = "UPDATE pods SET terminated_at = $2 WHERE id = $1";
            exec!(self, sql, pod.id.as_str(), at.as_millis())?;
        }
        Ok(changed == 1)
    }

    /// Writes that the user wants a pod gone, whatever the reconciler is doing; whether that is new.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_set_gone(&mut self, id: &PodId, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE pods SET desired = 'gone', generation = generation + 1, next_at = $2, setbacks = 0, \
                   updated_at = $2 WHERE id = $1 AND desired <> 'gone' AND terminated_at IS NULL";
        Ok(exec!(self, sql, id.as_str(), now.as_millis())? == 1)
    }

    /// Writes the progress of an attempt, if it has grown and the attempt is still that one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_progress(
        &mut self,
        id: &PodId,
        attempt: u32,
        percent: u8,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "UPDATE pods SET progress = $3, updated_at = $4 WHERE id = $1 AND attempt = $2 AND progress < $3 \
                   AND terminated_at IS NULL";
        let changed = exec!(self, sql, id.as_str(), i64::from(attempt), i64::from(percent), now.as_millis())?;
        Ok(changed == 1)
    }

    /// Ids of all live pods, and when each wants to be looked at.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_live_ids(&mut self) -> Result<Vec<(PodId, Timestamp)>> {
        let sql = "SELECT id, next_at FROM pods WHERE terminated_at IS NULL ORDER BY next_at, id";
        let rows = all!(self, (String, i64), sql)?;
        Ok(rows.into_iter().map(|(id, at)| (PodId::from_stored(id), Timestamp::from_millis(at))).collect())
    }

    /// All live pods, those of one host together.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn pod_list_live_all(&mut self) -> Result<Vec<Pod>> {
        read(all!(self, PodRow, pods!("WHERE terminated_at IS NULL ORDER BY host_id, id"))?)
    }

    /// All live pods that were placed on a host.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_list_on_host(&mut self, host: &HostId) -> Result<Vec<Pod>> {
        let sql = pods!("WHERE host_id = $1 AND terminated_at IS NULL ORDER BY id");
        read(all!(self, PodRow, sql, host.as_str())?)
    }
}

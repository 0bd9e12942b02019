//! Marks of pods: the little of a row that changes whenever anything of it does, so that whoever has made
//! something of the row before knows whether it still holds.

use crate::pod::{in_order, seen};
use crate::sqlite::row;
use crate::{IN_LISTS, Result, Tx, all, in_list, in_lists, number, placeholders};
use podbay_core::{PodId, UserId};
use std::sync::LazyLock;

/// Every change of a row raises one of the three: the reconciler's, the user's, and that of progress,
/// which is written beside both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodMark {
    version: i64,
    generation: i64,
    progress: u8,
}

impl PodMark {
    /// The mark of a row that was read.
    #[must_use]
    pub fn of(pod: &podbay_core::pod::Pod) -> Self {
        Self { version: pod.version, generation: pod.generation, progress: pod.progress }
    }
}

row! {
    struct MarkRow {
        id: String,
        version: i64,
        generation: i64,
        progress: i64,
    }
}

macro_rules! marks {
    ($($where:tt)+) => {
        concat!(
            "SELECT id, version, generation, progress FROM pods WHERE terminated_at IS NULL AND ",
            seen!(),
            $($where)+
        )
    };
}

static BY_IDS: LazyLock<[String; IN_LISTS.len()]> =
    LazyLock::new(|| IN_LISTS.map(|size| marks!(" AND id IN (IDS)").replace("IDS", &placeholders(2, size))));

fn read(rows: Vec<MarkRow>) -> Result<Vec<(PodId, PodMark)>> {
    let mark = |row: MarkRow| {
        let progress = number(row.progress, "pods", "progress", &row.id)?;
        let mark = PodMark { version: row.version, generation: row.generation, progress };
        Ok((PodId::from_stored(row.id), mark))
    };
    rows.into_iter().map(mark).collect()
}

impl Tx {
    /// The marks of all live pods, those of one host together.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn pod_marks_all(&mut self) -> Result<Vec<(PodId, PodMark)>> {
        let sql = "SELECT id, version, generation, progress FROM pods WHERE terminated_at IS NULL ORDER BY host_id, id";
        read(all!(self, MarkRow, sql)?)
    }

    /// The marks of all live pods that a user sees, newest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_marks(&mut self, user: &UserId) -> Result<Vec<(PodId, PodMark)>> {
        let sql = marks!(" ORDER BY created_at DESC, id DESC");
        read(all!(self, MarkRow, sql, user.as_str())?)
    }

    /// The marks of the live pods that a user sees among those ids, in the order of the ids, each once.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_marks_by_ids(&mut self, user: &UserId, ids: &[PodId]) -> Result<Vec<(PodId, PodMark)>> {
        let order = in_order(ids);
        let mut found = Vec::with_capacity(order.len());
        for (size, ids) in in_lists(order.keys().copied().collect()) {
            found.extend(read(in_list!(self, MarkRow, &BY_IDS[size], [user.as_str()], ids)?)?);
        }
        found.sort_by_key(|(id, _)| order.get(id.as_str()).copied());
        Ok(found)
    }
}

//! Marks of pods: the little of a row that changes whenever anything of it does, so that whoever has made
//! something of the row before knows whether it still holds.

use crate::pod::{Lines, SEPARATOR, in_order, seen};
use crate::{IN_LISTS, Result, StoreError, Tx, in_list, in_lists, opt, placeholders};
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

macro_rules! marks {
    ($($where:tt)+) => {
        concat!(
            "SELECT string_agg(line, '\x1e') FROM (SELECT \
             concat_ws(' ', id, version, generation, progress) AS line FROM pods WHERE terminated_at IS NULL AND ",
            seen!(),
            $($where)+,
            ") AS page"
        )
    };
}

static BY_IDS: LazyLock<[String; 2]> =
    LazyLock::new(|| IN_LISTS.map(|size| marks!(" AND id IN (IDS)").replace("IDS", &placeholders(2, size))));

fn mark(line: &str) -> Result<(PodId, PodMark)> {
    let mut words = line.split(' ');
    let id = words.next().unwrap_or_default().to_owned();
    let corrupt = |column| StoreError::Corrupt { table: "pods", column, row: id.clone() };
    let mut number = |column| {
        let word = words.next().and_then(|word| word.parse::<i64>().ok());
        word.ok_or_else(|| corrupt(column))
    };
    let (version, generation) = (number("version")?, number("generation")?);
    let progress = u8::try_from(number("progress")?).map_err(|_| corrupt("progress"))?;
    Ok((PodId::from_stored(id.clone()), PodMark { version, generation, progress }))
}

fn marks(row: Option<Lines>) -> Result<Vec<(PodId, PodMark)>> {
    let text = row.and_then(|(lines,)| lines).unwrap_or_default();
    text.split(SEPARATOR).filter(|line| !line.is_empty()).map(mark).collect()
}

impl Tx {
    /// The marks of all live pods that a user sees, newest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_marks(&mut self, user: &UserId) -> Result<Vec<(PodId, PodMark)>> {
        let sql = marks!(" ORDER BY created_at DESC, id DESC");
        marks(opt!(self, Lines, sql, user.as_str())?)
    }

    /// The marks of the live pods that a user sees among those ids, in the order of the ids, each once.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_marks_by_ids(&mut self, user: &UserId, ids: &[PodId]) -> Result<Vec<(PodId, PodMark)>> {
        let order = in_order(ids);
        let mut found = Vec::with_capacity(order.len());
        for (size, ids) in in_lists(order.keys().copied().collect()) {
            found.extend(marks(in_list!(self, Lines, fetch_optional, &BY_IDS[size], [user.as_str()], ids)?)?);
        }
        found.sort_by_key(|(id, _)| order.get(id.as_str()).copied());
        Ok(found)
    }
}

//! The rows of the status call, kept as text under the mark of the pod's row.
//!
//! A status of many pods is asked for again and again, and after each write almost all rows of it are what
//! they were. A row says the same to everybody who sees the pod; who sees it is asked of the database each
//! time, and a row whose mark is another one is made anew.

use super::view;
use crate::app::{Actor, App, Error, pods};
use podbay_core::PodId;
use podbay_core::pod::Pod;
use podbay_store::PodMark;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most rows that are kept, some hundred bytes each; beyond, all are dropped.
const ROWS_MAX: usize = 20_000;

/// Rows by pod.
#[derive(Default)]
pub struct StatusRows(Mutex<HashMap<PodId, Row>>);

type Row = (PodMark, Arc<str>);

impl StatusRows {
    /// Those of the pods that are kept and still hold, in their places.
    fn find(&self, marks: &[(PodId, PodMark)]) -> Vec<Option<Arc<str>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |(id, mark): &(PodId, PodMark)| {
            let (kept, row) = kept.get(id)?;
            (kept == mark).then(|| row.clone())
        };
        marks.iter().map(held).collect()
    }

    fn keep(&self, rows: &HashMap<PodId, Row>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + rows.len() > ROWS_MAX {
            kept.clear();
        }
        kept.extend(rows.iter().take(ROWS_MAX).map(|(id, row)| (id.clone(), row.clone())));
    }
}

/// The reply for the pods of those marks, in their order.
pub(super) async fn render(app: &App, actor: &Actor, marks: &[(PodId, PodMark)]) -> Result<Vec<u8>, Error> {
    let found = app.status_rows.find(marks);
    let missing = marks.iter().zip(&found).filter(|(_, row)| row.is_none());
    let missing: Vec<PodId> = missing.map(|((id, _), _)| id.clone()).collect();
    let mut made = HashMap::new();
    if !missing.is_empty() {
        // What has ended meanwhile is left out.
        for pod in pods::pod_list_by_ids(app, actor, missing).await? {
            let row = row(app, &pod)?;
            made.insert(pod.id, row);
        }
        app.status_rows.keep(&made);
    }
    let rows = marks.iter().zip(&found);
    let rows = rows.filter_map(|((id, _), found)| found.as_ref().or(made.get(id).map(|(_, row)| row)));
    let mut text = Vec::with_capacity(marks.len() * 512 + 32);
    text.extend_from_slice(b"{\"data\":[");
    for (nth, row) in rows.enumerate() {
        if nth > 0 {
            text.push(b',');
        }
        text.extend_from_slice(row.as_bytes());
    }
    // The envelope of `Data`.
    text.extend_from_slice(b"],\"status\":null}");
    Ok(text)
}

fn row(app: &App, pod: &Pod) -> Result<Row, Error> {
    let text = serde_json::to_string(&view::status(app, pod));
    let text = text.map_err(|error| Error::Internal(format!("render a reply: {error}")))?;
    Ok((PodMark::of(pod), text.into()))
}

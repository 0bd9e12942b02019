//! `/api/v1/audit` and `/metrics`, both ours and for the owner of the installation.

use crate::app::{Actor, App, Error, users};
use crate::tasks::audit::{Audit, recent};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use podbay_api::audit::{AuditFinding, AuditReport};
use podbay_core::audit::{Finding, INVARIANTS};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

fn finding(finding: Finding) -> AuditFinding {
    AuditFinding { invariant: finding.invariant.to_owned(), of: finding.of, text: finding.text }
}

pub(super) async fn report(
    State(app): AppState,
    Extension(actor): Caller,
) -> Result<Json<AuditReport>, Error> {
    users::owner_only(&app, &actor).await?;
    let Audit { at, findings, count, trouble } = recent(&app).await?;
    let findings = findings.into_iter().map(finding).collect();
    Ok(Json(AuditReport { at: at.to_string(), count, trouble, findings }))
}

/// What the last audit has left, in the text format of Prometheus.
pub(super) async fn metrics(State(app): AppState, Extension(actor): Caller) -> Result<Response, Error> {
    users::owner_only(&app, &actor).await?;
    let statuses = app.store.snapshot(|tx| Box::pin(tx.pod_count_by_desired())).await?;
    let (audits, told) = {
        let memory = app.audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (memory.count(), memory.told().clone())
    };
    let mut by_invariant: BTreeMap<&str, u64> = INVARIANTS.iter().map(|(number, _)| (*number, 0)).collect();
    for finding in &told {
        *by_invariant.entry(finding.invariant).or_insert(0) += 1;
    }
    let mut text = String::from(
        "# HELP podbay_pods Pods that have not ended, by what is wanted of them.\n# TYPE podbay_pods gauge\n",
    );
    for (desired, count) in statuses {
        let _ = writeln!(text, "podbay_pods{{desired=\"{desired}\"}} {count}");
    }
    text.push_str("# HELP podbay_audits_total Audits since the start.\n# TYPE podbay_audits_total counter\n");
    let _ = writeln!(text, "podbay_audits_total {audits}");
    text.push_str(
        "# HELP podbay_audit_findings Invariants that did not hold at the last audit.\n\
         # TYPE podbay_audit_findings gauge\n",
    );
    for (invariant, count) in by_invariant {
        let _ = writeln!(text, "podbay_audit_findings{{invariant=\"{invariant}\"}} {count}");
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

//! About the server itself: probes, audits, numbers, and the contract. All of it is ours.

use super::{Operation, get};
use crate::audit::AuditReport;
use crate::paths::{AUDIT, DOCS, HEALTHZ, METRICS, OPENAPI, READYZ};
use schemars::JsonSchema;

/// Answer of a probe.
#[derive(JsonSchema)]
#[schemars(rename = "ProbeReply")]
#[expect(dead_code, reason = "only its shape is used")]
struct ProbeReply {
    /// In one word.
    status: String,
}

pub(super) fn operations() -> Vec<Operation> {
    let service = |path, id, summary| get(path, id, summary).outside().ours();
    let owner = "Only the owner of the installation may do this.";
    vec![
        get(AUDIT, "audit", "Compare rows, engine and bills now, and say what does not hold")
            .about(owner)
            .gives::<AuditReport>()
            .ours(),
        service(METRICS, "metrics", "Numbers in the text format of Prometheus")
            .about(owner)
            .gives_other("text/plain"),
        service(HEALTHZ, "healthz", "Whether the process is up").gives::<ProbeReply>(),
        service(READYZ, "readyz", "Whether pods can be made now")
            .gives::<ProbeReply>()
            .refuses(503, "The database or the engine does not answer."),
        service(OPENAPI, "openapi", "This document").gives::<serde_json::Map<String, serde_json::Value>>(),
        service(DOCS, "docs", "This document, for a person").gives_other("text/html"),
    ]
}

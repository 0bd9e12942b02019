//! What is not below `/api/v1`: probes, and the contract itself. All of it is ours.

use super::{Operation, get};
use crate::paths::{DOCS, HEALTHZ, OPENAPI, READYZ};
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
    vec![
        service(HEALTHZ, "healthz", "Whether the process is up").gives::<ProbeReply>(),
        service(READYZ, "readyz", "Whether pods can be made now")
            .gives::<ProbeReply>()
            .refuses(503, "The database or the engine does not answer."),
        service(OPENAPI, "openapi", "This document").gives::<serde_json::Map<String, serde_json::Value>>(),
        service(DOCS, "docs", "This document, for a person").gives_other("text/html"),
    ]
}

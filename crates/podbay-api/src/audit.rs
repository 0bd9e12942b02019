//! What the server's own auditor finds. An addition to the published contract.

use serde::{Deserialize, Serialize};

/// The result of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// When it was made.
    pub at: String,
    /// Audits since the server's start, this one included.
    pub count: u64,
    /// Why the engine could not be looked at, so that only the rows were judged.
    pub trouble: Option<String>,
    /// What does not hold; empty if all is well.
    pub findings: Vec<AuditFinding>,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditFinding {
    /// Its number, as in docs/invariants.md.
    pub invariant: String,
    /// Id or name of what it does not hold for.
    pub of: String,
    /// What was seen.
    pub text: String,
}

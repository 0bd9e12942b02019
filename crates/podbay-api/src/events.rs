//! What happened to a pod, in order. An addition to the published contract.

use serde::{Deserialize, Serialize};

/// Something that happened to a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PodEvent {
    /// Grows with each event of the installation; the value to ask `after` with.
    pub seq: i64,
    /// When.
    pub at: String,
    /// What kind, as in `machine.created`.
    pub kind: String,
    /// For a person.
    pub text: String,
}

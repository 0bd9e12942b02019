//! Why a call has no result.

use crate::error::Problem;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client could not be made from what it was given.
    #[error("{0}")]
    Setup(String),
    /// No answer came, or not all of it.
    #[error("cannot reach {url}: {cause}")]
    Unreachable {
        /// The server.
        url: String,
        /// What happened on the way.
        cause: String,
    },
    /// The server answered that it did not do it.
    #[error("{} (HTTP {status})", said(*.status, .problem))]
    Status {
        /// HTTP status.
        status: u16,
        /// What it said.
        problem: Problem,
    },
    /// The answer is none of this API.
    #[error("{url} does not answer as this API does: {cause}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        cause: String,
    },
}

impl Error {
    /// The HTTP status, if the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

fn said(status: u16, problem: &Problem) -> String {
    if !problem.text.is_empty() {
        return problem.text.clone();
    }
    let status = reqwest::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("the server gave no reason").to_owned()
}

/// The innermost cause: what surrounds it only says in many words that something was being sent.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

//! What a verb can answer instead of a result. A variant exists only where a program acts
//! differently; the text for the caller and the cause for the log are kept apart.

use podbay_api::FieldError;
use podbay_core::permission::Permission;
use podbay_store::StoreError;

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No key was given.
    #[error("Not authenticated")]
    NotAuthenticated,
    /// The key is unknown, mistyped, expired or revoked.
    #[error("Invalid token")]
    InvalidToken,
    /// The key is valid and lacks a permission. The text avoids the words by which a published
    /// client recognises missing capacity.
    #[error("This API key lacks the permission {0}; use a key that has it")]
    Forbidden(Permission),
    /// The key is good, but its user may not do this to a thing that the user may see.
    #[error("{0}")]
    Denied(String),
    /// There is no money left of what was paid in advance.
    #[error("{0}")]
    PaymentRequired(String),
    /// There is no such thing, or it is somebody else's.
    #[error("Not found")]
    NotFound,
    /// Fields are wrong.
    #[error("the request has wrong fields")]
    Invalid(Vec<FieldError>),
    /// The body is no JSON.
    #[error("{0}")]
    BadRequest(String),
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body of the request did not arrive in time; send it again")]
    TooSlow,
    /// The state of things does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The caller has called too often; the policy, and how long until it may again.
    #[error("Too many requests.")]
    TooMany(crate::http::Policy, std::time::Duration),
    /// It cannot be done now; the same request may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// A defect of ours. The cause goes to the log, not to the caller.
    #[error("internal error; the server's log has the cause")]
    Internal(String),
}

impl Error {
    /// One wrong field.
    #[must_use]
    pub fn field(path: &str, msg: impl Into<String>) -> Self {
        Self::Invalid(vec![wrong_value(path, msg)])
    }
}

/// A wrong value at a path such as `body.pod.cloudId`.
#[must_use]
pub fn wrong_value(path: &str, msg: impl Into<String>) -> FieldError {
    let loc = path.split('.').map(str::to_owned).collect();
    FieldError { loc, msg: msg.into(), kind: "value_error".into() }
}

impl From<Vec<FieldError>> for Error {
    fn from(fields: Vec<FieldError>) -> Self {
        Self::Invalid(fields)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(_) => Self::Unavailable("the database is busy; try again in a moment".into()),
            StoreError::Unavailable(_) => {
                Self::Unavailable("the database does not answer; try again later".into())
            }
            StoreError::ReadOnly(_) => Self::Unavailable(
                "the database cannot be written (read-only file system or file); nothing was changed".into(),
            ),
            StoreError::DiskFull(_) => Self::Unavailable(
                "the server's disk is full; nothing was changed. Free space and try again".into(),
            ),
            error @ (StoreError::Corrupt { .. } | StoreError::Conflict(_) | StoreError::Other(_)) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

//! Request bodies: bounded, JSON, and an object.

use crate::app::Error;
use axum::extract::{FromRequest, Request};
use podbay_api::FieldError;
use podbay_core::limits::BODY_BYTES_MAX;
use serde_json::Value;

/// A JSON object.
pub(super) struct Body(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let announced =
            request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
            return Err(Error::TooLarge(BODY_BYTES_MAX));
        }
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| Error::TooLarge(BODY_BYTES_MAX))?;
        let wrong = |msg: String| {
            Error::Invalid(vec![FieldError { loc: vec!["body".into()], msg, kind: "json_invalid".into() }])
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| wrong(format!("no valid JSON: {error}")))?;
        if value.is_object() { Ok(Self(value)) } else { Err(wrong("write a JSON object".into())) }
    }
}

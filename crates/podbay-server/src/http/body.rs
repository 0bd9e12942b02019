//! Request bodies: bounded in length and in time, JSON, and an object. A body that calls itself something
//! else is refused: a form or a file was meant, and none is read here. One that does not say what it is counts
//! as JSON.

use super::json;
use crate::app::{App, Error};
use axum::body::Body as Stream;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use podbay_api::FieldError;
use podbay_core::limits::BODY_BYTES_MAX;
use serde_json::Value;
use std::sync::Arc;

/// A JSON object.
pub(super) struct Body(pub(super) Value);

/// The whole body.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::TooSlow`].
pub(super) async fn read(app: &App, headers: &HeaderMap, body: Stream) -> Result<Bytes, Error> {
    let announced = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Err(Error::TooLarge(BODY_BYTES_MAX));
    }
    let whole = tokio::time::timeout(app.tuning.body_wait, axum::body::to_bytes(body, BODY_BYTES_MAX));
    whole.await.map_err(|_| Error::TooSlow)?.map_err(|_| Error::TooLarge(BODY_BYTES_MAX))
}

impl FromRequest<Arc<App>> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let wrong = |msg: String| {
            Error::Invalid(vec![FieldError { loc: vec!["body".into()], msg, kind: "json_invalid".into() }])
        };
        if !parts.headers.get(CONTENT_TYPE).is_none_or(is_json) {
            return Err(wrong("send JSON, with the header Content-Type: application/json".into()));
        }
        let bytes = read(app, &parts.headers, body).await?;
        let value = json::read(&bytes).map_err(|error| wrong(format!("no valid JSON: {error}")))?;
        if value.is_object() { Ok(Self(value)) } else { Err(wrong("write a JSON object".into())) }
    }
}

fn is_json(media_type: &HeaderValue) -> bool {
    let text = media_type.to_str().unwrap_or_default();
    let name = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name == "application/json" || name.ends_with("+json")
}

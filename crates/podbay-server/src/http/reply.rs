//! The one renderer of errors, and replies that every client can read: always an object, always
//! JSON, never 204.

use crate::app::Error;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use podbay_api::ErrorBody;
use serde::Serialize;
use std::any::Any;

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotAuthenticated | Self::Forbidden(_) | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::PaymentRequired(_) => StatusCode::PAYMENT_REQUIRED,
            Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(&self) -> ErrorBody {
        match self {
            Self::Invalid(fields) => ErrorBody::invalid(fields),
            other => ErrorBody::plain(other.to_string()),
        }
    }
}

/// The answer to a repeated call: what the handler answered, or an error in its place.
pub(super) fn kept<T: Serialize>(reply: Result<T, Error>) -> Result<(u16, String), Error> {
    let (status, body) = match &reply {
        Ok(value) => (StatusCode::OK, serde_json::to_string(value)),
        Err(error) => (error.status(), serde_json::to_string(&error.body())),
    };
    let body = body.map_err(|error| Error::Internal(format!("render a reply: {error}")))?;
    Ok((status.as_u16(), body))
}

/// The answer to a repeated call whose reply had a secret, to whom it is not shown again.
pub(super) fn shown_once(what: &str, id: &str, remedy: &str) -> Result<(u16, String), Error> {
    kept::<()>(Err(Error::Conflict(format!(
        "this Idempotency-Key has made {what} {id} before, and its secret is shown to the caller of then only; if it \
         is lost, {remedy}, with a new Idempotency-Key"
    ))))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(cause, "internal error");
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            }
            Self::InvalidToken => {
                headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            Self::TooMany(policy, wait) => policy.write(0, Some(wait), headers),
            // The rest of the body is not read: nothing else can follow on this connection.
            Self::TooLarge(_) | Self::TooSlow => {
                headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// A known path with another method.
pub(super) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, Json(ErrorBody::plain("Method Not Allowed"))).into_response()
}

/// A handler that panicked: a defect, told as one.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::Internal(format!("a handler panicked: {text}")).into_response()
}

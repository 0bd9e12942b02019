//! `Idempotency-Key` in front of every POST: what was answered before is answered again.

use super::body;
use crate::app::once::{Flight, Once};
use crate::app::{Actor, App, Error};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use podbay_core::limits;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers a repeated call as the first one was; lets all others pass.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match key_of(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => keyed(&app, key, request, next).await.unwrap_or_else(IntoResponse::into_response),
        Err(error) => error.into_response(),
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = headers.get_all(KEY).iter();
    let (Some(value), other) = (values.next(), values.next()) else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&bytes.len());
    if other.is_some() || !fits || !bytes.iter().all(u8::is_ascii_graphic) {
        let most = limits::IDEMPOTENCY_KEY_BYTES_MAX;
        let text = format!("write one key of 1 to {most} visible ASCII characters, such as a UUID");
        return Err(Error::field("header.Idempotency-Key", text));
    }
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

async fn keyed(app: &Arc<App>, key: String, request: Request, next: Next) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let bytes = body::read(app, &parts.headers, body).await?;
    let request_sha256 = fingerprint(&parts.method, parts.uri.path(), &bytes);
    let Some(actor) = parts.extensions.get_mut::<Actor>() else {
        return Err(Error::Internal("an idempotency key without a caller".into()));
    };
    let user = actor.user.clone();
    let _flight = Flight::begin(app, &user, &key)?;
    if let Some(kept) = app.kept_reply(&user, &key).await? {
        if kept.request_sha256 != request_sha256 {
            let text = "this key belongs to another request; make a new one for each";
            return Err(Error::field("header.Idempotency-Key", text));
        }
        let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (REPLAYED, HeaderValue::from_static("true")),
        ];
        return Ok((status, headers, kept.body).into_response());
    }
    let once = Once::new(key, request_sha256);
    actor.once = Some(once.clone());
    let path = parts.uri.path().to_owned();
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if once.is_kept() || !is_final(response.status()) {
        return Ok(response);
    }
    debug_assert!(!response.status().is_success(), "POST {path} must write through `App::write_once`");
    keep(app, &user, &once, response).await
}

/// What a call is, beside its key and its caller.
fn fingerprint(method: &Method, path: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("{method} {}\n", path.trim_end_matches('/')));
    hash.update(body);
    hash.finalize().into()
}

/// Whether the same call can only be answered the same: not if the server or the caller's haste was
/// the reason.
fn is_final(status: StatusCode) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}

/// Keeps a reply to a call without effect. One that is too long is made anew by the next call.
async fn keep(
    app: &Arc<App>,
    user: &podbay_core::UserId,
    once: &Arc<Once>,
    response: Response,
) -> Result<Response, Error> {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length > limits::IDEMPOTENCY_REPLY_BYTES_MAX) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    let bytes = bytes.map_err(|error| Error::Internal(format!("read a reply: {error}")))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Err(error) = app.keep_reply(user, once, (parts.status.as_u16(), text)).await {
        tracing::warn!(cause = ?error, "a reply was not kept under its key");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

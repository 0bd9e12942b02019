//! `Idempotency-Key` in front of every POST: what was answered before is answered again.

use super::auth::bearer;
use super::{body, invitations, json};
use crate::app::once::{Flight, Once};
use crate::app::{Actor, App, Error};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use podbay_core::limits;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const KEY: &str = "idempotency-key";
const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));

/// Whose idempotency keys those of a route are.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    /// Of the user who calls.
    User,
    /// Of the user who calls, or else of whoever has the code of the invitation.
    Guest,
    /// Of whoever has begun a login for that public key.
    Program,
}

/// Answers a repeated call as the first one was; lets all others pass.
pub(super) async fn guard(
    State((app, keys)): State<(Arc<App>, Keys)>,
    request: Request,
    next: Next,
) -> Response {
    match key_of(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => {
            keyed(&app, keys, key, request, next).await.unwrap_or_else(IntoResponse::into_response)
        }
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

async fn keyed(
    app: &Arc<App>,
    keys: Keys,
    name: String,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let bytes = body::read(app, &parts.headers, body).await?;
    let once = once(app, keys, name, &parts, &bytes)?;
    let _flight = Flight::begin(app, &once)?;
    if let Some(kept) = app.kept_reply(&once).await? {
        let (status, body) = match once.is_keyless() {
            true => invitations::again(app, &once, kept).await?,
            false => once.open(kept),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), REPLAYED];
        return Ok((status, headers, body).into_response());
    }
    match parts.extensions.get_mut::<Actor>() {
        Some(actor) => actor.once = Some(once.clone()),
        None => _ = parts.extensions.insert(once.clone()),
    }
    let path = parts.uri.path().to_owned();
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if once.is_again() {
        return Ok(([REPLAYED], response).into_response());
    }
    // Errors of anybody are not kept: they would fill the database, and repeating the call makes them again.
    if once.is_kept() || once.is_keyless() || !is_final(response.status()) {
        return Ok(response);
    }
    debug_assert!(!response.status().is_success(), "POST {path} must write through `App::write_once`");
    keep(app, &once, response).await
}

/// What a call's key stands for.
fn once(app: &App, keys: Keys, name: String, parts: &Parts, body: &[u8]) -> Result<Arc<Once>, Error> {
    let request = fingerprint(&parts.method, parts.uri.path(), body);
    if let Some(actor) = parts.extensions.get::<Actor>() {
        let token = bearer(&parts.headers)?;
        return Ok(Once::of_user(&app.vault, &actor.user, token, name, request));
    }
    match keys {
        Keys::User => Err(Error::Internal("an idempotency key without a caller".into())),
        Keys::Guest => {
            let code = parts.uri.path().trim_end_matches('/').rsplit('/').nth(1).unwrap_or_default();
            Ok(Once::of_holder(&app.vault, "invitation", code.as_bytes(), name, request))
        }
        Keys::Program => {
            let body = json::read(body).unwrap_or_default();
            let public_key = body["encryptionPublicKey"].as_str().unwrap_or_default();
            Ok(Once::of_holder(&app.vault, "login", public_key.as_bytes(), name, request))
        }
    }
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
async fn keep(app: &Arc<App>, once: &Arc<Once>, response: Response) -> Result<Response, Error> {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length > limits::IDEMPOTENCY_REPLY_BYTES_MAX) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    let bytes = bytes.map_err(|error| Error::Internal(format!("read a reply: {error}")))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Err(error) = app.keep_reply(once, (parts.status.as_u16(), text)).await {
        tracing::warn!(cause = ?error, "a reply was not kept under its key");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

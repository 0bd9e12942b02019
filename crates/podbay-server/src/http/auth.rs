//! The guard in front of every route: who calls, and may they.

use super::reply::panicked;
use crate::app::{Actor, App, Error, api_keys};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use podbay_core::permission::Permission;
use std::sync::Arc;

/// Lets a request pass with its [`Actor`], or answers 401 or 403.
pub(super) async fn guard(
    State((app, permission)): State<(Arc<App>, Permission)>,
    mut request: Request,
    next: Next,
) -> Response {
    match check(&app, permission, request.headers()).await {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            to_its_end(request, next).await
        }
        Err(error) => error.into_response(),
    }
}

/// A call that changes something runs to its end, whoever hangs up: its rows are written either
/// way, and the wake that follows them must not be lost.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => panicked(error.into_panic()),
        Err(error) => Error::Unavailable(error.to_string()).into_response(),
    }
}

/// Who calls, where a key is not needed; but one that is given must be good for it.
pub(super) async fn caller(
    app: &App,
    permission: Permission,
    headers: &HeaderMap,
) -> Result<Option<Actor>, Error> {
    match check(app, permission, headers).await {
        Err(Error::NotAuthenticated) => Ok(None),
        other => other.map(Some),
    }
}

async fn check(app: &App, permission: Permission, headers: &HeaderMap) -> Result<Actor, Error> {
    let header = headers.get(AUTHORIZATION).ok_or(Error::NotAuthenticated)?;
    let header = header.to_str().map_err(|_| Error::InvalidToken)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Error::NotAuthenticated);
    }
    let actor = api_keys::authenticate(app, token).await?;
    actor.check(permission)?;
    Ok(actor)
}

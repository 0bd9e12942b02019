//! The guard in front of every route: who calls, may they, and may they again.

use super::limit::{Class, Policy};
use super::reply::panicked;
use crate::app::{Actor, App, Error, api_keys};
use crate::connections::Peer;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use podbay_core::permission::Permission;
use std::sync::Arc;

/// What a route asks of its callers.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// What the key must be allowed.
    pub(super) permission: Permission,
    /// Which bucket of the key a call is taken from.
    pub(super) class: Class,
}

/// Lets a request pass with its [`Actor`], or answers 401, 403 or 429.
pub(super) async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let (actor, left) = match check(&app, needs, request.headers(), peer).await {
        Ok(passed) => passed,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(actor);
    let mut response = to_its_end(request, next).await;
    if let Some((policy, left)) = left {
        policy.write(left, None, response.headers_mut());
    }
    response
}

/// Lets a call of the API pass that needs no key, unless too much was guessed from where it comes: a code is
/// guessed like a key. The begin of a login counts as well, because it leaves a row behind.
pub(super) async fn keyless(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return to_its_end(request, next).await;
    };
    if let Err(error) = app.limits.may_try(&app, peer, bearer(request.headers()).unwrap_or_default()) {
        return error.into_response();
    }
    let begins = request.uri().path().trim_end_matches('/').ends_with("/auth_challenge/generate");
    let response = to_its_end(request, next).await;
    if begins || response.status() == StatusCode::NOT_FOUND {
        app.limits.failed(&app, peer);
    }
    response
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

/// Lets a request pass without a key. One that is given says who calls, and must be good for it.
pub(super) async fn optional(
    State((app, permission)): State<(Arc<App>, Permission)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    match check(&app, Needs { permission, class: Class::Write }, request.headers(), peer).await {
        Ok((actor, _)) => _ = request.extensions_mut().insert(actor),
        Err(Error::NotAuthenticated) => {}
        Err(error) => return error.into_response(),
    }
    next.run(request).await
}

/// Who calls, and what is left of their calls if that is little.
async fn check(
    app: &App,
    needs: Needs,
    headers: &HeaderMap,
    peer: Option<Peer>,
) -> Result<(Actor, Option<(Policy, u32)>), Error> {
    let token = bearer(headers)?;
    if let Some(peer) = peer {
        app.limits.may_try(app, peer, token)?;
    }
    let actor = match (api_keys::authenticate(app, token).await, peer) {
        (Err(Error::InvalidToken), Some(peer)) => {
            app.limits.failed(app, peer);
            return Err(Error::InvalidToken);
        }
        (actor, _) => actor?,
    };
    let left = app.limits.take(app, &actor.key, token, needs.class)?;
    actor.check(needs.permission)?;
    Ok((actor, left))
}

/// The token of the request.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let header = headers.get(AUTHORIZATION).ok_or(Error::NotAuthenticated)?;
    let header = header.to_str().map_err(|_| Error::InvalidToken)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Error::NotAuthenticated)
    }
}

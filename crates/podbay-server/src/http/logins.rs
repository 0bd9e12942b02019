//! `/api/v1/auth_challenge`: the published pair of calls for the program that logs in, and ours for the
//! person who approves.

use super::body::Body;
use super::params::Params;
use super::reply::kept;
use super::{api_keys, auth};
use crate::app::logins::{self, Approved, Refused};
use crate::app::once::{Once, Replay};
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use podbay_api::Empty;
use podbay_api::api_keys::ApiKey;
use podbay_api::logins::{ApproveLogin, BeginLogin, LoginBegun, LoginStatus, RefuseLogin};
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

impl Replay for Approved {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(api_keys::view(&self.0)))
    }
}

impl Replay for Refused {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(Empty {}))
    }
}

pub(super) async fn begin(
    State(app): AppState,
    once: Option<Extension<Arc<Once>>>,
    Body(body): Body,
) -> Result<Json<LoginBegun>, Error> {
    let request = BeginLogin::parse(&body)?;
    let once = once.map(|Extension(once)| once);
    let (code, status_auth_token) = logins::login_begin(&app, request.encryption_public_key, once).await?;
    Ok(Json(LoginBegun { challenge: code.to_string(), status_auth_token }))
}

/// The token is the login's own, so the guard of the other routes has no part in it.
pub(super) async fn status(
    State(app): AppState,
    headers: HeaderMap,
    params: Params,
) -> Result<Json<LoginStatus>, Error> {
    let token = auth::bearer(&headers).map_err(|_| Error::NotFound)?;
    let result = logins::login_status(&app, params.get("challenge").unwrap_or_default(), token).await?;
    Ok(Json(LoginStatus { result }))
}

pub(super) async fn approve(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<ApiKey>, Error> {
    let ApproveLogin { challenge, scopes, expires_at } = ApproveLogin::parse(&body)?;
    let scopes = scopes.unwrap_or(actor.scopes);
    let Approved(record) = logins::login_approve(&app, &actor, challenge, scopes, expires_at).await?;
    Ok(Json(api_keys::view(&record)))
}

pub(super) async fn refuse(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Empty>, Error> {
    logins::login_refuse(&app, &actor, RefuseLogin::parse(&body)?.challenge).await?;
    Ok(Json(Empty {}))
}

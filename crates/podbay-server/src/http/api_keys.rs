//! `/api/v1/api_keys`: ours, beside the published calls.

use super::body::Body;
use super::params::Id;
use super::reply::{kept, shown_once};
use crate::app::api_keys::{self, Made};
use crate::app::once::Replay;
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::api_keys::{ApiKey, ApiKeyCreated, CreateApiKey, level_map};
use podbay_api::{Data, Empty};
use podbay_store::ApiKeyRecord;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

pub(super) fn view(record: &ApiKeyRecord) -> ApiKey {
    let time = |at: Option<podbay_core::Timestamp>| at.map(|at| at.to_string());
    ApiKey {
        id: record.id.to_string(),
        name: record.name.clone(),
        scopes: level_map(&record.scopes),
        created_at: record.created_at.to_string(),
        expires_at: time(record.expires_at),
        revoked_at: time(record.revoked_at),
        last_used_at: time(record.last_used_at),
    }
}

fn created(made: &Made) -> ApiKeyCreated {
    ApiKeyCreated { record: view(&made.record), key: made.key.reveal() }
}

impl Replay for Made {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        shown_once("the API key", self.record.id.as_str(), "revoke it and make another")
    }

    fn with_secret(&self) -> Result<Option<(u16, String)>, Error> {
        kept(Ok(created(self))).map(Some)
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
) -> Result<Json<Data<Vec<ApiKey>>>, Error> {
    let keys = api_keys::api_key_list(&app, &actor).await?;
    Ok(Json(Data::of(keys.iter().map(view).collect())))
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<ApiKeyCreated>, Error> {
    let CreateApiKey { name, scopes, expires_at } = CreateApiKey::parse(&body)?;
    Ok(Json(created(&api_keys::api_key_create(&app, &actor, name, scopes, expires_at).await?)))
}

pub(super) async fn revoke(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Empty>, Error> {
    api_keys::api_key_revoke(&app, &actor, &id).await?;
    Ok(Json(Empty {}))
}

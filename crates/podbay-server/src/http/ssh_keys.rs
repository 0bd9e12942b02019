//! `/api/v1/ssh_keys`.

use super::body::Body;
use super::params::{Id, Params};
use super::reply::kept;
use super::view;
use crate::app::once::Replay;
use crate::app::{Actor, App, Error, ssh_keys};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::ssh_keys::{AddSshKey, PatchSshKey, SshKey, SshKeyUpdated, UpdatedFields};
use podbay_api::{Empty, OffsetPage};
use podbay_store::SshKeyRecord;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

fn key(record: &SshKeyRecord) -> SshKey {
    SshKey {
        id: record.id.to_string(),
        user_id: record.user_id.to_string(),
        name: record.name.clone(),
        public_key: record.public_key.clone(),
        is_primary: record.is_primary,
        is_user_key: true,
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
    }
}

impl Replay for SshKeyRecord {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(key(self)))
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    mut params: Params,
) -> Result<Json<OffsetPage<SshKey>>, Error> {
    let (offset, limit) = params.page();
    params.finish()?;
    let page = ssh_keys::ssh_key_list(&app, &actor, offset, limit.into()).await?;
    Ok(Json(view::page(&page, offset, limit, key)))
}

pub(super) async fn add(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<SshKey>, Error> {
    let request = AddSshKey::parse(&body)?;
    let record = ssh_keys::ssh_key_add(&app, &actor, request.name, &request.public_key).await?;
    Ok(Json(key(&record)))
}

pub(super) async fn remove(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Empty>, Error> {
    ssh_keys::ssh_key_delete(&app, &actor, &id).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn set_primary(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<SshKeyUpdated>, Error> {
    PatchSshKey::parse(&body)?;
    ssh_keys::ssh_key_set_primary(&app, &actor, &id).await?;
    let message = "this SSH key is the primary one now".to_owned();
    Ok(Json(SshKeyUpdated { message, updated_fields: UpdatedFields { is_primary: true } }))
}

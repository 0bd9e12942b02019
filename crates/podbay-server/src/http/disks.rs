//! `/api/v1/disks`.

use super::body::Body;
use super::cache::cached;
use super::params::{Id, Params};
use super::reply::kept;
use super::view;
use crate::app::once::Replay;
use crate::app::{Actor, App, Error, disks};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::{Extension, Json};
use podbay_api::Data;
use podbay_api::disks::{CreateDisk, Disk, PatchDisk};
use podbay_api::events::PodEvent;
use podbay_api::pods::Deleted;
use podbay_core::limits;
use podbay_core::published::PodStatus;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

impl Replay for disks::Shown {
    fn replay(&self, app: &App) -> Result<(u16, String), Error> {
        kept(Ok(view::disk(app, self)))
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    uri: Uri,
) -> Result<Response, Error> {
    cached(&app, &actor.user, &uri, async {
        let mut params = Params::of(&uri);
        let (offset, limit) = params.page();
        params.finish()?;
        let page = disks::disk_list(&app, &actor, offset, limit.into()).await?;
        Ok(view::page(&page, offset, limit, |shown| view::disk(&app, shown)))
    })
    .await
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Disk>, Error> {
    let shown = disks::disk_create(&app, &actor, CreateDisk::parse(&body)?).await?;
    Ok(Json(view::disk(&app, &shown)))
}

pub(super) async fn show(
    State(app): AppState,
    Extension(actor): Caller,
    uri: Uri,
    Id(id): Id,
) -> Result<Response, Error> {
    let make = async { Ok(view::disk(&app, &disks::disk_get(&app, &actor, &id).await?)) };
    cached(&app, &actor.user, &uri, make).await
}

pub(super) async fn update(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<Disk>, Error> {
    let shown = disks::disk_update(&app, &actor, &id, PatchDisk::parse(&body)?).await?;
    Ok(Json(view::disk(&app, &shown)))
}

pub(super) async fn remove(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Deleted>, Error> {
    let gone = disks::disk_delete(&app, &actor, &id).await?;
    let status = if gone { PodStatus::Terminated } else { PodStatus::Deleting };
    Ok(Json(Deleted { status: status.into() }))
}

pub(super) async fn events(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    mut params: Params,
) -> Result<Json<Data<Vec<PodEvent>>>, Error> {
    let after = params.number("after", 0, 0);
    let limit = params.number("limit", limits::PAGE_LIMIT_DEFAULT, 0).min(limits::PAGE_LIMIT_MAX);
    params.finish()?;
    let events = disks::disk_events(&app, &actor, &id, after.into(), limit.into()).await?;
    Ok(Json(Data::of(events.into_iter().map(view::event).collect())))
}

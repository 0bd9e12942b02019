//! `/api/v1/pods`.

use super::body::Body;
use super::cache::{cached, cached_bytes};
use super::params::{Id, Params};
use super::reply::kept;
use super::{status_rows, view};
use crate::app::once::Replay;
use crate::app::{Actor, App, Error, disks, force, pods};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::{Extension, Json};
use podbay_api::Data;
use podbay_api::events::PodEvent;
use podbay_api::pods::{CreatePod, Deleted, LogReply, Pod};
use podbay_core::limits;
use podbay_core::published::PodStatus;
use podbay_store::HistorySort;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

impl Replay for pods::Ordered {
    fn replay(&self, app: &App) -> Result<(u16, String), Error> {
        kept(Ok(view::pod(app, &self.pod, &self.attached)))
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
        let (page, attached) = pods::pod_list(&app, &actor, offset, limit.into()).await?;
        Ok(view::page(&page, offset, limit, |pod| view::pod(&app, pod, &attached)))
    })
    .await
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Pod>, Error> {
    let order = CreatePod::parse(&body)?;
    let ordered = pods::pod_create(&app, &actor, order).await?;
    Ok(Json(view::pod(&app, &ordered.pod, &ordered.attached)))
}

pub(super) async fn status(
    State(app): AppState,
    Extension(actor): Caller,
    uri: Uri,
) -> Result<Response, Error> {
    cached_bytes(&app, &actor.user, &uri, async {
        let marks = pods::pod_marks(&app, &actor, &Params::of(&uri).all("pod_ids")).await?;
        status_rows::render(&app, &actor, &marks).await
    })
    .await
}

pub(super) async fn history(
    State(app): AppState,
    Extension(actor): Caller,
    uri: Uri,
) -> Result<Response, Error> {
    let sort = |text: &str| match text {
        "terminatedAt" => Some(HistorySort::TerminatedAt),
        "createdAt" => Some(HistorySort::CreatedAt),
        _ => None,
    };
    let order = |text: &str| ["asc", "desc"].contains(&text).then_some(text == "desc");
    cached(&app, &actor.user, &uri, async {
        let mut params = Params::of(&uri);
        let (offset, limit) = params.page();
        let sort = params.choice("sort_by", sort, "terminatedAt, createdAt");
        let sort = sort.unwrap_or(HistorySort::TerminatedAt);
        let descending = params.choice("sort_order", order, "asc, desc").unwrap_or(true);
        params.finish()?;
        let page = pods::pod_history(&app, &actor, sort, descending, offset, limit.into()).await?;
        Ok(view::page(&page, offset, limit, view::past))
    })
    .await
}

pub(super) async fn show(
    State(app): AppState,
    Extension(actor): Caller,
    uri: Uri,
    Id(id): Id,
) -> Result<Response, Error> {
    cached(&app, &actor.user, &uri, async {
        let pod = pods::pod_get(&app, &actor, &id).await?;
        let attached = disks::attached(&app, &pod).await?;
        Ok(view::pod(&app, &pod, &attached))
    })
    .await
}

pub(super) async fn remove(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    mut params: Params,
) -> Result<Json<Deleted>, Error> {
    let by_force = params.choice("force", |word| word.parse::<bool>().ok(), "true, false");
    params.finish()?;
    if by_force == Some(true) {
        force::pod_end(&app, &actor, &id).await?;
        return Ok(Json(Deleted { status: PodStatus::Terminated.into() }));
    }
    let gone = pods::pod_delete(&app, &actor, &id).await?;
    let status = if gone { PodStatus::Terminated } else { PodStatus::Deleting };
    Ok(Json(Deleted { status: status.into() }))
}

pub(super) async fn log(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    mut params: Params,
) -> Result<Json<LogReply>, Error> {
    let tail = params.number("tail", limits::LOG_TAIL_DEFAULT, 0).min(limits::LOG_TAIL_MAX);
    params.finish()?;
    Ok(Json(view::logs(pods::pod_logs(&app, &actor, &id, tail).await?)))
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
    let events = pods::pod_events(&app, &actor, &id, after.into(), limit.into()).await?;
    Ok(Json(Data::of(events.into_iter().map(view::event).collect())))
}

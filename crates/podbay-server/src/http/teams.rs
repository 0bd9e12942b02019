//! `/api/v1/user/teams` and `/api/v1/teams`.

use super::body::Body;
use super::params::{Id, Ids, Params};
use super::reply::kept;
use super::view;
use crate::app::once::Replay;
use crate::app::{Actor, App, Error, teams};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::teams::{CreateTeam, Member as WireMember, SetRole, Team as WireTeam, UpdateTeam};
use podbay_api::{Empty, OffsetPage};
use podbay_store::{Member, Membership};
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

pub(super) fn team(membership: &Membership) -> WireTeam {
    WireTeam {
        team_id: membership.team.id.to_string(),
        name: membership.team.name.clone(),
        slug: membership.team.slug.clone(),
        role: membership.role.into(),
        created_at: membership.joined_at.to_string(),
    }
}

fn member(member: &Member) -> WireMember {
    WireMember {
        user_id: member.user_id.to_string(),
        user_name: Some(member.name.clone()),
        user_email: Some(member.email.clone()),
        role: member.role.into(),
        joined_at: member.joined_at.to_string(),
    }
}

impl Replay for Membership {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(team(self)))
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    mut params: Params,
) -> Result<Json<OffsetPage<WireTeam>>, Error> {
    let (offset, limit) = params.page();
    params.finish()?;
    let page = teams::team_list(&app, &actor, offset, limit.into()).await?;
    Ok(Json(view::page(&page, offset, limit, team)))
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<WireTeam>, Error> {
    let CreateTeam { name, slug } = CreateTeam::parse(&body)?;
    Ok(Json(team(&teams::team_create(&app, &actor, name, slug).await?)))
}

pub(super) async fn update(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<WireTeam>, Error> {
    let UpdateTeam { name, slug } = UpdateTeam::parse(&body)?;
    Ok(Json(team(&teams::team_update(&app, &actor, &id, name, slug).await?)))
}

pub(super) async fn remove(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Empty>, Error> {
    teams::team_delete(&app, &actor, &id).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn members(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    mut params: Params,
) -> Result<Json<OffsetPage<WireMember>>, Error> {
    let (offset, limit) = params.page();
    params.finish()?;
    let page = teams::member_list(&app, &actor, &id, offset, limit.into()).await?;
    Ok(Json(view::page(&page, offset, limit, member)))
}

pub(super) async fn set_role(
    State(app): AppState,
    Extension(actor): Caller,
    Ids(id, user): Ids,
    Body(body): Body,
) -> Result<Json<WireMember>, Error> {
    let SetRole { role } = SetRole::parse(&body)?;
    Ok(Json(member(&teams::member_set_role(&app, &actor, &id, &user, role).await?)))
}

pub(super) async fn remove_member(
    State(app): AppState,
    Extension(actor): Caller,
    Ids(id, user): Ids,
) -> Result<Json<Empty>, Error> {
    teams::member_remove(&app, &actor, &id, &user).await?;
    Ok(Json(Empty {}))
}

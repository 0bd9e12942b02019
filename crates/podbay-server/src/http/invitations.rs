//! `/api/v1/teams/{id}/invitations` and `/api/v1/invitations`: ours, beside the published calls.

use super::auth;
use super::body::Body;
use super::params::{Id, Ids};
use super::reply::shown_once;
use super::teams::team;
use crate::app::invitations::{self, Guest};
use crate::app::once::Replay;
use crate::app::{Actor, App, Error};
use crate::connections::Peer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use podbay_api::teams::{AcceptInvitation, Invitation as WireInvitation, InvitationCreated, Invite, Joined};
use podbay_api::{Data, Empty, paths};
use podbay_core::limits;
use podbay_core::permission::Permission;
use podbay_core::published::TeamRole;
use podbay_store::Invitation;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

fn view(invitation: &Invitation) -> WireInvitation {
    WireInvitation {
        id: invitation.id.to_string(),
        team_id: invitation.team_id.to_string(),
        role: invitation.role.into(),
        email: invitation.email.clone(),
        invited_by: invitation.invited_by.to_string(),
        created_at: invitation.created_at.to_string(),
        expires_at: invitation.expires_at.to_string(),
    }
}

impl Replay for Invitation {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        shown_once("the invitation", self.id.as_str(), "revoke it and make another")
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Data<Vec<WireInvitation>>>, Error> {
    let invitations = invitations::invitation_list(&app, &actor, &id).await?;
    Ok(Json(Data::of(invitations.iter().map(view).collect())))
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<InvitationCreated>, Error> {
    let Invite { role, email, expires_in_hours } = Invite::parse(&body)?;
    let hours = expires_in_hours.unwrap_or(limits::INVITATION_HOURS_DEFAULT);
    let role = role.unwrap_or(TeamRole::Member);
    let (made, code) = invitations::invite(&app, &actor, &id, role, email, hours).await?;
    let path = format!("{}{}", paths::BASE, paths::INVITATION_ACCEPT.replace("{id}", &code));
    Ok(Json(InvitationCreated { record: view(&made), code, path }))
}

pub(super) async fn revoke(
    State(app): AppState,
    Extension(actor): Caller,
    Ids(team, id): Ids,
) -> Result<Json<Empty>, Error> {
    invitations::invitation_revoke(&app, &actor, &team, &id).await?;
    Ok(Json(Empty {}))
}

/// Needs no key: whoever has the code may come in. A key says which user it is.
pub(super) async fn accept(
    State(app): AppState,
    Id(code): Id,
    headers: HeaderMap,
    peer: Option<Extension<Peer>>,
    Body(body): Body,
) -> Result<Json<Joined>, Error> {
    let AcceptInvitation { name, email } = AcceptInvitation::parse(&body)?;
    let guest = match auth::caller(&app, ACCEPT, &headers, peer.map(|Extension(peer)| peer)).await? {
        Some(actor) => Guest::User(actor.user),
        None => Guest::New { name, email },
    };
    let (membership, user, key) = invitations::invitation_accept(&app, &code, guest).await?;
    let key = key.map(|key| key.reveal());
    Ok(Json(Joined { team: team(&membership), user_id: user.to_string(), key }))
}

/// What a key needs to accept with.
const ACCEPT: Permission = super::TEAMS_WRITE;

//! `/api/v1/teams/{id}/invitations` and `/api/v1/invitations`: ours, beside the published calls.

use super::body::Body;
use super::params::{Id, Ids};
use super::reply::{kept, shown_once};
use super::teams::team;
use crate::app::invitations::{self, Accepted, Guest, Invited};
use crate::app::once::{Once, Replay};
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::teams::{AcceptInvitation, Invitation as WireInvitation, InvitationCreated, Invite, Joined};
use podbay_api::{Data, Empty, paths};
use podbay_core::limits;
use podbay_core::published::TeamRole;
use podbay_store::{Invitation, KeptReply};
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

fn created(Invited { invitation, code }: &Invited) -> InvitationCreated {
    let path = format!("{}{}", paths::BASE, paths::INVITATION_ACCEPT.replace("{id}", code));
    InvitationCreated { record: view(invitation), code: code.clone(), path }
}

impl Replay for Invited {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        shown_once("the invitation", self.invitation.id.as_str(), "revoke it and make another")
    }

    fn with_secret(&self) -> Result<Option<(u16, String)>, Error> {
        kept(Ok(created(self))).map(Some)
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
    Ok(Json(created(&invitations::invite(&app, &actor, &id, role, email, hours).await?)))
}

pub(super) async fn revoke(
    State(app): AppState,
    Extension(actor): Caller,
    Ids(team, id): Ids,
) -> Result<Json<Empty>, Error> {
    invitations::invitation_revoke(&app, &actor, &team, &id).await?;
    Ok(Json(Empty {}))
}

impl Replay for Accepted {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(joined(self, None)))
    }
}

fn joined(accepted: &Accepted, key: Option<String>) -> Joined {
    Joined { team: team(&accepted.membership), user_id: accepted.user.to_string(), key }
}

/// Needs no key: whoever has the code may come in. A key says which user it is.
pub(super) async fn accept(
    State(app): AppState,
    Id(code): Id,
    actor: Option<Caller>,
    once: Option<Extension<Arc<Once>>>,
    Body(body): Body,
) -> Result<Json<Joined>, Error> {
    let AcceptInvitation { name, email } = AcceptInvitation::parse(&body)?;
    let (guest, once) = match actor {
        Some(Extension(actor)) => (Guest::User(actor.user), actor.once),
        None => (Guest::New { name, email }, once.map(|Extension(once)| once)),
    };
    let (accepted, key) = invitations::invitation_accept(&app, &code, guest, once).await?;
    Ok(Json(joined(&accepted, key.map(|key| key.reveal()))))
}

/// The reply to a repeated call that made a user: with the key, as long as nobody has used it.
pub(super) async fn again(app: &App, once: &Once, reply: KeptReply) -> Result<(u16, String), Error> {
    let mut joined: Joined = serde_json::from_str(&reply.body)
        .map_err(|error| Error::Internal(format!("read a kept reply: {error}")))?;
    match invitations::unused_key(app, once).await? {
        Some(key) => {
            joined.key = Some(key.reveal());
            kept(Ok(joined))
        }
        None => shown_once("the user", &joined.user_id, "accept another invitation"),
    }
}

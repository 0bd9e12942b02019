//! `/api/v1/user` and, ours, `/api/v1/users`.

use super::body::Body;
use super::params::Params;
use super::reply::{kept, shown_once};
use super::view;
use crate::app::once::Replay;
use crate::app::users::{self, Made};
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::users::{CreateUser, SetSlug, User as WireUser, UserCreated, WhoAmI, scope_map};
use podbay_api::{Data, OffsetPage};
use podbay_store::User;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

fn me(app: &App, actor: &Actor, user: User) -> Json<Data<WhoAmI>> {
    Json(Data::of(WhoAmI {
        id: user.id.to_string(),
        role: user.role.into(),
        created_at: user.created_at.to_string(),
        name: Some(user.name),
        slug: user.slug,
        email: Some(user.email),
        image: None,
        email_verified: None,
        has_beta_access: false,
        is_banned: false,
        skip_prepay: !app.config.billing.prepaid,
        blacklist: Vec::new(),
        scope: scope_map(&actor.scopes),
    }))
}

fn other(user: &User) -> WireUser {
    WireUser {
        id: user.id.to_string(),
        name: user.name.clone(),
        email: user.email.clone(),
        slug: user.slug.clone(),
        role: user.role.into(),
        created_at: user.created_at.to_string(),
    }
}

fn created(made: &Made) -> UserCreated {
    UserCreated { user: other(&made.user), key: made.key.reveal() }
}

impl Replay for Made {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        shown_once("the user", self.user.id.as_str(), "make another user")
    }

    fn with_secret(&self) -> Result<Option<(u16, String)>, Error> {
        kept(Ok(created(self))).map(Some)
    }
}

pub(super) async fn whoami(
    State(app): AppState,
    Extension(actor): Caller,
    params: Params,
) -> Result<Json<Data<WhoAmI>>, Error> {
    let user = users::user_get(&app, &actor, params.get("teamId")).await?;
    Ok(me(&app, &actor, user))
}

pub(super) async fn set_slug(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Data<WhoAmI>>, Error> {
    let user = users::user_set_slug(&app, &actor, SetSlug::parse(&body)?.slug).await?;
    Ok(me(&app, &actor, user))
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    mut params: Params,
) -> Result<Json<OffsetPage<WireUser>>, Error> {
    let (offset, limit) = params.page();
    params.finish()?;
    let page = users::user_list(&app, &actor, offset, limit.into()).await?;
    Ok(Json(view::page(&page, offset, limit, other)))
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<UserCreated>, Error> {
    let CreateUser { name, email } = CreateUser::parse(&body)?;
    Ok(Json(created(&users::user_create(&app, &actor, name, email).await?)))
}

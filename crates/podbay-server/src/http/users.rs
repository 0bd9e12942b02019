//! `/api/v1/user`.

use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::Data;
use podbay_api::users::{WhoAmI, scope_map};
use std::sync::Arc;

pub(super) async fn whoami(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Data<WhoAmI>>, Error> {
    let user = app.store.reader().await?.user_get(&actor.user).await?.ok_or(Error::InvalidToken)?;
    Ok(Json(Data::of(WhoAmI {
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
        // Nothing is paid in advance here.
        skip_prepay: true,
        blacklist: Vec::new(),
        scope: scope_map(&actor.scopes),
    })))
}

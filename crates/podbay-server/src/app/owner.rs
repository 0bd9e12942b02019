//! The first start: the owner's account and their key.

use super::{App, Error, api_keys};
use podbay_core::permission::Scopes;
use podbay_core::published::UserRole;
use podbay_core::{UserId, key::ApiKey};
use podbay_store::User;

/// Makes the first user and a full key, if there is no user yet.
///
/// # Errors
/// The database cannot be written.
pub async fn owner_ensure(app: &App) -> Result<Option<ApiKey>, Error> {
    if !app.store.reader().await?.user_list().await?.is_empty() {
        return Ok(None);
    }
    let (_, key) = user_create(app, &app.config.owner, UserRole::Admin).await?;
    Ok(Some(key))
}

/// Makes a user with one full key.
///
/// # Errors
/// The database cannot be written.
pub async fn user_create(app: &App, name: &str, role: UserRole) -> Result<(UserId, ApiKey), Error> {
    let user = User {
        id: app.chance.user_id(),
        name: name.to_owned(),
        email: format!("{name}@localhost"),
        slug: None,
        role,
        created_at: app.now(),
    };
    let id = user.id.clone();
    let (key, record) = api_keys::make(app, user.id.clone(), "first key".into(), Scopes::FULL, None);
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.user_insert(&user).await?;
                Ok::<_, Error>(tx.api_key_insert(&record).await?)
            })
        })
        .await?;
    Ok((id, key))
}

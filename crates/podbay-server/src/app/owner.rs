//! The first start: the owner's account and their key.

use super::{App, Error, users};
use podbay_core::published::UserRole;
use podbay_core::{UserId, key::ApiKey};

/// Makes the first user and a full key, if there is no user yet. The key is given to `keep` before
/// it is stored: a crash in between leaves a key that opens nothing, and the next start makes
/// another; the other way round nobody would ever know it.
///
/// # Errors
/// The database cannot be written, or the key cannot be kept.
pub async fn owner_ensure(
    app: &App,
    keep: impl FnOnce(&ApiKey) -> Result<(), Error>,
) -> Result<Option<ApiKey>, Error> {
    if !app.store.reader().await?.user_list().await?.is_empty() {
        return Ok(None);
    }
    let name = &app.config.owner;
    let key = app.chance.api_key();
    let (user, record) = users::make(app, &key, name.clone(), format!("{name}@localhost"), UserRole::Admin);
    keep(&key)?;
    app.store.write(move |tx| Box::pin(async move { users::insert(tx, &user, &record).await })).await?;
    Ok(Some(key))
}

/// Makes a user with one full key.
///
/// # Errors
/// The name is taken, or the database cannot be written.
pub async fn user_create(app: &App, name: &str, role: UserRole) -> Result<(UserId, ApiKey), Error> {
    let key = app.chance.api_key();
    let (user, record) = users::make(app, &key, name.to_owned(), format!("{name}@localhost"), role);
    let id = user.id.clone();
    app.store.write(move |tx| Box::pin(async move { users::insert(tx, &user, &record).await })).await?;
    Ok((id, key))
}

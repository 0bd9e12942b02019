//! The first start: the owner's account and their key.

use super::{App, Error, api_keys};
use podbay_core::permission::Scopes;
use podbay_core::published::UserRole;
use podbay_core::{UserId, key::ApiKey};
use podbay_store::{ApiKeyRecord, User};

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
    let (user, key, record) = user_make(app, &app.config.owner, UserRole::Admin);
    keep(&key)?;
    user_store(app, user, record).await?;
    Ok(Some(key))
}

fn user_make(app: &App, name: &str, role: UserRole) -> (User, ApiKey, ApiKeyRecord) {
    let user = User {
        id: app.chance.user_id(),
        name: name.to_owned(),
        email: format!("{name}@localhost"),
        slug: None,
        role,
        created_at: app.now(),
    };
    let (key, record) = api_keys::make(app, user.id.clone(), "first key".into(), Scopes::FULL, None);
    (user, key, record)
}

async fn user_store(app: &App, user: User, record: ApiKeyRecord) -> Result<(), Error> {
    let stored = app.store.write(move |tx| {
        Box::pin(async move {
            tx.user_insert(&user).await?;
            Ok::<_, Error>(tx.api_key_insert(&record).await?)
        })
    });
    stored.await
}

/// Makes a user with one full key.
///
/// # Errors
/// The database cannot be written.
pub async fn user_create(app: &App, name: &str, role: UserRole) -> Result<(UserId, ApiKey), Error> {
    let (user, key, record) = user_make(app, name, role);
    let id = user.id.clone();
    user_store(app, user, record).await?;
    Ok((id, key))
}

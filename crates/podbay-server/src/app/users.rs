//! Users: made by the owner of the installation or by accepting an invitation.

use super::{Actor, App, Error, api_keys, teams};
use podbay_core::key::ApiKey;
use podbay_core::permission::Scopes;
use podbay_core::published::UserRole;
use podbay_store::{ApiKeyRecord, Page, StoreError, Tx, User};
use unicode_security::skeleton;

/// A new user and the record of a first full key, neither of them stored.
pub(super) fn make(
    app: &App,
    key: &ApiKey,
    name: String,
    email: String,
    role: UserRole,
) -> (User, ApiKeyRecord) {
    let user = User { id: app.chance.user_id(), name, email, slug: None, role, created_at: app.now() };
    let record = api_keys::record(app, key, user.id.clone(), "first key".into(), Scopes::FULL, None);
    (user, record)
}

/// Stores both.
pub(super) async fn insert(tx: &mut Tx, user: &User, key: &ApiKeyRecord) -> Result<(), Error> {
    if tx.user_find_by_name(&user.name).await?.is_some() {
        return Err(Error::Conflict("this user name is taken; choose another".into()));
    }
    tx.user_names_lock().await?;
    let looks = |name: &str| skeleton(name).collect::<String>();
    let look = looks(&user.name);
    if let Some(other) = tx.user_names().await?.into_iter().find(|other| looks(other) == look) {
        let text = format!("this user name looks like {other}, which is taken; choose another");
        return Err(Error::Conflict(text));
    }
    tx.user_insert(user).await?;
    Ok(tx.api_key_insert(key).await?)
}

/// Lets only the owner of the installation pass.
pub(crate) async fn owner_only(app: &App, actor: &Actor) -> Result<(), Error> {
    let user = app.store.reader().await?.user_get(&actor.user).await?.ok_or(Error::InvalidToken)?;
    if user.role == UserRole::Admin {
        return Ok(());
    }
    Err(Error::Denied("only the owner of this server may do this".into()))
}

/// The caller. With a team, the caller must be a member of it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn user_get(app: &App, actor: &Actor, team: Option<&str>) -> Result<User, Error> {
    let mut tx = app.store.reader().await?;
    if let Some(team) = team {
        teams::membership(&mut tx, team, &actor.user).await?;
    }
    tx.user_get(&actor.user).await?.ok_or(Error::InvalidToken)
}

/// Gives the caller a name in addresses.
///
/// # Errors
/// [`Error::Conflict`] for one that is taken.
pub async fn user_set_slug(app: &App, actor: &Actor, slug: String) -> Result<User, Error> {
    let user = actor.user.clone();
    let set = app.store.write(move |tx| {
        Box::pin(async move {
            match tx.user_set_slug(&user, &slug).await {
                Err(StoreError::Conflict(_)) => Err(slug_taken()),
                other => Ok(other?),
            }
        })
    });
    set.await?;
    user_get(app, actor, None).await
}

pub(super) fn slug_taken() -> Error {
    Error::Conflict("this slug is taken; choose another".into())
}

/// All users, oldest first.
///
/// # Errors
/// [`Error::Denied`] but to the owner.
pub async fn user_list(app: &App, actor: &Actor, offset: u64, limit: u64) -> Result<Page<User>, Error> {
    owner_only(app, actor).await?;
    let all = app.store.snapshot(|tx| Box::pin(tx.user_list())).await?;
    let total = all.len() as u64;
    let (skip, take) =
        (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Page { items: all.into_iter().skip(skip).take(take).collect(), total })
}

/// A user who was just made.
pub struct Made {
    /// The user.
    pub user: User,
    /// The first key.
    pub key: ApiKey,
}

/// Makes a user with one full key.
///
/// # Errors
/// [`Error::Denied`] but to the owner; [`Error::Conflict`] for a name that is taken.
pub async fn user_create(app: &App, actor: &Actor, name: String, email: String) -> Result<Made, Error> {
    owner_only(app, actor).await?;
    let key = app.chance.api_key();
    let (user, record) = make(app, &key, name, email, UserRole::User);
    let made = app.write_once(actor, move |tx| {
        Box::pin(async move {
            insert(tx, &user, &record).await?;
            Ok(Made { user, key })
        })
    });
    made.await
}

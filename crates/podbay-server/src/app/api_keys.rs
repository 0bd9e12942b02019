//! API keys: made, listed, revoked, and checked at every call.

use super::{Actor, App, Error};
use podbay_core::key::ApiKey;
use podbay_core::permission::Scopes;
use podbay_core::{ApiKeyId, Timestamp, UserId};
use podbay_store::{ApiKeyRecord, LAST_USED_PRECISION};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The hash under which a key is stored. The secret has 238 bits: a slow hash would add nothing.
#[must_use]
pub fn hash(key: &ApiKey) -> [u8; 32] {
    Sha256::digest(key.reveal().as_bytes()).into()
}

/// Who a bearer token belongs to.
///
/// # Errors
/// [`Error::InvalidToken`] for one that is mistyped, unknown, expired or revoked.
pub async fn authenticate(app: &App, token: &str) -> Result<Actor, Error> {
    let key = ApiKey::parse(token).ok_or(Error::InvalidToken)?;
    let record = app.key_record(key.id()).await?.ok_or(Error::InvalidToken)?;
    let same: bool = hash(&key).ct_eq(&record.secret_sha256).into();
    let expired = record.expires_at.is_some_and(|at| at <= app.now());
    if !same || expired || record.revoked_at.is_some() {
        return Err(Error::InvalidToken);
    }
    note_use(app, &record).await;
    Ok(Actor { user: record.user_id, key: record.id, scopes: record.scopes, role: None, once: None })
}

/// Notes the use of a key, to the minute. That it cannot be written refuses nobody.
async fn note_use(app: &App, record: &ApiKeyRecord) {
    let now = app.now();
    if record.last_used_at.is_some_and(|at| now.since(at) < LAST_USED_PRECISION && at <= now) {
        return;
    }
    let id = record.id.clone();
    let noted =
        app.store.write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.api_key_touch(&id, now).await?) }));
    if let Err(error) = noted.await {
        tracing::warn!(key = %record.id, cause = ?error, "the use of a key was not noted");
    }
}

/// A new key and its record. The key is in nobody's memory afterwards.
#[must_use]
pub fn make(
    app: &App,
    user: UserId,
    name: String,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> (ApiKey, ApiKeyRecord) {
    let key = app.chance.api_key();
    let record = record(app, &key, user, name, scopes, expires_at);
    (key, record)
}

/// The record of a new key.
pub(super) fn record(
    app: &App,
    key: &ApiKey,
    user_id: UserId,
    name: String,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> ApiKeyRecord {
    ApiKeyRecord {
        id: key.id().clone(),
        user_id,
        name,
        secret_sha256: hash(key),
        scopes,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        created_at: app.now(),
    }
}

/// Whether the caller may make such a key.
pub(crate) fn check(
    app: &App,
    actor: &Actor,
    scopes: &Scopes,
    expires_at: Option<Timestamp>,
) -> Result<(), Error> {
    if !actor.scopes.include(scopes) {
        return Err(Error::field("body.scopes", "a key cannot make one that may do more than itself"));
    }
    if expires_at.is_some_and(|at| at <= app.now()) {
        return Err(Error::field("body.expiresAt", "this time has passed"));
    }
    Ok(())
}

/// A key that was just made.
pub struct Made {
    /// The key itself.
    pub key: ApiKey,
    /// What is stored of it.
    pub record: ApiKeyRecord,
}

/// Makes a key for the caller.
///
/// # Errors
/// [`Error::Invalid`] for scopes that the calling key does not have itself, or an expiry in the past.
pub async fn api_key_create(
    app: &App,
    actor: &Actor,
    name: String,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> Result<Made, Error> {
    check(app, actor, &scopes, expires_at)?;
    let (key, record) = make(app, actor.user.clone(), name, scopes, expires_at);
    let made = app.write_once(actor, move |tx| {
        Box::pin(async move {
            tx.api_key_insert(&record).await?;
            Ok(Made { key, record })
        })
    });
    made.await
}

/// The caller's keys, revoked ones included.
///
/// # Errors
/// The database does not answer.
pub async fn api_key_list(app: &App, actor: &Actor) -> Result<Vec<ApiKeyRecord>, Error> {
    Ok(app.store.reader().await?.api_key_list(&actor.user).await?)
}

/// Revokes a key of the caller, at once and for good.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn api_key_revoke(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let id = ApiKeyId::parse(id).ok_or(Error::NotFound)?;
    let (user, now) = (actor.user.clone(), app.now());
    let revoked = app
        .store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.api_key_revoke(&user, &id, now).await?) }))
        .await?;
    if revoked { Ok(()) } else { Err(Error::NotFound) }
}

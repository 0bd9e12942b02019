//! Invitations: a code that lets somebody into a team, once, and makes a user of somebody who is
//! none yet.

use super::once::Once;
use super::{Actor, App, Error, KeysOf, api_keys, teams, users};
use podbay_core::key::ApiKey;
use podbay_core::published::{TeamRole, UserRole};
use podbay_core::{InvitationId, UserId, limits};
use podbay_store::{Invitation, Membership};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The hash under which a code is stored. It has 256 bits: a slow hash would add nothing.
fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

/// An invitation that was just made.
pub struct Invited {
    /// What is stored of it.
    pub invitation: Invitation,
    /// The code that lets somebody in.
    pub code: String,
}

/// Invites into a team.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN; [`Error::Conflict`] for too many.
pub async fn invite(
    app: &App,
    actor: &Actor,
    team: &str,
    role: TeamRole,
    email: Option<String>,
    hours: u32,
) -> Result<Invited, Error> {
    let code: String = app.chance.secret().iter().map(|byte| format!("{byte:02x}")).collect();
    let (hash, now, id) = (hash(&code), app.now(), app.chance.invitation_id());
    let (user, team) = (actor.user.clone(), team.to_owned());
    let made = app.write_once(actor, move |tx| {
        Box::pin(async move {
            let found = teams::administered(tx, &team, &user).await?;
            if tx.invitation_list(&found.team.id).await?.len() >= limits::INVITATIONS_MAX {
                let text = format!("{} invitations wait already; revoke one first", limits::INVITATIONS_MAX);
                return Err(Error::Conflict(text));
            }
            let expires_at = now.plus(Duration::from_secs(u64::from(hours) * 3600));
            let team_id = found.team.id;
            let invitation =
                Invitation { id, team_id, invited_by: user, role, email, expires_at, created_at: now };
            tx.invitation_insert(&invitation, &hash).await?;
            Ok(Invited { invitation, code })
        })
    });
    made.await
}

/// A team's invitations that have not been accepted, expired ones included.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn invitation_list(app: &App, actor: &Actor, team: &str) -> Result<Vec<Invitation>, Error> {
    let mut tx = app.store.reader().await?;
    let found = teams::membership(&mut tx, team, &actor.user).await?;
    Ok(tx.invitation_list(&found.team.id).await?)
}

/// Revokes an invitation.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN.
pub async fn invitation_revoke(app: &App, actor: &Actor, team: &str, id: &str) -> Result<(), Error> {
    let (user, team, id) = (actor.user.clone(), team.to_owned(), id.to_owned());
    let revoked = app.store.write(move |tx| {
        Box::pin(async move {
            let found = teams::administered(tx, &team, &user).await?;
            let id = InvitationId::parse(&id).ok_or(Error::NotFound)?;
            Ok::<_, Error>(tx.invitation_delete(&found.team.id, &id).await?)
        })
    });
    if revoked.await? { Ok(()) } else { Err(Error::NotFound) }
}

/// Who accepts an invitation.
pub enum Guest {
    /// A user.
    User(UserId),
    /// Somebody who becomes one.
    New {
        /// Name.
        name: Option<String>,
        /// Address; that of the invitation if none.
        email: Option<String>,
    },
}

/// What an acceptance leaves behind.
pub struct Accepted {
    /// The user's place in the team.
    pub membership: Membership,
    /// The user.
    pub user: UserId,
}

/// Lets the guest into the team, and makes a new user with a first full key of somebody who is
/// none. With an idempotency key of theirs the first key is made of it and of the code: nobody else could
/// give them another one if the reply is lost.
///
/// # Errors
/// [`Error::NotFound`] for a code that is wrong, used or expired; [`Error::Invalid`];
/// [`Error::Conflict`] for a member, or a name that is taken.
pub async fn invitation_accept(
    app: &App,
    code: &str,
    guest: Guest,
    once: Option<Arc<Once>>,
) -> Result<(Accepted, Option<ApiKey>), Error> {
    let (hash, now) = (hash(code), app.now());
    let unexpired = |invitation: &Invitation| invitation.expires_at > now;
    let found = app.store.reader().await?.invitation_find(&hash).await?.filter(unexpired);
    let invitation = found.ok_or(Error::NotFound)?;
    let (user, new, key) = match guest {
        Guest::User(user) => (user, None, None),
        Guest::New { name, email } => {
            let missing = |field: &str| Error::field(field, "field required, unless a key says who accepts");
            let name = name.ok_or_else(|| missing("body.name"))?;
            let email = email.or_else(|| invitation.email.clone()).ok_or_else(|| missing("body.email"))?;
            let key = once.as_ref().and_then(|once| once.first_key()).unwrap_or_else(|| app.chance.api_key());
            let (user, record) = users::make(app, &key, name, email, UserRole::User);
            (user.id.clone(), Some((user, record)), Some(key))
        }
    };
    let (id, role, team) = (invitation.id, invitation.role, invitation.team_id);
    let joined = app.write_keyed(once, move |tx| {
        Box::pin(async move {
            tx.team_lock(&team).await?;
            if tx.team_of(&team, &user).await?.is_some() {
                return Err(Error::Conflict("you are a member of this team already".into()));
            }
            // Whoever deletes the row has accepted it; a second one finds none.
            if !tx.invitation_delete(&team, &id).await? {
                return Err(Error::NotFound);
            }
            if let Some((user, key)) = &new {
                users::insert(tx, user, key).await?;
            }
            teams::join(tx, now, &team, &user, role).await?;
            Ok(Accepted { membership: tx.team_of(&team, &user).await?.ok_or(Error::NotFound)?, user })
        })
    });
    let accepted = joined.await?;
    app.keys_touch(KeysOf::Team(accepted.membership.team.id.clone()));
    Ok((accepted, key))
}

/// The first key that such a call has made, while nobody has used it. Who uses it has it: from then on it is
/// not shown again, not even to somebody who finds code and idempotency key in a log.
///
/// # Errors
/// The database does not answer.
pub async fn unused_key(app: &App, once: &Once) -> Result<Option<ApiKey>, Error> {
    let Some(key) = once.first_key() else { return Ok(None) };
    let record = app.store.reader().await?.api_key_get(key.id()).await?;
    let is_it = record.is_some_and(|record| {
        record.secret_sha256 == api_keys::hash(&key)
            && record.last_used_at.is_none()
            && record.revoked_at.is_none()
    });
    Ok(is_it.then_some(key))
}

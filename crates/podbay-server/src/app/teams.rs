//! Teams and their members. Whoever is no member does not see that there is a team.

use super::{Actor, App, Error, KeysOf, users};
use podbay_core::published::TeamRole;
use podbay_core::{TeamId, Timestamp, UserId, limits};
use podbay_store::{Member, Membership, Page, StoreError, Team, Tx};

/// The membership of a user in the team of that id.
///
/// # Errors
/// [`Error::NotFound`], also for what is no id.
pub(super) async fn membership(tx: &mut Tx, team: &str, user: &UserId) -> Result<Membership, Error> {
    let id = TeamId::parse(team).ok_or(Error::NotFound)?;
    tx.team_of(&id, user).await?.ok_or(Error::NotFound)
}

/// As [`membership`], of a user who may change the team; nobody else changes it until the
/// transaction ends.
pub(super) async fn administered(tx: &mut Tx, team: &str, user: &UserId) -> Result<Membership, Error> {
    tx.team_lock(&TeamId::parse(team).ok_or(Error::NotFound)?).await?;
    let found = membership(tx, team, user).await?;
    if found.role == TeamRole::Admin {
        return Ok(found);
    }
    Err(Error::Denied("only an ADMIN of the team may do this".into()))
}

/// Adds a member, if there is room.
pub(super) async fn join(
    tx: &mut Tx,
    now: Timestamp,
    team: &TeamId,
    user: &UserId,
    role: TeamRole,
) -> Result<(), Error> {
    if tx.member_list(team, 0, 1).await?.total >= limits::TEAM_MEMBERS_MAX as u64 {
        let text = format!("this team has {} members already; remove one first", limits::TEAM_MEMBERS_MAX);
        return Err(Error::Conflict(text));
    }
    if tx.team_list(user, 0, 1).await?.total >= limits::TEAMS_MAX as u64 {
        return Err(Error::Conflict(format!(
            "you are in {} teams already; leave one first",
            limits::TEAMS_MAX
        )));
    }
    Ok(tx.member_insert(team, user, role, now).await?)
}

/// The caller's teams.
///
/// # Errors
/// The database does not answer.
pub async fn team_list(app: &App, actor: &Actor, offset: u64, limit: u64) -> Result<Page<Membership>, Error> {
    Ok(app.store.reader().await?.team_list(&actor.user, offset, limit).await?)
}

/// Makes a team; the caller becomes its ADMIN.
///
/// # Errors
/// [`Error::Conflict`] for a slug that is taken.
pub async fn team_create(
    app: &App,
    actor: &Actor,
    name: String,
    slug: Option<String>,
) -> Result<Membership, Error> {
    let now = app.now();
    let team = Team { id: app.chance.team_id(), name, slug, created_at: now };
    let user = actor.user.clone();
    let made = app.write_once(actor, move |tx| {
        Box::pin(async move {
            match tx.team_insert(&team).await {
                Err(StoreError::Conflict(_)) => return Err(users::slug_taken()),
                other => other?,
            }
            join(tx, now, &team.id, &user, TeamRole::Admin).await?;
            Ok(Membership { team, role: TeamRole::Admin, joined_at: now })
        })
    });
    made.await
}

/// Changes what is given of a team.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN; [`Error::Conflict`] for a slug that is taken.
pub async fn team_update(
    app: &App,
    actor: &Actor,
    id: &str,
    name: Option<String>,
    slug: Option<String>,
) -> Result<Membership, Error> {
    let (user, id) = (actor.user.clone(), id.to_owned());
    let changed = app.store.write(move |tx| {
        Box::pin(async move {
            let mut found = administered(tx, &id, &user).await?;
            found.team.name = name.unwrap_or(found.team.name);
            found.team.slug = slug.or(found.team.slug);
            match tx.team_update(&found.team).await {
                Err(StoreError::Conflict(_)) => Err(users::slug_taken()),
                other => Ok(other.map(|()| found)?),
            }
        })
    });
    changed.await
}

/// Deletes a team that owns nothing that lives.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN; [`Error::Conflict`].
pub async fn team_delete(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let (user, id) = (actor.user.clone(), id.to_owned());
    let deleted = app.store.write(move |tx| {
        Box::pin(async move {
            let found = administered(tx, &id, &user).await?;
            if tx.team_has_live(&found.team.id).await? {
                return Err(Error::Conflict("this team still owns pods or disks; delete them first".into()));
            }
            Ok(tx.team_delete(&found.team.id).await?)
        })
    });
    deleted.await
}

/// The members of a team that the caller is a member of.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn member_list(
    app: &App,
    actor: &Actor,
    id: &str,
    offset: u64,
    limit: u64,
) -> Result<Page<Member>, Error> {
    let mut tx = app.store.reader().await?;
    let found = membership(&mut tx, id, &actor.user).await?;
    Ok(tx.member_list(&found.team.id, offset, limit).await?)
}

/// Gives a member another role.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN; [`Error::Conflict`] for the last ADMIN.
pub async fn member_set_role(
    app: &App,
    actor: &Actor,
    id: &str,
    member: &str,
    role: TeamRole,
) -> Result<Member, Error> {
    let (user, id, member) = (actor.user.clone(), id.to_owned(), member.to_owned());
    let set = app.store.write(move |tx| {
        Box::pin(async move {
            let found = administered(tx, &id, &user).await?;
            let before = membership(tx, &id, &UserId::parse(&member).ok_or(Error::NotFound)?).await?;
            let member = UserId::from_stored(member);
            if role != TeamRole::Admin {
                keep_an_admin(tx, &before).await?;
            }
            tx.member_set_role(&found.team.id, &member, role).await?;
            let user = tx.user_get(&member).await?.ok_or(Error::NotFound)?;
            let joined_at = before.joined_at;
            Ok(Member { user_id: member, name: user.name, email: user.email, role, joined_at })
        })
    });
    set.await
}

/// Removes a member, who loses sight of the team at once. Everybody may remove themselves.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] but to an ADMIN; [`Error::Conflict`] for the last ADMIN.
pub async fn member_remove(app: &App, actor: &Actor, id: &str, member: &str) -> Result<(), Error> {
    let (user, id, member) = (actor.user.clone(), id.to_owned(), member.to_owned());
    let removed = app.store.write(move |tx| {
        Box::pin(async move {
            if member == user.as_str() {
                tx.team_lock(&TeamId::parse(&id).ok_or(Error::NotFound)?).await?;
            } else {
                administered(tx, &id, &user).await?;
            }
            let member = UserId::parse(&member).ok_or(Error::NotFound)?;
            let before = membership(tx, &id, &member).await?;
            keep_an_admin(tx, &before).await?;
            tx.member_delete(&before.team.id, &member).await?;
            Ok::<_, Error>(before.team.id)
        })
    });
    app.keys_touch(KeysOf::Team(removed.await?));
    Ok(())
}

/// Refuses that the only ADMIN stops being one.
async fn keep_an_admin(tx: &mut Tx, leaving: &Membership) -> Result<(), Error> {
    if leaving.role == TeamRole::Admin && tx.member_count(&leaving.team.id, TeamRole::Admin).await? < 2 {
        let text = "a team needs an ADMIN: make another member one first, or delete the team";
        return Err(Error::Conflict(text.into()));
    }
    Ok(())
}

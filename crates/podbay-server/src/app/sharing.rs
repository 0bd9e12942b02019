//! Resources of a team: who may order for it, whom they let in, and who may delete them.

use super::Error;
use super::error::wrong_value;
use podbay_api::FieldError;
use podbay_api::pods::{CreatePod, TeamRef};
use podbay_core::pod::{Pod, Sharing};
use podbay_core::published::TeamRole;
use podbay_core::{Owner, TeamId, Timestamp, UserId};
use podbay_store::Tx;
use std::collections::BTreeSet;

fn no_team() -> FieldError {
    wrong_value("body.team.teamId", "no such team")
}

fn no_member(place: usize) -> FieldError {
    wrong_value(&format!("body.team_member_ids.{place}"), "is no member of this team")
}

/// For which team an order is, and whose keys its pod shall let in.
pub(super) fn asked(order: &CreatePod) -> Result<(Option<TeamId>, Sharing), Vec<FieldError>> {
    let named = order.team_member_ids.as_deref().unwrap_or_default();
    let team = self::named(order.team.as_ref()).map_err(|error| vec![error])?;
    if team.is_none() && (order.shared_with_team || !named.is_empty()) {
        let field = if order.shared_with_team { "body.shared_with_team" } else { "body.team_member_ids" };
        return Err(vec![wrong_value(
            field,
            "only a team's pod can be shared; name the team in team.teamId",
        )]);
    }
    if order.shared_with_team && !named.is_empty() {
        let text = "say either shared_with_team or team_member_ids, not both";
        return Err(vec![wrong_value("body.team_member_ids", text)]);
    }
    if order.shared_with_team {
        return Ok((team, Sharing::Team));
    }
    let mut members = Vec::with_capacity(named.len());
    for (place, id) in named.iter().enumerate() {
        members.push(UserId::parse(id).ok_or_else(|| vec![no_member(place)])?);
    }
    Ok((team, if members.is_empty() { Sharing::Nobody } else { Sharing::Members(members) }))
}

/// Whether a user may order for a team. That does not change until the transaction ends.
pub(super) async fn admit_member(tx: &mut Tx, team: &TeamId, user: &UserId) -> Result<(), Error> {
    tx.team_lock(team).await?;
    match tx.team_of(team, user).await? {
        Some(_) => Ok(()),
        None => Err(Error::Invalid(vec![no_team()])),
    }
}

/// The team that an order names.
pub(super) fn named(team: Option<&TeamRef>) -> Result<Option<TeamId>, FieldError> {
    team.map(|team| TeamId::parse(&team.team_id).ok_or_else(no_team)).transpose()
}

/// Whether the maker of a pod may order for its team, and whether it is shared with members only.
/// Neither changes until the transaction ends.
pub(super) async fn admit(tx: &mut Tx, pod: &Pod, sharing: &Sharing) -> Result<(), Error> {
    let Some(team) = &pod.team_id else { return Ok(()) };
    admit_member(tx, team, &pod.user_id).await?;
    let Sharing::Members(members) = sharing else { return Ok(()) };
    let mut errors = Vec::new();
    for (place, member) in members.iter().enumerate() {
        if tx.team_of(team, member).await?.is_none() {
            errors.push(no_member(place));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// Writes with whom a new pod is shared, and tells it.
pub(super) async fn share(tx: &mut Tx, pod: &Pod, sharing: &Sharing, now: Timestamp) -> Result<(), Error> {
    let (sharing, text) = match sharing {
        Sharing::Nobody => return Ok(()),
        Sharing::Team => (Sharing::Team, "every member of the team is let in".to_owned()),
        Sharing::Members(members) => {
            let distinct: BTreeSet<UserId> = members.iter().cloned().collect();
            let names: Vec<&str> = distinct.iter().map(UserId::as_str).collect();
            let text = format!("these members of the team are let in: {}", names.join(", "));
            (Sharing::Members(distinct.into_iter().collect()), text)
        }
    };
    tx.pod_share(&pod.id, &sharing).await?;
    Ok(tx.event_insert(Some(&pod.id), now, "pod.shared", &text).await?)
}

/// Whether `user`, who sees a resource of `owner` that `maker` made, may delete it, or do to it what the team
/// pays for or loses.
pub(super) async fn may(
    tx: &mut Tx,
    what: &str,
    owner: &Owner,
    maker: &UserId,
    user: &UserId,
) -> Result<(), Error> {
    let Owner::Team(team) = owner else { return Ok(()) };
    let is_admin = tx.team_of(team, user).await?.is_some_and(|found| found.role == TeamRole::Admin);
    if is_admin || maker == user {
        return Ok(());
    }
    Err(Error::Denied(format!("only the one who made this and an ADMIN of the team may {what} it")))
}

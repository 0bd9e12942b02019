//! `/user/teams`, `/teams` and, ours, `/invitations`.

use super::{Operation, delete, get, patch, post};
use crate::paths::{
    INVITATION, INVITATION_ACCEPT, INVITATIONS, TEAM, TEAM_MEMBER, TEAM_MEMBERS, TEAMS, USER_TEAMS,
};
use crate::teams::{
    AcceptInvitation, CreateTeam, Invitation, InvitationCreated, Invite, Joined, Member, SetRole, Team,
    UpdateTeam,
};
use crate::{Data, OffsetPage};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    [of_teams(), of_members(), of_invitations()].concat()
}

fn of_teams() -> Vec<Operation> {
    vec![
        get(USER_TEAMS, "listTeams", "Your teams").asks_for_part().gives::<OffsetPage<Team>>(),
        post(TEAMS, "createTeam", "Make a team")
            .about("You are its first ADMIN.")
            .takes::<CreateTeam>(json!({ "name": "research", "slug": "research" }))
            .gives::<Team>()
            .ours(),
        patch(TEAM, "updateTeam", "Change a team")
            .about("What is absent or null stays as it is.")
            .takes::<UpdateTeam>(json!({ "name": "research" }))
            .gives::<Team>()
            .ours(),
        delete(TEAM, "deleteTeam", "Delete a team").about("It must own nothing any more.").ours(),
    ]
}

fn of_members() -> Vec<Operation> {
    vec![
        get(TEAM_MEMBERS, "listTeamMembers", "Members of a team")
            .asks_for_part()
            .gives::<OffsetPage<Member>>(),
        patch(TEAM_MEMBER, "setTeamRole", "Give a member another role")
            .takes::<SetRole>(json!({ "role": "ADMIN" }))
            .gives::<Member>()
            .ours(),
        delete(TEAM_MEMBER, "removeTeamMember", "Remove a member")
            .about("Members may remove themselves. Somebody must stay who is ADMIN.")
            .ours(),
    ]
}

fn of_invitations() -> Vec<Operation> {
    vec![
        get(INVITATIONS, "listInvitations", "Invitations that wait to be accepted")
            .gives::<Data<Vec<Invitation>>>()
            .ours(),
        post(INVITATIONS, "invite", "Invite somebody into a team")
            .about("The reply is the only one that ever shows the code.")
            .takes::<Invite>(json!({ "role": "MEMBER", "email": "eve@example.org" }))
            .gives::<InvitationCreated>()
            .ours(),
        delete(INVITATION, "revokeInvitation", "Revoke an invitation").ours(),
        post(INVITATION_ACCEPT, "acceptInvitation", "Accept an invitation")
            .about(
                "`id` is the code. With a key its user joins the team; without one a new user does, and the reply \
                 shows its first API key once.",
            )
            .takes::<AcceptInvitation>(json!({ "name": "eve", "email": "eve@example.org" }))
            .refuses(401, "The key that was given is none.")
            .refuses(403, "The key that was given lacks the permission that the text names.")
            .refuses(429, "Too many calls. `Retry-After` says when to try again.")
            .refuses(503, "It cannot be done now. `Retry-After` says when to try again.")
            .gives::<Joined>()
            .ours(),
    ]
}

//! `podbay teams`.

use crate::context::Context;
use crate::failure::Result;
use crate::find;
use crate::output::{Rows, or_none, time};
use crate::printable;
use clap::Subcommand;
use podbay_api::client::Client;
use podbay_api::teams::{CreateTeam, Invitation, Invite, Member, SetRole, Team, UpdateTeam};
use podbay_core::limits;
use podbay_core::published::TeamRole;
use podbay_core::{TeamId, UserId};

/// Manage teams, which share pods and a wallet
#[derive(Debug, Subcommand)]
pub enum Teams {
    /// List the teams that you are a member of
    List,
    /// Make one; you become its ADMIN
    Create {
        /// Display name
        name: String,
        /// Name in addresses: 3 to 30 lower-case letters, digits and dashes
        #[arg(long)]
        slug: Option<String>,
    },
    /// Give a team another name
    Rename {
        /// Id, beginning of one, or name
        team: String,
        /// New display name
        name: String,
    },
    /// Delete a team that owns no pods any more
    Delete {
        /// Id, beginning of one, or name
        team: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List a team's members
    Members {
        /// Id, beginning of one, or name
        team: String,
    },
    /// Make a link that lets one person into a team; it is shown this one time
    Invite {
        /// Id, beginning of one, or name
        team: String,
        /// Role of the new member
        #[arg(long, value_name = "admin|member", default_value = "member", value_parser = role)]
        role: TeamRole,
        /// Whom it is meant for
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// How long the link is valid
        #[arg(long, value_name = "HOURS", default_value_t = limits::INVITATION_HOURS_DEFAULT)]
        hours: u32,
    },
    /// List a team's invitations that nobody has accepted
    Invitations {
        /// Id, beginning of one, or name
        team: String,
    },
    /// Revoke an invitation
    Revoke {
        /// Id, beginning of one, or name
        team: String,
        /// Id of the invitation
        invitation: String,
    },
    /// Give a member another role
    SetRole {
        /// Id, beginning of one, or name
        team: String,
        /// Id, beginning of one, or name
        member: String,
        /// Role
        #[arg(value_name = "admin|member", value_parser = role)]
        role: TeamRole,
    },
    /// Remove a member, or yourself; they lose sight of the team's pods and cannot log in to them
    Remove {
        /// Id, beginning of one, or name
        team: String,
        /// Id, beginning of one, or name
        member: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

fn role(text: &str) -> std::result::Result<TeamRole, String> {
    TeamRole::parse(&text.to_ascii_uppercase()).ok_or_else(|| "the roles are admin and member".to_owned())
}

impl Teams {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List => {
                let teams = client.teams().await?;
                context.list(&teams, "you are in no team; make one with `podbay teams create`", table)
            }
            Self::Create { name, slug } => {
                let team = client.team_create(&CreateTeam { name, slug }).await?;
                context.terminal.say("made");
                context.list(&[team], "", table)
            }
            Self::Rename { team, name } => {
                let team = find_team(&client, &team).await?;
                let change = UpdateTeam { name: Some(name), slug: None };
                let team = client.team_update(&team.team_id, &change).await?;
                context.list(&[team], "", table)
            }
            Self::Delete { team, yes } => {
                let team = find_team(&client, &team).await?;
                context.agree(yes, &format!("Delete team {} ({})?", team.name, team.team_id))?;
                client.team_delete(&team.team_id).await?;
                context.terminal.say(&format!("deleted team {} ({})", team.name, team.team_id));
                Ok(())
            }
            Self::Invite { team, role, email, hours } => {
                let team = find_team(&client, &team).await?;
                let invite = Invite { role: Some(role), email, expires_in_hours: Some(hours) };
                invite_with(context, &client, &team, &invite).await
            }
            Self::Invitations { team } => {
                let team = find_team(&client, &team).await?;
                let invitations = client.invitations(&team.team_id).await?;
                context.list(&invitations, "no invitation waits", invitation_table)
            }
            Self::Revoke { team, invitation } => {
                let team = find_team(&client, &team).await?;
                client.invitation_revoke(&team.team_id, &invitation).await?;
                context.terminal.say(&format!("revoked invitation {invitation}"));
                Ok(())
            }
            Self::Members { team } => {
                let team = find_team(&client, &team).await?;
                let members = client.team_members(&team.team_id).await?;
                context.list(&members, "", member_table)
            }
            Self::SetRole { team, member, role } => {
                let team = find_team(&client, &team).await?;
                let member = find_member(&client, &team.team_id, &member).await?;
                let member = client.team_set_role(&team.team_id, &member, &SetRole { role }).await?;
                context.list(&[member], "", member_table)
            }
            Self::Remove { team, member, yes } => {
                let team = find_team(&client, &team).await?;
                let member = find_member(&client, &team.team_id, &member).await?;
                context
                    .agree(yes, &format!("Remove {member} from team {} ({})?", team.name, team.team_id))?;
                client.team_remove(&team.team_id, &member).await?;
                context.terminal.say(&format!("removed {member} from team {}", team.name));
                Ok(())
            }
        }
    }
}

async fn invite_with(context: &mut Context<'_>, client: &Client, team: &Team, invite: &Invite) -> Result<()> {
    let made = client.invite(&team.team_id, invite).await?;
    let until = time(&made.record.expires_at);
    context.terminal.say(&format!("this link lets one person into team {}, until {until}:", team.name));
    let link = format!("{}{}", client.base().trim_end_matches('/'), made.path);
    context.show(&made, |_| format!("{}\n", printable::line(&link)))?;
    context.terminal.say("they join with: podbay join LINK --name NAME --email ADDRESS");
    context.terminal.say("or, with a key of this server: podbay join LINK");
    Ok(())
}

/// The team that `text` means.
pub async fn find_team(client: &Client, text: &str) -> Result<Team> {
    find::one(client.teams().await?, text, "team").map_err(|failure| {
        if failure.code() == 5 { failure.hint("`podbay teams list` shows them") } else { failure }
    })
}

/// The id of the team that `text` means; one that is whole is not looked up, so that a key for
/// pods alone will do.
pub async fn find_team_id(client: &Client, text: &str) -> Result<String> {
    if TeamId::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    Ok(find_team(client, text).await?.team_id)
}

/// The user id of the member that `text` means.
pub async fn find_member(client: &Client, team: &str, text: &str) -> Result<String> {
    if UserId::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    Ok(find::one(client.team_members(team).await?, text, "member")?.user_id)
}

fn table(teams: &[Team]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "SLUG", "ROLE", "JOINED"]);
    for team in teams {
        rows.push(vec![
            team.team_id.clone(),
            team.name.clone(),
            or_none(team.slug.as_ref()),
            team.role.to_string(),
            time(&team.created_at),
        ]);
    }
    rows
}

fn member_table(members: &[Member]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "EMAIL", "ROLE", "JOINED"]);
    for member in members {
        rows.push(vec![
            member.user_id.clone(),
            or_none(member.user_name.as_ref()),
            or_none(member.user_email.as_ref()),
            member.role.to_string(),
            time(&member.joined_at),
        ]);
    }
    rows
}

fn invitation_table(invitations: &[Invitation]) -> Rows {
    let mut rows = Rows::new(&["ID", "ROLE", "EMAIL", "MADE", "UNTIL"]);
    for invitation in invitations {
        rows.push(vec![
            invitation.id.clone(),
            invitation.role.to_string(),
            or_none(invitation.email.as_ref()),
            time(&invitation.created_at),
            time(&invitation.expires_at),
        ]);
    }
    rows
}

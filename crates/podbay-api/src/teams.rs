//! Teams, members and invitations. The two lists are published; what changes them is an addition.

use crate::check::{Fields, Outcome, count, name, one_of, parse, wrong};
use crate::error::FieldError;
use crate::term::Term;
use podbay_core::limits;
use podbay_core::published::TeamRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A team, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Team {
    /// Id.
    pub team_id: String,
    /// Display name.
    pub name: String,
    /// Name in addresses.
    pub slug: Option<String>,
    /// Role of the one who asks.
    pub role: Term<TeamRole>,
    /// When the one who asks joined (published under this name).
    pub created_at: String,
}

/// A member of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "TeamMember"))]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// User.
    pub user_id: String,
    /// Name.
    pub user_name: Option<String>,
    /// Mail address.
    pub user_email: Option<String>,
    /// Role in the team.
    pub role: Term<TeamRole>,
    /// When the user joined.
    pub joined_at: String,
}

/// An invitation that waits to be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "TeamInvitation"))]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Id; it opens nothing.
    pub id: String,
    /// Into which team.
    pub team_id: String,
    /// Role of the new member.
    pub role: Term<TeamRole>,
    /// For whom it is meant.
    pub email: Option<String>,
    /// User who invites.
    pub invited_by: String,
    /// When it was made.
    pub created_at: String,
    /// From when on it is refused.
    pub expires_at: String,
}

/// A new invitation: its code is shown to the caller, and to nobody later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "TeamInvitationCreated"))]
pub struct InvitationCreated {
    /// The record.
    #[serde(flatten)]
    pub record: Invitation,
    /// What the invited one needs.
    pub code: String,
    /// Where it is accepted, below the address of the server.
    pub path: String,
}

/// A team to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct CreateTeam {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// Name in addresses.
    #[cfg_attr(feature = "openapi", schemars(length(min = 3, max = 30), extend("pattern" = "^[a-z0-9-]+$")))]
    pub slug: Option<String>,
}

impl CreateTeam {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let name = fields.required("name", name);
            let slug = fields.optional("slug", slug);
            fields.deny_others();
            Some(Self { name: name?, slug })
        })
    }
}

/// What to change of a team; null and absent leave it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct UpdateTeam {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: Option<String>,
    /// Name in addresses.
    #[cfg_attr(feature = "openapi", schemars(length(min = 3, max = 30), extend("pattern" = "^[a-z0-9-]+$")))]
    pub slug: Option<String>,
}

impl UpdateTeam {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let name = fields.optional("name", name);
            let slug = fields.optional("slug", slug);
            fields.deny_others();
            Some(Self { name, slug })
        })
    }
}

/// A member's new role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SetRole {
    /// The role.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<TeamRole>"))]
    pub role: TeamRole,
}

impl SetRole {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let role = role(fields, true);
            fields.deny_others();
            Some(Self { role: role? })
        })
    }
}

/// An invitation to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Role of the new member; MEMBER if none.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Term<TeamRole>>"))]
    pub role: Option<TeamRole>,
    /// For whom it is meant.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub email: Option<String>,
    /// How long it can be accepted.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::INVITATION_HOURS_MAX)))]
    pub expires_in_hours: Option<u32>,
}

impl Invite {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let role = role(fields, false);
            let email = fields.optional("email", email);
            let expires_in_hours = fields.optional("expiresInHours", count(limits::INVITATION_HOURS_MAX));
            fields.deny_others();
            Some(Self { role, email, expires_in_hours })
        })
    }
}

/// Who accepts an invitation; nothing of it is read if a key says so already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct AcceptInvitation {
    /// Name of the new user.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: Option<String>,
    /// Mail address of the new user; that of the invitation if none.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub email: Option<String>,
}

impl AcceptInvitation {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let name = fields.optional("name", name);
            let email = fields.optional("email", email);
            fields.deny_others();
            Some(Self { name, email })
        })
    }
}

/// An accepted invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// The team.
    pub team: Team,
    /// The user who has joined.
    pub user_id: String,
    /// The first API key of a new user, shown this one time; null for a user who had one.
    pub key: Option<String>,
}

fn role(fields: &mut Fields<'_>, required: bool) -> Option<TeamRole> {
    let check = one_of(TeamRole::ALL, TeamRole::parse, TeamRole::as_str);
    if required { fields.required("role", check) } else { fields.optional("role", check) }
}

/// 3 to 30 of `a-z`, `0-9` and `-`, as published.
pub(crate) fn slug(value: &Value) -> Outcome<String> {
    let text = value.as_str().ok_or_else(|| wrong("string_type", "must be a string"))?;
    let fits = limits::SLUG_CHARS.contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !fits {
        let (least, most) = (limits::SLUG_CHARS.start(), limits::SLUG_CHARS.end());
        let msg = format!("must be {least} to {most} lower-case letters, digits and dashes");
        return Err(wrong("string_pattern_mismatch", msg));
    }
    Ok(text.to_owned())
}

/// A mail address, as far as that can be seen without sending to it.
pub(crate) fn email(value: &Value) -> Outcome<String> {
    let text = name(value)?;
    let is_address = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !is_address || text.contains(char::is_whitespace) {
        return Err(wrong("value_error", "must be a mail address, as in ada@example.org"));
    }
    Ok(text)
}

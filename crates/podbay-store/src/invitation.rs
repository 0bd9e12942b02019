//! Invitations into a team. The code is not stored, only its hash; a row ends with its use.

use crate::account::to_hex;
use crate::sqlite::row;
use crate::{Result, StoreError, Tx, all, exec, opt};
use podbay_core::published::TeamRole;
use podbay_core::{InvitationId, TeamId, Timestamp, UserId};

/// An invitation that has not been accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Id.
    pub id: InvitationId,
    /// Into which team.
    pub team_id: TeamId,
    /// Who invites.
    pub invited_by: UserId,
    /// Role of the new member.
    pub role: TeamRole,
    /// For whom it is meant.
    pub email: Option<String>,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

row! {
    struct InvitationRow {
        id: String,
        team_id: String,
        invited_by: String,
        role: String,
        email: Option<String>,
        expires_at: i64,
        created_at: i64,
    }
}

impl TryFrom<InvitationRow> for Invitation {
    type Error = StoreError;
    fn try_from(row: InvitationRow) -> Result<Self> {
        let corrupt = || StoreError::Corrupt { table: "invitations", column: "role", row: row.id.clone() };
        Ok(Self {
            role: TeamRole::parse(&row.role).ok_or_else(corrupt)?,
            id: InvitationId::from_stored(row.id),
            team_id: TeamId::from_stored(row.team_id),
            invited_by: UserId::from_stored(row.invited_by),
            email: row.email,
            expires_at: Timestamp::from_millis(row.expires_at),
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

impl Tx {
    /// Adds an invitation whose code has this hash.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn invitation_insert(&mut self, invitation: &Invitation, code_sha256: &[u8; 32]) -> Result<()> {
        exec!(
            self,
            "INSERT INTO invitations (id, team_id, invited_by, role, email, code_sha256, expires_at, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            invitation.id.as_str(),
            invitation.team_id.as_str(),
            invitation.invited_by.as_str(),
            invitation.role.as_str(),
            &invitation.email,
            to_hex(code_sha256),
            invitation.expires_at.as_millis(),
            invitation.created_at.as_millis()
        )?;
        Ok(())
    }

    /// The invitation whose code has this hash, whether or not it has expired.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn invitation_find(&mut self, code_sha256: &[u8; 32]) -> Result<Option<Invitation>> {
        let sql = "SELECT * FROM invitations WHERE code_sha256 = $1";
        opt!(self, InvitationRow, sql, to_hex(code_sha256))?.map(Invitation::try_from).transpose()
    }

    /// A team's invitations, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn invitation_list(&mut self, team: &TeamId) -> Result<Vec<Invitation>> {
        let sql = "SELECT * FROM invitations WHERE team_id = $1 ORDER BY created_at, id";
        all!(self, InvitationRow, sql, team.as_str())?.into_iter().map(Invitation::try_from).collect()
    }

    /// Deletes an invitation of that team; whether it was this call that did.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn invitation_delete(&mut self, team: &TeamId, id: &InvitationId) -> Result<bool> {
        let sql = "DELETE FROM invitations WHERE team_id = $1 AND id = $2";
        Ok(exec!(self, sql, team.as_str(), id.as_str())? == 1)
    }
}

//! Teams and their members.

use crate::account::bound;
use crate::sqlite::row;
use crate::{Page, Result, StoreError, Tx, all, exec, opt};
use podbay_core::published::TeamRole;
use podbay_core::{TeamId, Timestamp, UserId};

/// A team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Id.
    pub id: TeamId,
    /// Display name.
    pub name: String,
    /// Unique short name.
    pub slug: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A team, as one of its members has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The team.
    pub team: Team,
    /// The member's role.
    pub role: TeamRole,
    /// When the member joined.
    pub joined_at: Timestamp,
}

/// A member, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Role in the team.
    pub role: TeamRole,
    /// When the user joined.
    pub joined_at: Timestamp,
}

row! {
    struct TeamRow {
        id: String,
        name: String,
        slug: Option<String>,
        created_at: i64,
    }
}

impl From<TeamRow> for Team {
    fn from(row: TeamRow) -> Self {
        Self {
            id: TeamId::from_stored(row.id),
            name: row.name,
            slug: row.slug,
            created_at: Timestamp::from_millis(row.created_at),
        }
    }
}

row! {
    struct MembershipRow {
        id: String,
        name: String,
        slug: Option<String>,
        created_at: i64,
        role: String,
        joined_at: i64,
    }
}

impl TryFrom<MembershipRow> for Membership {
    type Error = StoreError;
    fn try_from(row: MembershipRow) -> Result<Self> {
        Ok(Self {
            role: team_role(&row.role, &row.id)?,
            joined_at: Timestamp::from_millis(row.joined_at),
            team: Team {
                id: TeamId::from_stored(row.id),
                name: row.name,
                slug: row.slug,
                created_at: Timestamp::from_millis(row.created_at),
            },
        })
    }
}

row! {
    struct MemberRow {
        user_id: String,
        name: String,
        email: String,
        role: String,
        joined_at: i64,
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;
    fn try_from(row: MemberRow) -> Result<Self> {
        Ok(Self {
            role: team_role(&row.role, &row.user_id)?,
            user_id: UserId::from_stored(row.user_id),
            name: row.name,
            email: row.email,
            joined_at: Timestamp::from_millis(row.joined_at),
        })
    }
}

fn team_role(text: &str, row: &str) -> Result<TeamRole> {
    let corrupt = || StoreError::Corrupt { table: "team_members", column: "role", row: row.to_owned() };
    TeamRole::parse(text).ok_or_else(corrupt)
}

impl Tx {
    /// Holds everybody else who changes the same team, or orders for it, up until the transaction
    /// ends. To be called before its rows are read.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_lock(&mut self, id: &TeamId) -> Result<()> {
        self.lock_name(id.as_str()).await
    }

    /// Adds a team.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a slug that is taken.
    pub async fn team_insert(&mut self, team: &Team) -> Result<()> {
        exec!(
            self,
            "INSERT INTO teams (id, name, slug, created_at) VALUES ($1, $2, $3, $4)",
            team.id.as_str(),
            &team.name,
            &team.slug,
            team.created_at.as_millis()
        )?;
        Ok(())
    }

    /// The team of that id.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_get(&mut self, id: &TeamId) -> Result<Option<Team>> {
        Ok(opt!(self, TeamRow, "SELECT * FROM teams WHERE id = $1", id.as_str())?.map(Team::from))
    }

    /// Writes the name and the slug of a team.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a slug that is taken.
    pub async fn team_update(&mut self, team: &Team) -> Result<()> {
        let sql = "UPDATE teams SET name = $2, slug = $3 WHERE id = $1";
        exec!(self, sql, team.id.as_str(), &team.name, &team.slug)?;
        Ok(())
    }

    /// Deletes a team with its members and invitations. What it has owned stays, and nobody sees it.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_delete(&mut self, id: &TeamId) -> Result<()> {
        exec!(self, "DELETE FROM invitations WHERE team_id = $1", id.as_str())?;
        exec!(self, "DELETE FROM team_members WHERE team_id = $1", id.as_str())?;
        exec!(self, "DELETE FROM teams WHERE id = $1", id.as_str())?;
        Ok(())
    }

    /// Whether a team owns anything that lives.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_has_live(&mut self, id: &TeamId) -> Result<bool> {
        let sql = "SELECT id FROM pods WHERE owner_id = $1 AND terminated_at IS NULL \
                   UNION ALL SELECT id FROM disks WHERE owner_id = $1 AND terminated_at IS NULL LIMIT 1";
        Ok(opt!(self, (String,), sql, id.as_str())?.is_some())
    }

    /// A part of a user's teams, in the order in which they were joined.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_list(&mut self, user: &UserId, offset: u64, limit: u64) -> Result<Page<Membership>> {
        let rows = all!(
            self,
            MembershipRow,
            "SELECT t.*, m.role, m.joined_at FROM team_members m JOIN teams t ON t.id = m.team_id \
             WHERE m.user_id = $1 ORDER BY m.joined_at, m.team_id LIMIT $2 OFFSET $3",
            user.as_str(),
            bound(limit),
            bound(offset)
        )?;
        let sql = "SELECT COUNT(*) FROM team_members WHERE user_id = $1";
        let total = opt!(self, (i64,), sql, user.as_str())?.map_or(0, |(total,)| total.unsigned_abs());
        Ok(Page { items: rows.into_iter().map(Membership::try_from).collect::<Result<_>>()?, total })
    }

    /// A user's membership in a team, if there is one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn team_of(&mut self, team: &TeamId, user: &UserId) -> Result<Option<Membership>> {
        let sql = "SELECT t.*, m.role, m.joined_at FROM team_members m JOIN teams t ON t.id = m.team_id \
                   WHERE m.team_id = $1 AND m.user_id = $2";
        opt!(self, MembershipRow, sql, team.as_str(), user.as_str())?.map(Membership::try_from).transpose()
    }

    /// Adds a member.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a user who is one already.
    pub async fn member_insert(
        &mut self,
        team: &TeamId,
        user: &UserId,
        role: TeamRole,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO team_members (team_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4)";
        exec!(self, sql, team.as_str(), user.as_str(), role.as_str(), now.as_millis())?;
        Ok(())
    }

    /// Writes a member's role; whether there is such a member.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn member_set_role(&mut self, team: &TeamId, user: &UserId, role: TeamRole) -> Result<bool> {
        let sql = "UPDATE team_members SET role = $3 WHERE team_id = $1 AND user_id = $2";
        Ok(exec!(self, sql, team.as_str(), user.as_str(), role.as_str())? == 1)
    }

    /// Removes a member; whether there was one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn member_delete(&mut self, team: &TeamId, user: &UserId) -> Result<bool> {
        let sql = "DELETE FROM team_members WHERE team_id = $1 AND user_id = $2";
        Ok(exec!(self, sql, team.as_str(), user.as_str())? == 1)
    }

    /// A part of a team's members, in the order in which they joined.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn member_list(&mut self, team: &TeamId, offset: u64, limit: u64) -> Result<Page<Member>> {
        let rows = all!(
            self,
            MemberRow,
            "SELECT m.user_id, u.name, u.email, m.role, m.joined_at FROM team_members m \
             JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 ORDER BY m.joined_at, m.user_id \
             LIMIT $2 OFFSET $3",
            team.as_str(),
            bound(limit),
            bound(offset)
        )?;
        let sql = "SELECT COUNT(*) FROM team_members WHERE team_id = $1";
        let total = opt!(self, (i64,), sql, team.as_str())?.map_or(0, |(total,)| total.unsigned_abs());
        Ok(Page { items: rows.into_iter().map(Member::try_from).collect::<Result<_>>()?, total })
    }

    /// How many members of a team have a role.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn member_count(&mut self, team: &TeamId, role: TeamRole) -> Result<u64> {
        let sql = "SELECT COUNT(*) FROM team_members WHERE team_id = $1 AND role = $2";
        let row = opt!(self, (i64,), sql, team.as_str(), role.as_str())?;
        Ok(row.map_or(0, |(count,)| count.unsigned_abs()))
    }
}

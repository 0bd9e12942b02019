//! Templates, and credentials of registries.

use crate::account::bound;
use crate::sqlite::row;
use crate::{Page, Result, StoreError, Tx, all, exec, json, opt, to_json};
use podbay_core::template::{RegistryCredentials, Template};
use podbay_core::{CredentialsId, TeamId, TemplateId, Timestamp, UserId};

row! {
    struct TemplateRow {
        id: String,
        user_id: String,
        team_id: Option<String>,
        name: String,
        image: String,
        command: Option<String>,
        env: String,
        ports: String,
        registry_credentials_id: Option<String>,
        created_at: i64,
        updated_at: i64,
    }
}

impl TryFrom<TemplateRow> for Template {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Self> {
        let command = row.command.as_deref().map(|text| json(text, "templates", "command", &row.id));
        Ok(Self {
            command: command.transpose()?,
            env: json(&row.env, "templates", "env", &row.id)?,
            ports: json(&row.ports, "templates", "ports", &row.id)?,
            id: TemplateId::from_stored(row.id),
            user_id: UserId::from_stored(row.user_id),
            team_id: row.team_id.map(TeamId::from_stored),
            name: row.name,
            image: row.image,
            credentials: row.registry_credentials_id.map(CredentialsId::from_stored),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        })
    }
}

row! {
    struct CredentialsRow {
        id: String,
        user_id: String,
        name: String,
        server: String,
        username: String,
        password_sealed: String,
        created_at: i64,
        updated_at: i64,
    }
}

impl From<CredentialsRow> for RegistryCredentials {
    fn from(row: CredentialsRow) -> Self {
        Self {
            id: CredentialsId::from_stored(row.id),
            user_id: UserId::from_stored(row.user_id),
            name: row.name,
            server: row.server,
            username: row.username,
            password_sealed: row.password_sealed,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        }
    }
}

impl Tx {
    /// Adds a template.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn template_insert(&mut self, template: &Template) -> Result<()> {
        exec!(
            self,
            "INSERT INTO templates (id, user_id, team_id, name, image, command, env, ports, \
             registry_credentials_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            template.id.as_str(),
            template.user_id.as_str(),
            template.team_id.as_ref().map(TeamId::as_str),
            &template.name,
            &template.image,
            template.command.as_ref().map(to_json).transpose()?,
            to_json(&template.env)?,
            to_json(&template.ports)?,
            template.credentials.as_ref().map(CredentialsId::as_str),
            template.created_at.as_millis(),
            template.updated_at.as_millis()
        )?;
        Ok(())
    }

    /// Writes what may change of a template; whether it is there.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn template_update(&mut self, template: &Template) -> Result<bool> {
        let changed = exec!(
            self,
            "UPDATE templates SET name = $2, image = $3, command = $4, env = $5, ports = $6, \
             registry_credentials_id = $7, updated_at = $8 WHERE id = $1 AND deleted_at IS NULL",
            template.id.as_str(),
            &template.name,
            &template.image,
            template.command.as_ref().map(to_json).transpose()?,
            to_json(&template.env)?,
            to_json(&template.ports)?,
            template.credentials.as_ref().map(CredentialsId::as_str),
            template.updated_at.as_millis()
        )?;
        Ok(changed == 1)
    }

    /// A template of that user.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn template_get(&mut self, user: &UserId, id: &TemplateId) -> Result<Option<Template>> {
        let sql = "SELECT * FROM templates WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL";
        opt!(self, TemplateRow, sql, user.as_str(), id.as_str())?.map(Template::try_from).transpose()
    }

    /// A part of a user's templates, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn template_list(&mut self, user: &UserId, offset: u64, limit: u64) -> Result<Page<Template>> {
        let sql = "SELECT * FROM templates WHERE user_id = $1 AND deleted_at IS NULL \
                   ORDER BY created_at, id LIMIT $2 OFFSET $3";
        let rows = all!(self, TemplateRow, sql, user.as_str(), bound(limit), bound(offset))?;
        let sql = "SELECT COUNT(*) FROM templates WHERE user_id = $1 AND deleted_at IS NULL";
        let total = opt!(self, (i64,), sql, user.as_str())?;
        let items = rows.into_iter().map(Template::try_from).collect::<Result<_>>()?;
        Ok(Page { items, total: total.map_or(0, |(total,)| total.unsigned_abs()) })
    }

    /// Deletes a template of that user; whether there was one. Pods of it keep what they have.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn template_delete(&mut self, user: &UserId, id: &TemplateId, now: Timestamp) -> Result<bool> {
        let sql =
            "UPDATE templates SET deleted_at = $3 WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL";
        Ok(exec!(self, sql, user.as_str(), id.as_str(), now.as_millis())? == 1)
    }

    /// Adds credentials of a registry.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credentials_insert(&mut self, credentials: &RegistryCredentials) -> Result<()> {
        exec!(
            self,
            "INSERT INTO registry_credentials (id, user_id, name, server, username, password_sealed, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            credentials.id.as_str(),
            credentials.user_id.as_str(),
            &credentials.name,
            &credentials.server,
            &credentials.username,
            &credentials.password_sealed,
            credentials.created_at.as_millis(),
            credentials.updated_at.as_millis()
        )?;
        Ok(())
    }

    /// Credentials of that user.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credentials_get(
        &mut self,
        user: &UserId,
        id: &CredentialsId,
    ) -> Result<Option<RegistryCredentials>> {
        let sql = "SELECT * FROM registry_credentials WHERE user_id = $1 AND id = $2";
        Ok(opt!(self, CredentialsRow, sql, user.as_str(), id.as_str())?.map(RegistryCredentials::from))
    }

    /// All credentials of a user, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credentials_list(&mut self, user: &UserId) -> Result<Vec<RegistryCredentials>> {
        let sql = "SELECT * FROM registry_credentials WHERE user_id = $1 ORDER BY created_at, id";
        let rows = all!(self, CredentialsRow, sql, user.as_str())?;
        Ok(rows.into_iter().map(RegistryCredentials::from).collect())
    }

    /// Deletes credentials of that user, password and all; whether there were any.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credentials_delete(&mut self, user: &UserId, id: &CredentialsId) -> Result<bool> {
        let sql = "DELETE FROM registry_credentials WHERE user_id = $1 AND id = $2";
        Ok(exec!(self, sql, user.as_str(), id.as_str())? == 1)
    }
}

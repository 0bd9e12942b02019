//! Installation, users, API keys, SSH keys.

use crate::sqlite::row;
use crate::{Page, Result, StoreError, Tx, all, exec, json, opt, to_json};
use podbay_core::permission::Scopes;
use podbay_core::published::UserRole;
use podbay_core::{ApiKeyId, InstallId, SshKeyId, Timestamp, UserId};
use std::time::Duration;

/// Precision of `last_used_at`: keys are used far more often than anybody looks.
pub const LAST_USED_PRECISION: Duration = Duration::from_secs(60);

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Unique name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Published short name.
    pub slug: Option<String>,
    /// Role.
    pub role: UserRole,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Public part.
    pub id: ApiKeyId,
    /// Whose.
    pub user_id: UserId,
    /// Display name.
    pub name: String,
    /// SHA-256 of the whole key.
    pub secret_sha256: [u8; 32],
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An SSH public key of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKeyRecord {
    /// Id.
    pub id: SshKeyId,
    /// Whose.
    pub user_id: UserId,
    /// Display name.
    pub name: String,
    /// The line, as in `authorized_keys`.
    pub public_key: String,
    /// `SHA256:…`; unique in an account.
    pub fingerprint: String,
    /// Whether it is the account's primary key.
    pub is_primary: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

row! {
    struct UserRow {
        id: String,
        name: String,
        email: String,
        slug: Option<String>,
        role: String,
        created_at: i64,
    }
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;
    fn try_from(row: UserRow) -> Result<Self> {
        let corrupt = || StoreError::Corrupt { table: "users", column: "role", row: row.id.clone() };
        Ok(Self {
            role: UserRole::parse(&row.role).ok_or_else(corrupt)?,
            id: UserId::from_stored(row.id),
            name: row.name,
            email: row.email,
            slug: row.slug,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

row! {
    struct ApiKeyRow {
        id: String,
        user_id: String,
        name: String,
        secret_sha256: String,
        scopes: String,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
        last_used_at: Option<i64>,
        created_at: i64,
    }
}

impl TryFrom<ApiKeyRow> for ApiKeyRecord {
    type Error = StoreError;
    fn try_from(row: ApiKeyRow) -> Result<Self> {
        let corrupt =
            || StoreError::Corrupt { table: "api_keys", column: "secret_sha256", row: row.id.clone() };
        Ok(Self {
            secret_sha256: from_hex(&row.secret_sha256).ok_or_else(corrupt)?,
            scopes: json(&row.scopes, "api_keys", "scopes", &row.id)?,
            id: ApiKeyId::from_stored(row.id),
            user_id: UserId::from_stored(row.user_id),
            name: row.name,
            expires_at: row.expires_at.map(Timestamp::from_millis),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            last_used_at: row.last_used_at.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

pub(crate) fn to_hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

row! {
    pub(crate) struct SshKeyRow {
        id: String,
        user_id: String,
        name: String,
        public_key: String,
        fingerprint: String,
        is_primary: bool,
        created_at: i64,
        updated_at: i64,
    }
}

impl From<SshKeyRow> for SshKeyRecord {
    fn from(row: SshKeyRow) -> Self {
        Self {
            id: SshKeyId::from_stored(row.id),
            user_id: UserId::from_stored(row.user_id),
            name: row.name,
            public_key: row.public_key,
            fingerprint: row.fingerprint,
            is_primary: row.is_primary,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        }
    }
}

impl Tx {
    /// The id of this installation: the stored one, or `fresh` if there is none yet.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn install_id(&mut self, fresh: &InstallId, now: Timestamp) -> Result<InstallId> {
        exec!(
            self,
            "INSERT INTO install (singleton, id, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
            fresh.as_str(),
            now.as_millis()
        )?;
        let row = opt!(self, (String,), "SELECT id FROM install")?;
        row.map(|(id,)| InstallId::from_stored(id))
            .ok_or_else(|| StoreError::Other("no installation row".into()))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a name that is taken.
    pub async fn user_insert(&mut self, user: &User) -> Result<()> {
        exec!(
            self,
            "INSERT INTO users (id, name, email, slug, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            user.id.as_str(),
            &user.name,
            &user.email,
            &user.slug,
            user.role.as_str(),
            user.created_at.as_millis()
        )?;
        Ok(())
    }

    /// The user of that id.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn user_get(&mut self, id: &UserId) -> Result<Option<User>> {
        opt!(self, UserRow, "SELECT * FROM users WHERE id = $1", id.as_str())?.map(User::try_from).transpose()
    }

    /// The user of that name.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn user_find_by_name(&mut self, name: &str) -> Result<Option<User>> {
        opt!(self, UserRow, "SELECT * FROM users WHERE name = $1", name)?.map(User::try_from).transpose()
    }

    /// Holds everybody else who wants to add a user up until the transaction ends.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn user_names_lock(&mut self) -> Result<()> {
        self.lock_name("user names").await
    }

    /// All users, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn user_list(&mut self) -> Result<Vec<User>> {
        let rows = all!(self, UserRow, "SELECT * FROM users ORDER BY created_at, id")?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// The names of all users, in no order.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn user_names(&mut self) -> Result<Vec<String>> {
        let names = all!(self, (String,), "SELECT name FROM users")?;
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    /// Writes a user's slug.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for one that is taken.
    pub async fn user_set_slug(&mut self, id: &UserId, slug: &str) -> Result<()> {
        exec!(self, "UPDATE users SET slug = $2 WHERE id = $1", id.as_str(), slug)?;
        Ok(())
    }

    /// Adds an API key.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn api_key_insert(&mut self, key: &ApiKeyRecord) -> Result<()> {
        exec!(
            self,
            "INSERT INTO api_keys (id, user_id, name, secret_sha256, scopes, expires_at, revoked_at, last_used_at, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            key.id.as_str(),
            key.user_id.as_str(),
            &key.name,
            to_hex(&key.secret_sha256),
            to_json(&key.scopes)?,
            key.expires_at.map(Timestamp::as_millis),
            key.revoked_at.map(Timestamp::as_millis),
            key.last_used_at.map(Timestamp::as_millis),
            key.created_at.as_millis()
        )?;
        Ok(())
    }

    /// The API key of that id, whatever its state.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn api_key_get(&mut self, id: &ApiKeyId) -> Result<Option<ApiKeyRecord>> {
        let row = opt!(self, ApiKeyRow, "SELECT * FROM api_keys WHERE id = $1", id.as_str())?;
        row.map(ApiKeyRecord::try_from).transpose()
    }

    /// A user's API keys, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn api_key_list(&mut self, user: &UserId) -> Result<Vec<ApiKeyRecord>> {
        let sql = "SELECT * FROM api_keys WHERE user_id = $1 ORDER BY created_at, id";
        all!(self, ApiKeyRow, sql, user.as_str())?.into_iter().map(ApiKeyRecord::try_from).collect()
    }

    /// Revokes a key of that user; whether there was one to revoke.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn api_key_revoke(&mut self, user: &UserId, id: &ApiKeyId, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE api_keys SET revoked_at = $3 WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL";
        Ok(exec!(self, sql, user.as_str(), id.as_str(), now.as_millis())? > 0)
    }

    /// Notes that a key was used, at most once a minute.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn api_key_touch(&mut self, id: &ApiKeyId, now: Timestamp) -> Result<()> {
        let before = now.as_millis() - i64::try_from(LAST_USED_PRECISION.as_millis()).unwrap_or(0);
        let sql = "UPDATE api_keys SET last_used_at = $2 \
                   WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
        exec!(self, sql, id.as_str(), now.as_millis(), before)?;
        Ok(())
    }

    /// Adds an SSH key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the account has the same key already.
    pub async fn ssh_key_insert(&mut self, key: &SshKeyRecord) -> Result<()> {
        exec!(
            self,
            "INSERT INTO ssh_keys (id, user_id, name, public_key, fingerprint, is_primary, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            key.id.as_str(),
            key.user_id.as_str(),
            &key.name,
            &key.public_key,
            &key.fingerprint,
            key.is_primary,
            key.created_at.as_millis(),
            key.updated_at.as_millis()
        )?;
        Ok(())
    }

    /// A part of a user's SSH keys, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_key_list(
        &mut self,
        user: &UserId,
        offset: u64,
        limit: u64,
    ) -> Result<Page<SshKeyRecord>> {
        let sql = "SELECT * FROM ssh_keys WHERE user_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3";
        let rows = all!(self, SshKeyRow, sql, user.as_str(), bound(limit), bound(offset))?;
        let total = opt!(self, (i64,), "SELECT COUNT(*) FROM ssh_keys WHERE user_id = $1", user.as_str())?;
        let items = rows.into_iter().map(SshKeyRecord::from).collect();
        Ok(Page { items, total: total.map_or(0, |(total,)| total.unsigned_abs()) })
    }

    /// All of a user's SSH keys, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_key_all(&mut self, user: &UserId) -> Result<Vec<SshKeyRecord>> {
        let sql = "SELECT * FROM ssh_keys WHERE user_id = $1 ORDER BY created_at, id";
        Ok(all!(self, SshKeyRow, sql, user.as_str())?.into_iter().map(SshKeyRecord::from).collect())
    }

    /// One SSH key of that user.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_key_get(&mut self, user: &UserId, id: &SshKeyId) -> Result<Option<SshKeyRecord>> {
        let sql = "SELECT * FROM ssh_keys WHERE user_id = $1 AND id = $2";
        Ok(opt!(self, SshKeyRow, sql, user.as_str(), id.as_str())?.map(SshKeyRecord::from))
    }

    /// Deletes an SSH key of that user; the oldest one left becomes primary if it was.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_key_delete(&mut self, user: &UserId, id: &SshKeyId) -> Result<bool> {
        let sql = "DELETE FROM ssh_keys WHERE user_id = $1 AND id = $2";
        if exec!(self, sql, user.as_str(), id.as_str())? == 0 {
            return Ok(false);
        }
        exec!(
            self,
            "UPDATE ssh_keys SET is_primary = TRUE \
             WHERE id = (SELECT id FROM ssh_keys WHERE user_id = $1 ORDER BY created_at, id LIMIT 1) \
             AND NOT EXISTS (SELECT 1 FROM ssh_keys WHERE user_id = $1 AND is_primary)",
            user.as_str()
        )?;
        Ok(true)
    }

    /// Makes one SSH key of that user the primary one, and no other.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_key_set_primary(
        &mut self,
        user: &UserId,
        id: &SshKeyId,
        now: Timestamp,
    ) -> Result<bool> {
        if self.ssh_key_get(user, id).await?.is_none() {
            return Ok(false);
        }
        // First the old one: a unique index holds at every moment.
        let clear = "UPDATE ssh_keys SET is_primary = FALSE, updated_at = $3 \
                     WHERE user_id = $1 AND is_primary AND id <> $2";
        exec!(self, clear, user.as_str(), id.as_str(), now.as_millis())?;
        let set = "UPDATE ssh_keys SET is_primary = TRUE, updated_at = $3 \
                   WHERE user_id = $1 AND id = $2 AND NOT is_primary";
        exec!(self, set, user.as_str(), id.as_str(), now.as_millis())?;
        Ok(true)
    }
}

/// A page bound as the database takes it.
pub(crate) fn bound(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

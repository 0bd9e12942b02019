//! SSH public keys of an account.

use crate::check::{Fields, parse};
use crate::error::FieldError;
use podbay_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A key that is installed in every pod of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "SSHKey"))]
#[serde(rename_all = "camelCase")]
pub struct SshKey {
    /// Id.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// Display name.
    pub name: String,
    /// The whole line.
    pub public_key: String,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Whether the user added it, not the platform.
    pub is_user_key: bool,
    /// When it was added.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Answer to a change of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SshKeyUpdated {
    /// For a person.
    pub message: String,
    /// What is different now.
    pub updated_fields: UpdatedFields,
}

/// What a change of a key has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdatedFields {
    /// Always true.
    pub is_primary: bool,
}

/// A key to add. Whether it is one is for the server to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddSshKey {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// One line, as in the file that ends in `.pub`.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::SSH_KEY_BYTES_MAX)))]
    pub public_key: String,
}

impl AddSshKey {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let name = fields.required("name", crate::check::name);
            let public_key = fields.required("publicKey", public_key);
            Some(Self { name: name?, public_key: public_key? })
        })
    }
}

fn public_key(value: &Value) -> crate::check::Outcome<String> {
    let text = crate::check::text_bytes(value, limits::SSH_KEY_BYTES_MAX)?;
    if text.trim().is_empty() {
        return Err(crate::check::wrong("string_too_short", "must not be empty"));
    }
    Ok(text)
}

/// A change of a key. The only change there is makes it the primary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PatchSshKey {
    /// Always true.
    #[cfg_attr(feature = "openapi", schemars(extend("const" = true)))]
    pub is_primary: bool,
}

impl PatchSshKey {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let is_primary = fields.required("isPrimary", |value| match value {
                Value::Bool(true) => Ok(true),
                _ => Err(crate::check::wrong("literal_error", "must be true")),
            });
            Some(Self { is_primary: is_primary? })
        })
    }
}

//! Who a key belongs to, and what it may do.

use crate::check::parse;
use crate::error::FieldError;
use crate::term::{Term, null_as_default};
use podbay_core::permission::{Level, Scope, Scopes};
use podbay_core::published::UserRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The user of the key, and the key's scopes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "User"))]
#[serde(rename_all = "camelCase")]
pub struct WhoAmI {
    /// User.
    pub id: String,
    /// Role in the installation.
    pub role: Term<UserRole>,
    /// When the account was made.
    pub created_at: String,
    /// Name.
    pub name: Option<String>,
    /// Name in addresses.
    pub slug: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Picture.
    pub image: Option<String>,
    /// Whether or when the address was verified; its type is not published.
    pub email_verified: Option<Value>,
    /// Published; false here.
    #[serde(default)]
    pub has_beta_access: bool,
    /// Published; false here.
    #[serde(default)]
    pub is_banned: bool,
    /// Published; whether pods can be ordered without credit.
    #[serde(default)]
    pub skip_prepay: bool,
    /// Published; empty here.
    #[serde(default, deserialize_with = "null_as_default")]
    pub blacklist: Vec<Value>,
    /// What the key may do; null for a scope means nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub scope: BTreeMap<String, Option<Access>>,
}

/// A user, as the owner of the installation sees it (an addition).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "UserAccount"))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Name in addresses.
    pub slug: Option<String>,
    /// Role in the installation.
    pub role: Term<UserRole>,
    /// When the account was made.
    pub created_at: String,
}

/// A new user: the first API key is shown to the caller, and to nobody later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct UserCreated {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The whole key.
    pub key: String,
}

/// A user to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct CreateUser {
    /// Name; unique.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = podbay_core::limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// Mail address.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = podbay_core::limits::NAME_CHARS_MAX)))]
    pub email: String,
}

impl CreateUser {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let name = fields.required("name", crate::check::name);
            let email = fields.required("email", crate::teams::email);
            fields.deny_others();
            Some(Self { name: name?, email: email? })
        })
    }
}

/// The caller's new name in addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SetSlug {
    /// The name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 3, max = 30), extend("pattern" = "^[a-z0-9-]+$")))]
    pub slug: String,
}

impl SetSlug {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| Some(Self { slug: fields.required("slug", crate::teams::slug)? }))
    }
}

/// How far a key may go within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Access {
    /// Look.
    pub read: bool,
    /// Change.
    pub write: bool,
}

/// Scopes as this contract shows them to the key's user.
#[must_use]
pub fn scope_map(scopes: &Scopes) -> BTreeMap<String, Option<Access>> {
    let access = |scope| match scopes.level(scope) {
        Level::None => None,
        level => Some(Access { read: true, write: level == Level::Write }),
    };
    Scope::ALL.into_iter().map(|scope| (scope.name().to_owned(), access(scope))).collect()
}

//! Who a key belongs to, and what it may do.

use crate::term::{Term, null_as_default};
use podbay_core::permission::{Level, Scope, Scopes};
use podbay_core::published::UserRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The user of the key, and the key's scopes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Published; true here, as there is nothing to prepay.
    #[serde(default)]
    pub skip_prepay: bool,
    /// Published; empty here.
    #[serde(default, deserialize_with = "null_as_default")]
    pub blacklist: Vec<Value>,
    /// What the key may do; null for a scope means nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub scope: BTreeMap<String, Option<Access>>,
}

/// How far a key may go within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

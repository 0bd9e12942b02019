//! API keys: made, listed and revoked over the API itself. An addition to the published contract.

use crate::check::{Fields, Outcome, parse, wrong};
use crate::error::FieldError;
use podbay_core::Timestamp;
use podbay_core::permission::{Level, Scope, Scopes};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// A key as it is listed: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The public part of the key.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Scope → `none`, `read` or `write`.
    #[cfg_attr(feature = "openapi", schemars(with = "BTreeMap<String, crate::Term<Level>>"))]
    pub scopes: BTreeMap<String, Level>,
    /// When it was made.
    pub created_at: String,
    /// When it ends by itself.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// When it was last used.
    pub last_used_at: Option<String>,
}

/// A new key: its secret is shown to the caller, and to nobody later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ApiKeyCreated {
    /// The record.
    #[serde(flatten)]
    pub record: ApiKey,
    /// The whole key.
    pub key: String,
}

/// Levels of all scopes, by name.
#[must_use]
pub fn level_map(scopes: &Scopes) -> BTreeMap<String, Level> {
    Scope::ALL.into_iter().map(|scope| (scope.name().to_owned(), scopes.level(scope))).collect()
}

/// A key to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct CreateApiKey {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = podbay_core::limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// What it may do; a scope that is not named is `none`.
    #[cfg_attr(feature = "openapi", schemars(schema_with = "crate::contract::scope_levels"))]
    pub scopes: Scopes,
    /// When it ends by itself.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<String>"))]
    #[serde(serialize_with = "time")]
    pub expires_at: Option<Timestamp>,
}

pub(crate) fn time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

impl CreateApiKey {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let name = fields.required("name", crate::check::name);
            let scopes = fields.required_object("scopes", scopes);
            let expires_at = fields.optional("expiresAt", moment);
            fields.deny_others();
            Some(Self { name: name?, scopes: scopes?, expires_at })
        })
    }
}

/// Levels by scope; a scope that is not named is `none`.
pub(crate) fn scopes(fields: &mut Fields<'_>) -> Option<Scopes> {
    let levels = Scope::ALL.map(|scope| (scope, fields.optional(scope.name(), level)));
    fields.deny_others();
    let set =
        |sum: Scopes, (scope, level): (Scope, Option<Level>)| sum.with(scope, level.unwrap_or_default());
    Some(levels.into_iter().fold(Scopes::default(), set))
}

fn level(value: &Value) -> Outcome<Level> {
    match value.as_str() {
        Some("none") => Ok(Level::None),
        Some("read") => Ok(Level::Read),
        Some("write") => Ok(Level::Write),
        _ => Err(wrong("enum", "must be none, read or write")),
    }
}

pub(crate) fn moment(value: &Value) -> Outcome<Timestamp> {
    let parsed = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    parsed
        .map(|at| Timestamp::from_millis(at.as_millisecond()))
        .ok_or_else(|| wrong("datetime_parsing", "must be a time such as 2030-01-31T00:00:00Z"))
}

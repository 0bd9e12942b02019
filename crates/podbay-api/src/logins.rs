//! Logins: a program asks for a key, a person who has one approves, and the program is handed one that
//! nobody else can read. The approval is an addition to the published contract.

use crate::api_keys;
use crate::check::{Fields, Outcome, parse, text, text_bytes, wrong};
use crate::error::FieldError;
use podbay_core::permission::Scopes;
use podbay_core::{LoginCode, Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a program sends first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BeginLogin {
    /// RSA public key in PEM (SubjectPublicKeyInfo), for which the API key will be sealed.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::LOGIN_KEY_BYTES_MAX)))]
    pub encryption_public_key: String,
    /// What the key may do to sandboxes and tunnels. There are none here, so there is nothing to limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Map<String, Value>>,
}

impl BeginLogin {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let pem = |value: &Value| text_bytes(value, limits::LOGIN_KEY_BYTES_MAX);
            let encryption_public_key = fields.required("encryptionPublicKey", pem);
            fields.optional_object("limits", |_| Some(()));
            let limits = body["limits"].as_object().cloned();
            Some(Self { encryption_public_key: encryption_public_key?, limits })
        })
    }
}

/// A login that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LoginBegun {
    /// The code that is approved.
    pub challenge: String,
    /// The bearer token for asking how it went.
    pub status_auth_token: String,
}

/// How a login went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LoginStatus {
    /// The API key, encrypted with RSA-OAEP (MGF1 and SHA-256), in base64; null while nobody has approved.
    pub result: Option<String>,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct ApproveLogin {
    /// The code.
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    #[serde(serialize_with = "code_text")]
    pub challenge: LoginCode,
    /// What the key may do; all that the approving one may if it is missing.
    #[cfg_attr(feature = "openapi", schemars(schema_with = "crate::contract::scope_levels"))]
    pub scopes: Option<Scopes>,
    /// When the key ends by itself.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<String>"))]
    #[serde(serialize_with = "api_keys::time")]
    pub expires_at: Option<Timestamp>,
}

impl ApproveLogin {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let challenge = fields.required("challenge", code);
            let scopes = fields.optional_object("scopes", api_keys::scopes);
            let expires_at = fields.optional("expiresAt", api_keys::moment);
            fields.deny_others();
            Some(Self { challenge: challenge?, scopes, expires_at })
        })
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct RefuseLogin {
    /// The code.
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    #[serde(serialize_with = "code_text")]
    pub challenge: LoginCode,
}

impl RefuseLogin {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let challenge = fields.required("challenge", code);
            fields.deny_others();
            Some(Self { challenge: challenge? })
        })
    }
}

fn code(value: &Value) -> Outcome<LoginCode> {
    LoginCode::parse(&text(value)?)
        .ok_or_else(|| wrong("string_pattern_mismatch", "no code of a login; one looks like 7K2M-Q9TD-40XB"))
}

fn code_text<S: serde::Serializer>(code: &LoginCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

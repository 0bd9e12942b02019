//! What went wrong, on the wire.
//!
//! Clients disagree about where to look: one prints the list in `detail`, one reads the string in
//! `message`, and the published specification has `errors`. A 422 therefore says the same thing
//! three times; every other error is `{"detail": "…"}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Most wrong fields that one answer names.
pub const FIELD_ERRORS_MAX: usize = 100;
/// Wrong fields that the one-line message names.
const MESSAGE_FIELDS_MAX: usize = 5;

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path, as in `body`, `pod`, `cloudId`.
    pub loc: Vec<String>,
    /// What is wrong, for a person.
    pub msg: String,
    /// What is wrong, for a program, as in `missing`.
    pub kind: String,
}

impl FieldError {
    /// The path with dots, as in `body.pod.cloudId`.
    #[must_use]
    pub fn param(&self) -> String {
        self.loc.join(".")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.param(), self.msg)
    }
}

/// The body of an answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorBody {
    /// 422: fields are wrong.
    Invalid {
        /// All of it in one line.
        message: String,
        /// One entry for each field, as one family of clients reads it.
        detail: Vec<Detail>,
        /// One entry for each field, as published.
        errors: Vec<ParamError>,
    },
    /// Everything else.
    Plain {
        /// What happened, and what to do.
        detail: String,
    },
}

/// An entry of [`ErrorBody::Invalid`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ErrorDetail"))]
pub struct Detail {
    /// For a program.
    #[serde(rename = "type")]
    pub kind: String,
    /// Path.
    pub loc: Vec<String>,
    /// For a person.
    pub msg: String,
}

/// An entry of [`ErrorBody::Invalid`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ParamError {
    /// Path with dots.
    pub param: String,
    /// For a person.
    pub details: String,
}

impl ErrorBody {
    /// An error in one sentence.
    #[must_use]
    pub fn plain(detail: impl Into<String>) -> Self {
        Self::Plain { detail: detail.into() }
    }

    /// Wrong fields; at most [`FIELD_ERRORS_MAX`] are told.
    #[must_use]
    pub fn invalid(fields: &[FieldError]) -> Self {
        let told = &fields[..fields.len().min(FIELD_ERRORS_MAX)];
        let detail = told
            .iter()
            .map(|field| Detail { kind: field.kind.clone(), loc: field.loc.clone(), msg: field.msg.clone() })
            .collect();
        let errors = told
            .iter()
            .map(|field| ParamError { param: field.param(), details: field.msg.clone() })
            .collect();
        Self::Invalid { message: one_line(fields), detail, errors }
    }
}

fn one_line(fields: &[FieldError]) -> String {
    let told: Vec<String> = fields.iter().take(MESSAGE_FIELDS_MAX).map(FieldError::to_string).collect();
    let mut text = told.join("; ");
    if fields.len() > MESSAGE_FIELDS_MAX {
        text.push_str(&format!("; and {} more", fields.len() - MESSAGE_FIELDS_MAX));
    }
    text
}

/// What a client makes of an error body, whoever wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// One line for a person; empty if the body says nothing.
    pub text: String,
    /// The wrong fields, if it names them.
    pub fields: Vec<FieldError>,
}

impl Problem {
    /// Reads any of the known shapes; what is none of them becomes an empty problem.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(map)) = serde_json::from_slice(body) else { return Self::default() };
        let mut fields = list(map.get("detail"), from_detail);
        if fields.is_empty() {
            fields = list(map.get("errors"), from_param);
        }
        let said = ["message", "error", "detail"].iter().find_map(|key| map.get(*key)?.as_str());
        let text = said.map_or_else(|| one_line(&fields), str::to_owned);
        Self { text, fields }
    }
}

fn list(value: Option<&Value>, read: fn(&Value) -> Option<FieldError>) -> Vec<FieldError> {
    value.and_then(Value::as_array).into_iter().flatten().take(FIELD_ERRORS_MAX).filter_map(read).collect()
}

fn from_detail(value: &Value) -> Option<FieldError> {
    let step = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    Some(FieldError {
        loc: value.get("loc")?.as_array()?.iter().map(step).collect(),
        msg: value.get("msg")?.as_str()?.to_owned(),
        kind: value.get("type").and_then(Value::as_str).unwrap_or("value_error").to_owned(),
    })
}

fn from_param(value: &Value) -> Option<FieldError> {
    Some(FieldError {
        loc: value.get("param")?.as_str()?.split('.').map(str::to_owned).collect(),
        msg: value.get("details")?.as_str()?.to_owned(),
        kind: "value_error".to_owned(),
    })
}

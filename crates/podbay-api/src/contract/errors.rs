//! What can go wrong is the same everywhere, so it is said in one place.

use super::Operation;
use crate::error::{Detail, ParamError};
use podbay_core::limits::BODY_BYTES_MAX;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Schema of every refusal but 422.
const PLAIN: &str = "ErrorResponse";
/// Schema of a 422.
const INVALID: &str = "ValidationErrorResponse";

/// The refusals of an operation.
pub(super) fn responses(operation: &Operation, needs_key: bool) -> Map<String, Value> {
    let mut all: BTreeMap<u16, String> = BTreeMap::new();
    let mut may = |code: u16, why: &str| {
        all.insert(code, why.to_owned());
    };
    if needs_key {
        may(401, "The key is unknown, mistyped, expired or revoked.");
        may(403, "No key was given, or it lacks the permission that the text names.");
        may(429, "Too many calls. `Retry-After` says when to try again.");
        may(503, "It cannot be done now. `Retry-After` says when to try again.");
    }
    if operation.path.contains('{') {
        may(404, "There is no such thing, or it is somebody else's.");
    }
    if !operation.query.is_empty() || operation.takes.is_some() {
        may(422, "Fields are wrong; all of them are named.");
    }
    if operation.takes.is_some() {
        may(408, "The body did not arrive in time.");
        may(413, &format!("The body is larger than {BODY_BYTES_MAX} bytes."));
    }
    if operation.method != "get" {
        may(409, "The present state of things does not allow it.");
    }
    for (code, why) in &operation.errors {
        may(*code, why);
    }
    all.into_iter().map(|(code, why)| (code.to_string(), response(code, &why))).collect()
}

fn response(code: u16, why: &str) -> Value {
    let schema = if code == 422 { INVALID } else { PLAIN };
    let mut response = json!({
        "description": why,
        "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
    });
    let (header, about) = match code {
        401 => ("WWW-Authenticate", "`Bearer`"),
        429 | 503 => ("Retry-After", "Seconds to wait."),
        _ => return response,
    };
    response["headers"] = json!({ header: { "description": about, "schema": { "type": "string" } } });
    response
}

/// The schemas of the two bodies; [`crate::ErrorBody`] writes them.
pub(super) fn schemas(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let detail = generator.subschema_for::<Vec<Detail>>();
    let errors = generator.subschema_for::<Vec<ParamError>>();
    let plain = json!({
        "description": "Why it was not done.",
        "type": "object",
        "properties": { "detail": text("What happened, and what to do.") },
        "required": ["detail"],
    });
    let invalid = json!({
        "description": "Which fields are wrong, told three times: each family of clients reads another one.",
        "type": "object",
        "properties": { "message": text("All of it in one line."), "detail": detail, "errors": errors },
        "required": ["message", "detail", "errors"],
    });
    [(PLAIN.to_owned(), plain), (INVALID.to_owned(), invalid)].into_iter().collect()
}

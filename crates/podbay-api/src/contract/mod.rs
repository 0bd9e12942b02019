//! The contract as a document: what each operation takes and gives, next to the types it is made of.
//!
//! One file per noun lists that noun's operations; [`document`] puts them together with the server's
//! routes. Method and path are how the two find each other, so that the server's table stays the only
//! place that knows what a key needs. What a reply contains is complete (each key, with an explicit
//! null); what a request may contain is what its `parse` reads. What podbay adds to the published
//! contract carries [`ADDITION`].

mod api_keys;
mod availability;
mod billing;
mod disks;
mod document;
mod errors;
mod links;
mod logins;
mod pods;
mod service;
mod ssh_keys;
mod teams;
mod templates;
mod users;
mod words;

pub use document::{Document, Routed, document};
pub(crate) use words::{DiskStatus, scope_levels};

use crate::paths;
use podbay_core::limits::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The mark of an operation or a field that the published contract does not have.
pub const ADDITION: &str = "x-podbay-addition";

/// Every operation of the contract.
fn operations() -> Vec<Operation> {
    [
        availability::operations(),
        pods::operations(),
        disks::operations(),
        ssh_keys::operations(),
        templates::operations(),
        users::operations(),
        teams::operations(),
        billing::operations(),
        api_keys::operations(),
        logins::operations(),
        service::operations(),
    ]
    .concat()
}

/// The schema of a type, with what it refers to left in the generator.
type Make = fn(&mut SchemaGenerator) -> Schema;

/// What a success carries.
#[derive(Clone)]
enum Reply {
    /// JSON of that shape.
    Json(Make),
    /// Something else, of that media type.
    Other(&'static str),
}

/// One operation, without what only the server knows: what a key needs for it.
#[derive(Clone)]
struct Operation {
    method: &'static str,
    path: String,
    id: &'static str,
    summary: &'static str,
    about: &'static str,
    query: Vec<Value>,
    takes: Option<(Make, Value)>,
    gives: Reply,
    errors: Vec<(u16, &'static str)>,
    is_addition: bool,
}

/// An operation at `path` below [`paths::BASE`]. Its `id` is unique; the summary ends without a dot.
fn operation(method: &'static str, path: &str, id: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        path: format!("{}{path}", paths::BASE),
        id,
        summary,
        about: "",
        query: Vec::new(),
        takes: None,
        gives: Reply::Json(SchemaGenerator::subschema_for::<crate::Empty>),
        errors: Vec::new(),
        is_addition: false,
    }
}

fn get(path: &str, id: &'static str, summary: &'static str) -> Operation {
    operation("get", path, id, summary)
}

fn post(path: &str, id: &'static str, summary: &'static str) -> Operation {
    operation("post", path, id, summary)
}

fn patch(path: &str, id: &'static str, summary: &'static str) -> Operation {
    operation("patch", path, id, summary)
}

fn delete(path: &str, id: &'static str, summary: &'static str) -> Operation {
    operation("delete", path, id, summary)
}

impl Operation {
    /// More than the summary says.
    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// A query parameter, optional as all are. A list is given by repeating it.
    fn asks(mut self, name: &str, about: &str, schema: &Value) -> Self {
        let mut parameter = json!({ "name": name, "in": "query", "description": about, "schema": schema });
        if schema["type"] == "array" {
            parameter["explode"] = true.into();
        }
        self.query.push(parameter);
        self
    }

    /// `offset` and `limit`.
    fn asks_for_part(self) -> Self {
        let limit = format!("Most rows; more than {PAGE_LIMIT_MAX} are read as {PAGE_LIMIT_MAX}.");
        self.asks("offset", "Rows to skip.", &number(0, 0)).asks(
            "limit",
            &limit,
            &number(0, PAGE_LIMIT_DEFAULT),
        )
    }

    /// A body, and one that is taken as it stands.
    fn takes<T: JsonSchema>(mut self, example: Value) -> Self {
        self.takes = Some((SchemaGenerator::subschema_for::<T>, example));
        self
    }

    /// What a success carries; without this, `{}`.
    fn gives<T: JsonSchema>(mut self) -> Self {
        self.gives = Reply::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// A success that is no JSON.
    fn gives_other(mut self, media_type: &'static str) -> Self {
        self.gives = Reply::Other(media_type);
        self
    }

    /// A refusal beside the uniform ones, or what a uniform one means here.
    fn refuses(mut self, code: u16, why: &'static str) -> Self {
        self.errors.push((code, why));
        self
    }

    /// The published contract does not have it.
    fn ours(mut self) -> Self {
        self.is_addition = true;
        self
    }

    /// Not below [`paths::BASE`].
    fn outside(mut self) -> Self {
        self.path = self.path.strip_prefix(paths::BASE).unwrap_or_default().to_owned();
        self
    }
}

/// A whole number of at least `least`.
fn number(least: u32, default: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "default": default })
}

/// Any text.
fn text() -> Value {
    json!({ "type": "string" })
}

/// One of these words.
fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// Any number of those.
fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "default": [] })
}

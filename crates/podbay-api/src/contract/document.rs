//! [`document`]: the server's routes and the operations, made into one OpenAPI document.

use super::{ADDITION, Operation, Reply, errors, links, operations};
use podbay_core::permission::{Level, Permission, Scope};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// A route of the server.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Its method, as in `GET`.
    pub method: String,
    /// Its path, without a trailing slash.
    pub path: String,
    /// What a key needs; `None` for what needs no key.
    pub permission: Option<Permission>,
}

/// The document, and what keeps it from being the whole truth.
#[derive(Clone, Debug)]
pub struct Document {
    /// OpenAPI 3.1, keys sorted.
    pub json: Value,
    /// Routes without an operation, operations without a route, and schemas that contradict each other.
    pub gaps: Vec<String>,
}

const ABOUT: &str = "\
Each path is served with and without a trailing slash, never by a redirect. Every reply is a JSON object; every \
key is there, with an explicit null where there is no value. Unknown query parameters are ignored. What podbay adds \
to the published contract is marked `x-podbay-addition`.";

/// The document of a server with these routes.
#[must_use]
pub fn document(routes: &[Routed]) -> Document {
    let operations = operations();
    let mut makers = Makers::default();
    let mut gaps = Vec::new();
    let mut paths = Map::new();
    for route in routes {
        let is_it = |operation: &&Operation| {
            operation.method.eq_ignore_ascii_case(&route.method) && operation.path == route.path
        };
        let Some(operation) = operations.iter().find(is_it) else {
            gaps.push(format!("{} {} has no operation in podbay_api::contract", route.method, route.path));
            continue;
        };
        let item = paths.entry(&route.path).or_insert_with(|| json!({}));
        item[operation.method] = makers.operation(operation, route.permission);
    }
    for operation in &operations {
        if paths.get(&operation.path).is_none_or(|item| item.get(operation.method).is_none()) {
            gaps.push(format!("{} {} is no route of the server", operation.method, operation.path));
        }
    }
    let schemas = makers.schemas(&mut gaps);
    for operation in &operations {
        let Some(item) = paths.get_mut(&operation.path) else { continue };
        let Some(reply) = item.pointer_mut(&format!("/{}/responses/200", operation.method)) else { continue };
        let links =
            links::links(operation, &reply["content"]["application/json"]["schema"], &schemas, &operations);
        if !links.is_empty() {
            reply["links"] = links.into();
        }
    }
    let mut json = json!({
        "openapi": "3.1.0",
        "info": { "title": "podbay", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": { SCHEME: scheme() } },
    });
    json.sort_all_objects();
    Document { json, gaps }
}

const SCHEME: &str = "HTTPBearer";

fn scheme() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. It has, for each scope, nothing, Read, or Read and Write.",
    })
}

/// The scopes that a permission asks for, each with its level.
fn scopes(permission: Permission) -> Vec<String> {
    let word = |scope: Scope, level| {
        format!("{}:{}", scope.name(), if level == Level::Write { "write" } else { "read" })
    };
    match permission {
        Permission::AnyKey => Vec::new(),
        Permission::Needs(scope, level) => vec![word(scope, level)],
        Permission::FullKey => Scope::ALL.into_iter().map(|scope| word(scope, Level::Write)).collect(),
    }
}

/// Makes schemas: of what is sent, where each key is always there, and of what is read.
struct Makers {
    replies: SchemaGenerator,
    requests: SchemaGenerator,
}

impl Default for Makers {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            replies: settings.clone().for_serialize().into_generator(),
            requests: settings.for_deserialize().into_generator(),
        }
    }
}

impl Makers {
    fn operation(&mut self, operation: &Operation, permission: Option<Permission>) -> Value {
        let parts = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<Value> = parts
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        parameters.extend(operation.query.iter().cloned());
        if operation.method == "post" {
            parameters.push(idempotency_key());
        }
        let mut responses = errors::responses(operation, permission.is_some());
        let content = match operation.gives {
            Reply::Json(make) => json!({ "application/json": { "schema": make(&mut self.replies) } }),
            Reply::Other(media_type) => json!({ media_type: {} }),
        };
        responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content }));
        let noun = operation.path.trim_start_matches(crate::paths::BASE).split('/').nth(1);
        let mut made = json!({
            "operationId": operation.id,
            "tags": [if operation.path.starts_with(crate::paths::BASE) { noun } else { Some("service") }],
            "summary": operation.summary,
            "parameters": parameters,
            "responses": responses,
            "security": [],
        });
        if !operation.about.is_empty() {
            made["description"] = operation.about.into();
        }
        if let Some((make, example)) = &operation.takes {
            let content = json!({ "schema": make(&mut self.requests), "example": example });
            made["requestBody"] = json!({ "required": true, "content": { "application/json": content } });
        }
        if let Some(permission) = permission {
            made["security"] = json!([{ SCHEME: scopes(permission) }]);
            made["x-podbay-permission"] = permission.to_string().into();
        }
        if operation.is_addition {
            made[ADDITION] = true.into();
        }
        made
    }

    /// All schemas that were referred to, by name.
    fn schemas(mut self, gaps: &mut Vec<String>) -> Map<String, Value> {
        let mut schemas = errors::schemas(&mut self.replies);
        let made = [self.replies.take_definitions(true), self.requests.take_definitions(true)];
        for (name, mut schema) in made.into_iter().flatten() {
            finish(&mut schema);
            match schemas.get(&name) {
                Some(known) if *known != schema => {
                    gaps.push(format!("the schema {name} is another one in requests than in replies"));
                }
                _ => _ = schemas.insert(name, schema),
            }
        }
        schemas
    }
}

/// What every call that makes something may carry.
fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A new key for each thing that is to be made. A call that is repeated with its key is \
            answered again and not done again; a key with another call is refused.",
        "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
        ADDITION: true,
    })
}

/// Properties whose names end in `At` or `_at` are moments everywhere in the contract; and what is
/// always there has no default.
fn finish(schema: &mut Value) {
    let required = schema["required"].clone();
    let is_always_there =
        |name: &String| required.as_array().is_some_and(|required| required.iter().any(|key| key == name));
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        let is_text = property["type"] == "string" || property["type"] == json!(["string", "null"]);
        if is_text && (name.ends_with("At") || name.ends_with("_at") || name == "at") {
            property["format"] = "date-time".into();
        }
        if is_always_there(name)
            && let Some(property) = property.as_object_mut()
        {
            property.remove("default");
        }
    }
}

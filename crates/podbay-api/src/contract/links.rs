//! Links between operations: the `id` of what was made leads to everything that can be done with it.

use super::Operation;
use serde_json::{Map, Value, json};

/// The links of an operation whose reply has that schema: to each operation below `{id}`.
pub(super) fn links(
    operation: &Operation,
    reply: &Value,
    schemas: &Map<String, Value>,
    all: &[Operation],
) -> Map<String, Value> {
    if operation.method != "post" || resolve(reply, schemas)["properties"].get("id").is_none() {
        return Map::new();
    }
    let below = format!("{}/{{id}}", operation.path);
    let link = |target: &Operation| {
        let link = json!({
            "operationId": target.id,
            "parameters": { "path.id": "$response.body#/id" },
            "description": target.summary,
        });
        (target.id.to_owned(), link)
    };
    all.iter().filter(|target| target.path.starts_with(&below)).map(link).collect()
}

/// A schema itself where there is only a reference to it.
fn resolve<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

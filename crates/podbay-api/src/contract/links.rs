//! Links between operations: the `id` of what was made leads to everything that can be done with it,
//! by its own path or by a list of ids (`pod_ids` of `/pods`).

use super::Operation;
use serde_json::{Map, Value, json};

/// The links of an operation whose reply has that schema.
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
    let beside = format!("{}/", operation.path);
    let ids = format!("{}_ids", operation.path.rsplit('/').next().unwrap_or_default().trim_end_matches('s'));
    let link = |target: &Operation| {
        let takes_ids = || target.query.iter().any(|parameter| parameter["name"] == *ids);
        let parameter = match &target.path {
            path if path.starts_with(&below) => String::from("path.id"),
            path if path.starts_with(&beside) && takes_ids() => format!("query.{ids}"),
            _ => return None,
        };
        let link = json!({
            "operationId": target.id,
            "parameters": { parameter: "$response.body#/id" },
            "description": target.summary,
        });
        Some((target.id.to_owned(), link))
    };
    all.iter().filter_map(link).collect()
}

/// A schema itself where there is only a reference to it.
fn resolve<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

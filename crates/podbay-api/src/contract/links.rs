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
    let noun = operation.path.rsplit('/').next().unwrap_or_default().trim_end_matches('s');
    let made = &resolve(reply, schemas)["properties"];
    let names = ["id".to_owned(), format!("{noun}Id")];
    let Some(id) = names.iter().find(|name| operation.method == "post" && made.get(*name).is_some()) else {
        return Map::new();
    };
    let link = |target: &Operation| {
        let parameters = parameters(operation, target, noun, &format!("$response.body#/{id}"))?;
        let link = json!({
            "operationId": target.id, "parameters": parameters, "description": target.summary });
        Some((target.id.to_owned(), link))
    };
    all.iter().filter_map(link).collect()
}

/// What the target is called with, if what was made is a thing of its kind.
fn parameters(operation: &Operation, target: &Operation, noun: &str, id: &str) -> Option<Value> {
    let rest = target.path.strip_prefix(&operation.path)?.strip_prefix('/')?;
    let mut parameters = Map::new();
    // What leads to the list leads to its rows, too.
    for name in operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        parameters.insert(format!("path.{name}"), format!("$request.path.{name}").into());
    }
    let ids = format!("{noun}_ids");
    let name = match rest.split('/').next()?.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => format!("path.{name}"),
        None if target.query.iter().any(|parameter| parameter["name"] == *ids) => format!("query.{ids}"),
        None => return None,
    };
    parameters.insert(name, id.into());
    Some(parameters.into())
}

/// A schema itself where there is only a reference to it.
fn resolve<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

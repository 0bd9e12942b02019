//! The contract as one page for a person: no script, nothing from outside, readable on a phone.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
/// How deep a schema is unfolded; what lies deeper is named only.
const DEPTH_MAX: usize = 6;

/// The page of an OpenAPI document.
pub(super) fn render(document: &Value) -> String {
    let mut nouns: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item) {
            let noun = operation["tags"][0].as_str().unwrap_or_default();
            nouns.entry(noun).or_default().push((path, method, operation));
        }
    }
    let mut out = String::from("<!doctype html><html lang=en><meta charset=utf-8>");
    out.push_str("<meta name=viewport content=\"width=device-width,initial-scale=1\">");
    let _ = write!(out, "<title>podbay API</title><style>{STYLE}</style><h1>podbay API <small>");
    let _ = write!(out, "{}</small></h1>", escape(text(&document["info"]["version"])));
    let _ = write!(out, "<p>{}</p>", prose(text(&document["info"]["description"])));
    out.push_str("<p>Send <code>Authorization: Bearer KEY</code>. Machine-readable: ");
    out.push_str("<a href=\"/openapi.json\">/openapi.json</a>.</p><nav>");
    for noun in nouns.keys() {
        let _ = write!(out, "<a href=\"#{0}\">{0}</a> ", escape(noun));
    }
    out.push_str("</nav>");
    let mut page = Page { out, schemas: object(&document["components"]["schemas"]) };
    for (noun, operations) in nouns {
        page.put(&format!("<h2 id=\"{0}\">{0}</h2>", escape(noun)));
        for (path, method, operation) in operations {
            page.operation(path, method, operation);
        }
    }
    page.out
}

struct Page<'a> {
    out: String,
    schemas: &'a Map<String, Value>,
}

impl<'a> Page<'a> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn operation(&mut self, path: &str, method: &str, operation: &'a Value) {
        let id = escape(text(&operation["operationId"]));
        let ours =
            if is_ours(operation) { " <i title=\"not in the published contract\">podbay</i>" } else { "" };
        self.put(&format!(
            "<details id=\"{id}\"><summary><b class={method}>{}</b> <code>{}</code> <span>{}</span>{ours}</summary>",
            method.to_uppercase(),
            escape(path).replace('/', "/<wbr>"),
            escape(text(&operation["summary"])),
        ));
        if let Some(about) = operation["description"].as_str() {
            self.put(&format!("<p>{}</p>", prose(about)));
        }
        let needs = operation["x-podbay-permission"].as_str();
        self.put(&format!("<p>Needs <b>{}</b>.</p>", escape(needs.unwrap_or("no key"))));
        self.parameters(operation);
        let body = &operation["requestBody"]["content"]["application/json"];
        if !body.is_null() {
            self.put("<h4>Body</h4>");
            self.shape(&body["schema"], 0, true);
        }
        self.put(&format!("<h4>Example</h4><pre>{}</pre>", escape(&curl(path, method, operation))));
        self.responses(operation);
        self.put("</details>");
    }

    fn parameters(&mut self, operation: &'a Value) {
        let Some(parameters) = operation["parameters"].as_array().filter(|list| !list.is_empty()) else {
            return;
        };
        self.put("<h4>Parameters</h4><ul>");
        for parameter in parameters {
            let place = match text(&parameter["in"]) {
                "path" => ", in the path",
                "header" => ", a header",
                _ => "",
            };
            self.put(&format!(
                "<li><code>{}</code> <em>{}{place}</em>",
                escape(text(&parameter["name"])),
                escape(&kind(&parameter["schema"])),
            ));
            if let Some(about) = parameter["description"].as_str() {
                self.put(&format!(" – {}", prose(about)));
            }
            self.words(&parameter["schema"]);
        }
        self.put("</ul>");
    }

    fn responses(&mut self, operation: &'a Value) {
        let responses = object(&operation["responses"]);
        self.put("<h4>Reply</h4>");
        match responses.get("200").map(|response| object(&response["content"])) {
            Some(content) if content.contains_key("application/json") => {
                self.shape(&content["application/json"]["schema"], 0, false);
            }
            Some(content) => {
                let kinds: Vec<&str> = content.keys().map(String::as_str).collect();
                self.put(&format!("<p><em>{}</em></p>", escape(&kinds.join(", "))));
            }
            None => {}
        }
        self.put("<h4>Errors</h4><ul>");
        for (code, response) in responses.iter().filter(|(code, _)| *code != "200") {
            self.put(&format!("<li><code>{code}</code> {}", prose(text(&response["description"]))));
        }
        self.put("</ul>");
    }

    /// A schema with its properties, unfolded. In a reply each key is there, so only a request says which
    /// are required.
    fn shape(&mut self, schema: &'a Value, depth: usize, is_request: bool) {
        let schema = self.resolve(schema);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let inner =
            [&schema["items"], &schema["additionalProperties"]].into_iter().find(|inner| inner.is_object());
        let properties = object(&schema["properties"]);
        if depth > DEPTH_MAX || (properties.is_empty() && inner.is_none()) {
            return;
        }
        if properties.is_empty() {
            if let Some(inner) = inner {
                self.shape(inner, depth, is_request);
            }
            return;
        }
        self.put("<ul>");
        let (must, may): (Vec<_>, Vec<_>) =
            properties.iter().partition(|(name, _)| required.contains(&name.as_str()));
        for (name, property) in must.into_iter().chain(may) {
            let need = if is_request && required.contains(&name.as_str()) { ", required" } else { "" };
            let kind = escape(&kind(property));
            self.put(&format!("<li><code>{}</code> <em>{kind}{need}</em>", escape(name)));
            if is_ours(property) {
                self.put(" <i title=\"not in the published contract\">podbay</i>");
            }
            if let Some(about) = property["description"].as_str() {
                self.put(&format!(" – {}", prose(about)));
            }
            self.words(property);
            self.shape(property, depth + 1, is_request);
        }
        self.put("</ul>");
    }

    /// The allowed words of an enumeration.
    fn words(&mut self, schema: &'a Value) {
        let schema = self.resolve(schema);
        let schema = if schema["items"].is_object() { self.resolve(&schema["items"]) } else { schema };
        let words: Vec<String> = schema["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|word| format!("<code>{}</code>", escape(word.as_str().unwrap_or("null"))))
            .collect();
        if !words.is_empty() {
            self.put(&format!("<div class=words>{}</div>", words.join(" ")));
        }
    }

    /// What a reference refers to; of a choice with null, the other one.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = reference(schema) {
            return self.schemas.get(name).unwrap_or(&Value::Null);
        }
        let mut choices = schema["anyOf"].as_array().into_iter().flatten();
        choices.find(|choice| choice["$ref"].is_string()).map_or(schema, |choice| self.resolve(choice))
    }
}

/// What a schema is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return name.to_owned();
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return String::from("any"),
    };
    let word = |kind: &&str| match *kind {
        "array" => format!("list of {}", kind_of_items(schema)),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", self::kind(&schema["additionalProperties"]))
        }
        "string" if schema["format"] == "date-time" => String::from("time"),
        other => other.to_owned(),
    };
    let mut text = types.iter().map(word).collect::<Vec<_>>().join(" or ");
    let bounds = [("minimum", "from ", ""), ("maximum", "to ", ""), ("maxLength", "at most ", " characters")];
    for (key, before, after) in bounds.into_iter().chain([("default", "default ", "")]) {
        match &schema[key] {
            Value::Number(value) => _ = write!(text, ", {before}{value}{after}"),
            Value::String(value) => _ = write!(text, ", {before}{value}{after}"),
            _ => {}
        }
    }
    text
}

fn kind_of_items(schema: &Value) -> String {
    if schema["items"].is_object() { kind(&schema["items"]) } else { String::from("anything") }
}

/// A call as one types it.
fn curl(path: &str, method: &str, operation: &Value) -> String {
    let mut text = String::from("curl");
    if operation["x-podbay-permission"].is_string() {
        text.push_str(" -H \"Authorization: Bearer $PODBAY_API_KEY\"");
    }
    if method != "get" {
        let _ = write!(text, " -X {}", method.to_uppercase());
    }
    let _ = write!(text, " \"$PODBAY_URL{path}\"");
    let example = &operation["requestBody"]["content"]["application/json"]["example"];
    if !example.is_null() {
        let _ = write!(text, " \\\n  -H 'Content-Type: application/json' -d '{example:#}'");
    }
    text
}

fn is_ours(value: &Value) -> bool {
    value[podbay_api::contract::ADDITION] == true
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next())
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with what is between backticks as code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(nth, part)| {
        if nth % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }
    });
    parts.collect()
}

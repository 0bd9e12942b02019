//! The contract as it is served: complete, checked in, and a page for a person.

use axum::http::header;
use podbay_server::http::{contract, contract_text, routes};
use podbay_testkit::TestServer;
use serde_json::Value;
use std::path::PathBuf;

fn checked_in() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[test]
fn every_route_has_an_operation_and_every_operation_a_route() {
    assert_eq!(contract().gaps, Vec::<String>::new());
}

#[test]
fn the_checked_in_document_is_the_one_that_is_served() {
    let text = contract_text();
    if std::env::var_os("PODBAY_BLESS").is_some() {
        std::fs::write(checked_in(), &text).unwrap();
    }
    let known = std::fs::read_to_string(checked_in()).unwrap_or_default();
    let line = known.lines().zip(text.lines()).position(|(known, now)| known != now);
    assert!(
        known == text,
        "docs/openapi.json is not what the server serves, from line {} on. If the change of the contract is \
         meant, write it down with: PODBAY_BLESS=1 cargo test -p podbay-testkit contract",
        line.unwrap_or_else(|| known.lines().count().min(text.lines().count())) + 1,
    );
}

#[test]
fn names_are_unique_and_references_lead_somewhere() {
    let document = contract().json;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        // Two types of one name: the second one gets a number.
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}: rename one of the two types");
    }
    let mut ids: Vec<&str> =
        operations(&document).map(|(_, _, op)| op["operationId"].as_str().unwrap()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (routes().len(), routes().len()), "operation ids are unique");
    let check = |value: &Value| {
        if let Some(reference) = value["$ref"].as_str() {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        if let Some(id) = value["operationId"].as_str() {
            assert!(ids.contains(&id), "a link to {id}");
        }
    };
    walk(&document, &check);
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, op)| (path.as_str(), method.as_str(), op))
    })
}

fn walk(value: &Value, check: &dyn Fn(&Value)) {
    match value {
        Value::Object(map) => {
            check(value);
            map.values().for_each(|value| walk(value, check));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, check)),
        _ => {}
    }
}

#[tokio::test]
async fn it_is_served_from_memory_with_a_tag() {
    let nobody = TestServer::new().await.anonymous();
    for path in ["/openapi.json", "/docs", "/docs/"] {
        let reply = nobody.get(path).await;
        assert_eq!(reply.status, 200);
        let tag = reply.headers[header::ETAG].to_str().unwrap();
        let again = nobody.with_header("if-none-match", tag).get(path).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{path}");
    }
    let served = nobody.get("/openapi.json").await;
    assert_eq!(served.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(served.text, contract_text());
}

#[tokio::test]
async fn the_page_shows_every_operation_and_needs_nothing_else() {
    let reply = TestServer::new().await.anonymous().get("/docs").await;
    assert_eq!(reply.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let page = reply.text;
    for (path, method, operation) in operations(&contract().json) {
        let id = operation["operationId"].as_str().unwrap();
        let part = page
            .split(&format!("<details id=\"{id}\">"))
            .nth(1)
            .unwrap_or_else(|| panic!("{id} is not there"));
        let part = part.split("</details>").next().unwrap();
        let permission = operation["x-podbay-permission"].as_str().unwrap_or("no key");
        assert!(part.contains(&method.to_uppercase()), "{id}");
        assert!(part.contains(&format!("Needs <b>{permission}</b>")), "{id}");
        assert!(part.contains(&format!("$PODBAY_URL{path}")), "{id}");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(part.contains(&format!("<code>{}</code>", parameter["name"].as_str().unwrap())), "{id}");
        }
        for code in operation["responses"].as_object().unwrap().keys().filter(|code| *code != "200") {
            assert!(part.contains(&format!("<code>{code}</code>")), "{id}: {code}");
        }
    }
    for outside in ["<script", "<link", "<img", "@import", "url(", "http://", "https://"] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
}

#[test]
fn every_call_of_the_api_may_be_answered_that_it_cannot_be_done_now() {
    let document = contract().json;
    for (path, method, operation) in operations(&document).filter(|(path, ..)| path.starts_with("/api/")) {
        assert!(operation["responses"]["503"].is_object(), "{method} {path} does not declare 503");
    }
}

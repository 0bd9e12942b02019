//! Every route × every kind of caller, generated from the route table: a route that this file
//! does not know how to call fails the test.

use axum::http::Method;
use podbay_core::permission::{Level, Permission, Scope, Scopes};
use podbay_server::http::routes;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};

/// A thing of that kind which belongs to the client: its id.
async fn own(client: &Client, path: &str, nth: usize) -> String {
    let made = match path.split('/').nth(3) {
        Some("pods") => client.post("/api/v1/pods", &TestServer::order()).await.ok(),
        Some("ssh_keys") => client.post("/api/v1/ssh_keys", &ssh_key(nth)).await.ok(),
        Some("api_keys") => {
            client.post("/api/v1/api_keys", &api_key("x", Scopes::default(), None)).await.ok()
        }
        other => panic!("teach this test to make a thing for {other:?} ({path})"),
    };
    made["id"].as_str().unwrap().to_owned()
}

fn ssh_key(nth: usize) -> Value {
    json!({ "name": format!("key {nth}"), "publicKey": TestServer::ssh_public_key(nth as u8) })
}

fn api_key(name: &str, scopes: Scopes, expires_at: Option<String>) -> Value {
    let levels: serde_json::Map<String, Value> = Scope::ALL
        .into_iter()
        .map(|scope| (scope.name().to_owned(), serde_json::to_value(scopes.level(scope)).unwrap()))
        .collect();
    json!({ "name": name, "scopes": levels, "expiresAt": expires_at })
}

/// A body that the route takes.
fn body(method: &Method, path: &str, nth: usize) -> Option<Value> {
    match (method.as_str(), path) {
        ("GET" | "DELETE", _) => None,
        ("POST", "/api/v1/pods") => Some(TestServer::order()),
        ("POST", "/api/v1/ssh_keys") => Some(ssh_key(nth)),
        ("POST", "/api/v1/api_keys") => Some(api_key("y", Scopes::default(), None)),
        ("PATCH", "/api/v1/ssh_keys/{id}") => Some(json!({ "isPrimary": true })),
        other => panic!("teach this test a body for {other:?}"),
    }
}

async fn call(client: &Client, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let reply = client.send(method.clone(), path, bytes).await;
    (reply.status.as_u16(), reply.json)
}

async fn key_with(owner: &Client, scopes: Scopes) -> Client {
    let made = owner.post("/api/v1/api_keys", &api_key("k", scopes, None)).await.ok();
    owner.with_key(made["key"].as_str().unwrap())
}

/// Scopes that lack exactly what `permission` needs, if anything can lack it.
fn lacking(permission: Permission) -> Option<Scopes> {
    match permission {
        Permission::AnyKey => None,
        Permission::Needs(scope, Level::Write) => Some(Scopes::FULL.with(scope, Level::Read)),
        Permission::Needs(scope, _) => Some(Scopes::FULL.with(scope, Level::None)),
        Permission::FullKey => Some(Scopes::FULL.with(Scope::Billing, Level::Read)),
    }
}

/// No more than `permission` needs.
fn just(permission: Permission) -> Scopes {
    match permission {
        Permission::AnyKey => Scopes::default(),
        Permission::Needs(scope, level) => Scopes::default().with(scope, level),
        Permission::FullKey => Scopes::FULL,
    }
}

#[tokio::test]
async fn every_route_answers_every_kind_of_caller_as_it_must() {
    let server = TestServer::new().await;
    let owner = server.user("ada").await;
    let stranger = server.user("eve").await;
    let nobody = server.anonymous();
    let expiring = api_key(
        "e",
        Scopes::FULL,
        Some(server.clock.now().plus(std::time::Duration::from_secs(1)).to_string()),
    );
    let expired =
        owner.with_key(owner.post("/api/v1/api_keys", &expiring).await.ok()["key"].as_str().unwrap());
    server.clock.advance(std::time::Duration::from_secs(2));
    let revoked = owner.post("/api/v1/api_keys", &api_key("r", Scopes::FULL, None)).await.ok();
    let revoked_client = owner.with_key(revoked["key"].as_str().unwrap());
    assert_eq!(revoked_client.get("/api/v1/user/whoami").await.status, 200);
    owner.delete(&format!("/api/v1/api_keys/{}", revoked["id"].as_str().unwrap())).await.ok();

    for (nth, route) in routes().into_iter().enumerate() {
        let (method, path) = (route.method.clone(), route.path);
        let Some(permission) = route.permission else {
            assert_eq!(call(&nobody, &method, path, None).await.0, 200, "{path} needs no key");
            continue;
        };
        for slash in ["", "/"] {
            let nth = nth * 2 + usize::from(slash == "/");
            let case = format!("{method} {path}{slash}");
            let body = body(&method, path, 2 * nth);
            let needs_id = path.contains("{id}");
            let id = if needs_id { own(&owner, path, 2 * nth + 1).await } else { String::new() };
            let target = format!("{}{slash}", path.replace("{id}", &id));

            let (status, json) = call(&nobody, &method, &target, body.as_ref()).await;
            assert_eq!(
                (status, &json),
                (403, &json!({ "detail": "Not authenticated" })),
                "{case} without a key"
            );
            for bad in ["garbage", "pbk_000000000000_", &format!("{}x", owner.key())] {
                let (status, json) = call(&owner.with_key(bad), &method, &target, body.as_ref()).await;
                assert_eq!(
                    (status, &json),
                    (401, &json!({ "detail": "Invalid token" })),
                    "{case} with {bad}"
                );
            }
            for client in [&expired, &revoked_client] {
                assert_eq!(
                    call(client, &method, &target, body.as_ref()).await.0,
                    401,
                    "{case} expired or revoked"
                );
            }
            if let Some(scopes) = lacking(permission) {
                let (status, json) =
                    call(&key_with(&owner, scopes).await, &method, &target, body.as_ref()).await;
                let text = json["detail"].as_str().unwrap();
                assert_eq!(status, 403, "{case} with {scopes:?}");
                let words =
                    ["capacity", "unavailable", "insufficient", "not available", "exceeded", "out of stock"];
                assert!(
                    words.iter().all(|word| !text.to_lowercase().contains(word)),
                    "{text} reads like capacity"
                );
            }
            if needs_id {
                for foreign in
                    [own(&stranger, path, 2 * nth + 1).await, "0".repeat(32), "..%2f".into(), "%00".into()]
                {
                    let target = path.replace("{id}", &foreign);
                    let (status, json) = call(&owner, &method, &target, body.as_ref()).await;
                    assert_eq!(
                        (status, &json),
                        (404, &json!({ "detail": "Not found" })),
                        "{case} with {foreign}"
                    );
                }
            }
            let (status, json) =
                call(&key_with(&owner, just(permission)).await, &method, &target, body.as_ref()).await;
            assert_eq!(status, 200, "{case} with just what it needs: {json}");
        }
        server.clear().await;
    }
}

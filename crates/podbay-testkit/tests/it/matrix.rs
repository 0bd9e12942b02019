//! Every route × every kind of caller, generated from the route table: a route that this file
//! does not know how to call fails the test.

use axum::http::Method;
use podbay_core::permission::{Level, Permission, Scope, Scopes};
use podbay_server::http::routes;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};

/// The path to a thing of that kind which belongs to the client.
pub(crate) async fn own(server: &TestServer, client: &Client, path: &str, nth: usize) -> String {
    if !path.contains('{') {
        return path.to_owned();
    }
    let made = match path.split('/').nth(3) {
        Some("teams") => return own_team(server, client, path).await,
        Some("invitations") => {
            let invited = own_team(server, client, "/api/v1/teams/{id}/invitations").await;
            let code = client.post(&invited, &json!({})).await.ok()["code"].clone();
            return path.replace("{id}", code.as_str().unwrap());
        }
        Some("pods") => client.post("/api/v1/pods", &TestServer::order()).await.ok(),
        Some("disks") => client.post("/api/v1/disks", &TestServer::disk_order(1)).await.ok(),
        Some("ssh_keys") => client.post("/api/v1/ssh_keys", &ssh_key(nth)).await.ok(),
        Some("api_keys") => {
            client.post("/api/v1/api_keys", &api_key("x", Scopes::default(), None)).await.ok()
        }
        Some("templates") => client.post("/api/v1/templates", &template()).await.ok(),
        Some("template") => client.post("/api/v1/template/registry-credentials", &credentials()).await.ok(),
        other => panic!("teach this test to make a thing for {other:?} ({path})"),
    };
    path.replace("{id}", made["id"].as_str().unwrap())
}

/// The path to a team of the client's own, with a member and an invitation where it needs them.
async fn own_team(server: &TestServer, client: &Client, path: &str) -> String {
    let made = client.post("/api/v1/teams", &json!({ "name": "matrix" })).await.ok();
    let team = made["teamId"].as_str().unwrap();
    let mut path = path.replace("{id}", team);
    if path.contains("{user}") {
        let (_, member) = server.member(client, team, &format!("of-{team}"), "MEMBER").await;
        path = path.replace("{user}", &member);
    }
    if path.contains("{invitation}") {
        let invited = client.post(&format!("/api/v1/teams/{team}/invitations"), &json!({})).await.ok();
        path = path.replace("{invitation}", invited["id"].as_str().unwrap());
    }
    path
}

fn ssh_key(nth: usize) -> Value {
    json!({ "name": format!("key {nth}"), "publicKey": TestServer::ssh_public_key(nth as u8) })
}

fn template() -> Value {
    json!({ "name": "t", "image": "localhost/web" })
}

fn credentials() -> Value {
    json!({ "name": "c", "server": "ghcr.io", "username": "ada", "password": "secret" })
}

fn api_key(name: &str, scopes: Scopes, expires_at: Option<String>) -> Value {
    let levels: serde_json::Map<String, Value> = Scope::ALL
        .into_iter()
        .map(|scope| (scope.name().to_owned(), serde_json::to_value(scopes.level(scope)).unwrap()))
        .collect();
    json!({ "name": name, "scopes": levels, "expiresAt": expires_at })
}

const LOGIN_KEY: &str = include_str!("fixtures/login-key.pub.pem");

/// The body that approves or refuses a login that waits.
async fn waiting(nobody: &Client) -> Value {
    let begun = nobody
        .post("/api/v1/auth_challenge/generate", &json!({ "encryptionPublicKey": LOGIN_KEY }))
        .await
        .ok();
    json!({ "challenge": begun["challenge"] })
}

/// A body that the route takes just now.
async fn body_now(nobody: &Client, method: &Method, path: &str, nth: usize) -> Option<Value> {
    match path {
        "/api/v1/auth_challenge/approve" | "/api/v1/auth_challenge/refuse" => Some(waiting(nobody).await),
        _ => body(method, path, nth),
    }
}

/// A body that the route takes.
fn body(method: &Method, path: &str, nth: usize) -> Option<Value> {
    match (method.as_str(), path) {
        ("GET" | "DELETE", _) => None,
        ("POST", "/api/v1/pods") => Some(TestServer::order()),
        ("POST", "/api/v1/disks") => Some(TestServer::disk_order(1)),
        ("PATCH", "/api/v1/disks/{id}") => Some(json!({ "name": "other" })),
        ("POST", "/api/v1/ssh_keys") => Some(ssh_key(nth)),
        ("POST", "/api/v1/api_keys") => Some(api_key("y", Scopes::default(), None)),
        ("PATCH", "/api/v1/user/slug") => Some(json!({ "slug": format!("slug-{nth}") })),
        ("POST", "/api/v1/users") => Some(json!({ "name": format!("user {nth}"), "email": "a@example.org" })),
        ("POST", "/api/v1/teams") | ("PATCH", "/api/v1/teams/{id}") => Some(json!({ "name": "t" })),
        ("PATCH", "/api/v1/teams/{id}/members/{user}") => Some(json!({ "role": "ADMIN" })),
        ("POST", "/api/v1/teams/{id}/invitations") => Some(json!({})),
        ("POST", "/api/v1/invitations/{id}/accept") => Some(json!({ "name": "n", "email": "a@example.org" })),
        ("POST", "/api/v1/billing/credits") => Some(json!({ "amountUsd": 1.5 })),
        ("POST", "/api/v1/templates") => Some(template()),
        ("PATCH", "/api/v1/templates/{id}") => Some(json!({ "name": "renamed" })),
        ("POST", "/api/v1/template/check-docker-image") => {
            Some(json!({ "image": "localhost/web", "registry_credentials_id": null }))
        }
        ("POST", "/api/v1/template/registry-credentials") => Some(credentials()),
        ("PATCH", "/api/v1/ssh_keys/{id}") => Some(json!({ "isPrimary": true })),
        ("POST", "/api/v1/auth_challenge/generate") => Some(json!({ "encryptionPublicKey": LOGIN_KEY })),
        ("POST", "/api/v1/auth_challenge/approve" | "/api/v1/auth_challenge/refuse") => None,
        other => panic!("teach this test a body for {other:?}"),
    }
}

/// The path with this in the place of every id.
fn with_ids(path: &str, id: &str) -> String {
    let step = |step: &str| if step.starts_with('{') { id.to_owned() } else { step.to_owned() };
    path.split('/').map(step).collect::<Vec<_>>().join("/")
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
    let owner = server.owner().await;
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
            // What changes something and needs no key is opened by what is in its path, and a login's
            // token is no API key. Only a login is begun by anybody.
            let expected = match (method.as_str(), path) {
                (_, "/api/v1/auth_challenge/generate") => 200,
                ("GET", "/api/v1/auth_challenge/status") => 404,
                ("GET", _) => 200,
                _ => 404,
            };
            let body = body(&method, path, 0);
            assert_eq!(call(&nobody, &method, path, body.as_ref()).await.0, expected, "{path} needs no key");
            continue;
        };
        for slash in ["", "/"] {
            let nth = nth * 2 + usize::from(slash == "/");
            let case = format!("{method} {path}{slash}");
            let body = body_now(&nobody, &method, path, 2 * nth).await;
            let target = format!("{}{slash}", own(&server, &owner, path, 2 * nth + 1).await);

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
            if path.contains('{') {
                let unknown = ["0".repeat(32), "..%2f".into(), "%00".into()].map(|id| with_ids(path, &id));
                let foreign = own(&server, &stranger, path, 2 * nth + 1).await;
                for foreign in [foreign].into_iter().chain(unknown) {
                    let target = format!("{foreign}{slash}");
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

/// A team with a pod, and one caller of each kind.
struct Crew {
    admin: Client,
    maker: Client,
    member: Client,
    former: Client,
    team: String,
    maker_id: String,
    invitation: String,
}

impl Crew {
    async fn new(server: &TestServer, nth: usize) -> Self {
        let admin = server.user(&format!("admin-{nth}")).await;
        let made = admin.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok();
        let team = made["teamId"].as_str().unwrap().to_owned();
        let (maker, maker_id) = server.member(&admin, &team, &format!("maker-{nth}"), "MEMBER").await;
        let (member, _) = server.member(&admin, &team, &format!("member-{nth}"), "MEMBER").await;
        let (former, former_id) = server.member(&admin, &team, &format!("former-{nth}"), "ADMIN").await;
        let invited = admin.post(&format!("/api/v1/teams/{team}/invitations"), &json!({})).await.ok();
        let invitation = invited["id"].as_str().unwrap().to_owned();
        admin.delete(&format!("/api/v1/teams/{team}/members/{former_id}")).await.ok();
        Self { admin, maker, member, former, team, maker_id, invitation }
    }

    /// The path to what the team has of that kind.
    async fn target(&self, path: &str) -> String {
        if path.starts_with("/api/v1/pods") {
            let mut order = TestServer::order();
            order["team"] = json!({ "teamId": self.team });
            let pod = self.maker.post("/api/v1/pods", &order).await.ok();
            assert_eq!(pod["teamId"], self.team.as_str());
            return path.replace("{id}", pod["id"].as_str().unwrap());
        }
        let path = path.replace("{id}", &self.team).replace("{user}", &self.maker_id);
        path.replace("{invitation}", &self.invitation)
    }
}

#[tokio::test]
async fn what_is_a_teams_is_open_to_members_and_changed_by_admins() {
    let server = TestServer::new().await;
    let stranger = server.user("eve").await;
    let of_teams = |path: &str| {
        path.contains('{') && ["/api/v1/pods/", "/api/v1/teams/"].iter().any(|head| path.starts_with(head))
    };
    let mut nth = 0;
    for route in routes().into_iter().filter(|route| of_teams(route.path)) {
        let (method, path) = (route.method.clone(), route.path);
        let reads = method == Method::GET;
        let pod = path.starts_with("/api/v1/pods/");
        let callers = [
            ("stranger", 404),
            ("former", 404),
            ("member", if reads { 200 } else { 403 }),
            (
                "maker",
                if reads || pod || path.ends_with("{user}") && method == Method::DELETE { 200 } else { 403 },
            ),
            ("admin", 200),
        ];
        for (caller, expected) in callers {
            nth += 1;
            let crew = Crew::new(&server, nth).await;
            let target = crew.target(path).await;
            let client = match caller {
                "stranger" => &stranger,
                "former" => &crew.former,
                "member" => &crew.member,
                "maker" => &crew.maker,
                _ => &crew.admin,
            };
            let (status, json) = call(client, &method, &target, body(&method, path, nth).as_ref()).await;
            assert_eq!(status, expected, "{caller}: {method} {path}: {json}");
            if expected == 404 {
                assert_eq!(json, json!({ "detail": "Not found" }), "{caller}: {method} {path}");
            }
        }
        server.clear().await;
    }
}

#[tokio::test]
async fn every_post_is_done_once_for_each_idempotency_key() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let posts = routes().into_iter().filter(|route| route.method == Method::POST);
    for (nth, route) in posts.enumerate() {
        let path = route.path;
        let caller = if route.permission.is_some() { owner.clone() } else { server.anonymous() };
        let target = own(&server, &owner, path, 2 * nth).await;
        let body = body_now(&server.anonymous(), &Method::POST, path, 2 * nth + 1).await.unwrap();
        let client = caller.once(&format!("key-{nth}"));
        owner.get("/api/v1/user/whoami").await.ok();
        let before = server.app.store.version();
        let first = client.post(&target, &body).await;
        assert_eq!(first.status, 200, "{path}: {}", first.json);
        assert_eq!(server.app.store.version() - before, 1, "{path}: effect and reply are one commit");
        assert!(!first.headers.contains_key("idempotency-replayed"), "{path}");
        let again = client.post(&format!("{target}/"), &body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true", "{path}");
        assert_eq!((again.status, again.text), (first.status, first.text), "{path}");
    }
    server.clear().await;
}

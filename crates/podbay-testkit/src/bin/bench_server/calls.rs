//! A call of every route of the table, as text for the program that measures: that one knows no route.
//!
//! A route that nobody has taught this file ends the program, so none is left out without a word.

use anyhow::Context;
use axum::http::Method;
use podbay_server::http;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::collections::HashMap;

const LOGIN_KEY: &str = include_str!("../../../tests/it/fixtures/login-key.pub.pem");
const IMAGE: &str = "localhost/podbay/base:latest";
/// Stands for eight digits, others in each call: some names and keys may be there only once.
const NTH: &str = "<nth>";

/// Every GET route, with the id of something that is there where one belongs.
pub async fn reads(client: &Client, pod: &str) -> anyhow::Result<Vec<Value>> {
    let things = things(client, pod).await?;
    let login = client.post("/api/v1/auth_challenge/generate", &login()).await.ok();
    let mut calls = Vec::new();
    for route in http::routes().into_iter().filter(|route| route.method == Method::GET) {
        let name = format!("GET {}", route.path);
        let noun = route.path.split('/').nth(3).unwrap_or_default();
        let path = things.get(noun).map_or(route.path.to_owned(), |id| route.path.replace("{id}", id));
        anyhow::ensure!(!path.contains('{'), "teach the bench an id for {path}");
        calls.push(if path.ends_with("/auth_challenge/status") {
            let path = format!("{path}?challenge={}", text(&login, "challenge")?);
            json!({ "name": name, "path": path, "key": text(&login, "status_auth_token")? })
        } else {
            json!({ "name": name, "path": path })
        });
    }
    Ok(calls)
}

/// The id of one thing of each kind, made here beside the pods, by the word that its paths have.
async fn things(client: &Client, pod: &str) -> anyhow::Result<HashMap<&'static str, String>> {
    let mut things = HashMap::from([("pods", pod.to_owned())]);
    let key: Value = serde_json::from_str(&ssh_key().to_string().replace(NTH, "AAAAAAAA"))?;
    for (noun, path, body, id) in [
        ("disks", "/api/v1/disks", TestServer::disk_order(1), "id"),
        ("templates", "/api/v1/templates", template(), "id"),
        ("template", "/api/v1/template/registry-credentials", credentials(), "id"),
        ("ssh_keys", "/api/v1/ssh_keys", key, "id"),
        ("teams", "/api/v1/teams", json!({ "name": "bench" }), "teamId"),
    ] {
        things.insert(noun, text(&client.post(path, &body).await.ok(), id)?);
    }
    let invitations = format!("/api/v1/teams/{}/invitations", things["teams"]);
    client.post(&invitations, &json!({})).await.ok();
    Ok(things)
}

fn text(reply: &Value, key: &str) -> anyhow::Result<String> {
    reply[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {reply}"))
}

fn login() -> Value {
    json!({ "encryptionPublicKey": LOGIN_KEY })
}

fn template() -> Value {
    json!({ "name": "bench", "image": IMAGE })
}

fn credentials() -> Value {
    json!({ "name": "bench", "server": "ghcr.io", "username": "ada", "password": "secret" })
}

/// Its last characters are those that differ: digits are Base64, too.
fn ssh_key() -> Value {
    let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}{NTH}", "A".repeat(35));
    json!({ "name": "bench", "publicKey": key })
}

/// A call that changes something. `<id>` in what is sent stands for what was kept under that name of an
/// earlier reply in its chain.
struct Write {
    method: Method,
    route: &'static str,
    path: Option<&'static str>,
    body: Value,
    /// Names, and the keys of the reply that are kept under them.
    keeps: &'static [(&'static str, &'static str)],
    has_key: bool,
}

type Chain = Vec<Write>;

fn call(method: Method, route: &'static str, body: Value) -> Write {
    Write { method, route, path: None, body, keeps: &[], has_key: true }
}

fn post(route: &'static str, body: Value) -> Write {
    call(Method::POST, route, body)
}

fn patch(route: &'static str, body: Value) -> Write {
    call(Method::PATCH, route, body)
}

fn delete(route: &'static str) -> Write {
    call(Method::DELETE, route, Value::Null)
}

impl Write {
    fn keeps(self, keeps: &'static [(&'static str, &'static str)]) -> Self {
        Self { keeps, ..self }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }

    fn said(&self) -> Value {
        let path = self.path.map_or_else(|| self.route.replace('{', "<").replace('}', ">"), str::to_owned);
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        json!({
            "name": self.name(),
            "method": self.method.as_str(),
            "path": path,
            "body": body,
            "keeps": self.keeps,
            "key": (!self.has_key).then_some(""),
        })
    }
}

/// Every route that changes something, in chains that take back what they made, where that can be.
pub fn writes() -> anyhow::Result<Vec<Vec<Value>>> {
    let chains: Vec<Chain> = [of_nouns(), of_teams(), of_logins()].into_iter().flatten().collect();
    let taught: Vec<String> = chains.iter().flatten().map(Write::name).collect();
    for route in http::routes().into_iter().filter(|route| route.method != Method::GET) {
        let name = format!("{} {}", route.method, route.path);
        anyhow::ensure!(taught.contains(&name), "teach the bench to call {name}");
    }
    Ok(chains.iter().map(|chain| chain.iter().map(Write::said).collect()).collect())
}

fn of_nouns() -> Vec<Chain> {
    const ID: &[(&str, &str)] = &[("id", "/id")];
    let renamed = || json!({ "name": "renamed" });
    let credential = "/api/v1/template/registry-credentials";
    let check = json!({ "image": IMAGE, "registry_credentials_id": null });
    let user = json!({ "name": format!("user-{NTH}"), "email": "user@example.org" });
    vec![
        vec![post("/api/v1/pods", TestServer::order()).keeps(ID), delete("/api/v1/pods/{id}")],
        vec![
            post("/api/v1/disks", TestServer::disk_order(1)).keeps(ID),
            patch("/api/v1/disks/{id}", renamed()),
            delete("/api/v1/disks/{id}"),
        ],
        vec![
            post("/api/v1/ssh_keys", ssh_key()).keeps(ID),
            patch("/api/v1/ssh_keys/{id}", json!({ "isPrimary": true })),
            delete("/api/v1/ssh_keys/{id}"),
        ],
        vec![
            post("/api/v1/api_keys", json!({ "name": "bench", "scopes": {} })).keeps(ID),
            delete("/api/v1/api_keys/{id}"),
        ],
        vec![
            post("/api/v1/templates", template()).keeps(ID),
            patch("/api/v1/templates/{id}", renamed()),
            delete("/api/v1/templates/{id}"),
        ],
        vec![post(credential, credentials()).keeps(ID), delete("/api/v1/template/registry-credentials/{id}")],
        vec![post("/api/v1/template/check-docker-image", check)],
        vec![patch("/api/v1/user/slug", json!({ "slug": format!("slug-{NTH}") }))],
        vec![post("/api/v1/users", user)],
        vec![post("/api/v1/billing/credits", json!({ "amountUsd": 1.5 }))],
    ]
}

fn of_teams() -> Vec<Chain> {
    const TEAM: &[(&str, &str)] = &[("id", "/teamId")];
    const INVITATION: &[(&str, &str)] = &[("invitation", "/id"), ("accept", "/path")];
    let invite = || post("/api/v1/teams/{id}/invitations", json!({})).keeps(INVITATION);
    let newcomer = json!({ "name": format!("member-{NTH}"), "email": "member@example.org" });
    let accept = post("/api/v1/invitations/{id}/accept", newcomer).keeps(&[("user", "/userId")]);
    vec![vec![
        post("/api/v1/teams", json!({ "name": "bench" })).keeps(TEAM),
        patch("/api/v1/teams/{id}", json!({ "name": "renamed" })),
        invite(),
        delete("/api/v1/teams/{id}/invitations/{invitation}"),
        invite(),
        Write { path: Some("<accept>"), has_key: false, ..accept },
        patch("/api/v1/teams/{id}/members/{user}", json!({ "role": "ADMIN" })),
        delete("/api/v1/teams/{id}/members/{user}"),
        delete("/api/v1/teams/{id}"),
    ]]
}

fn of_logins() -> Vec<Chain> {
    let begin = || {
        let begin = post("/api/v1/auth_challenge/generate", login()).keeps(&[("code", "/challenge")]);
        Write { has_key: false, ..begin }
    };
    let code = || json!({ "challenge": "<code>" });
    vec![
        vec![begin(), post("/api/v1/auth_challenge/approve", code())],
        vec![begin(), post("/api/v1/auth_challenge/refuse", code())],
    ]
}

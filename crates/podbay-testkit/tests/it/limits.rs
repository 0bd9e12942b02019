//! Who calls too often is told so, and when to come back; nobody else notices.

use axum::http::{HeaderMap, Method};
use podbay_core::bucket::Quota;
use podbay_server::Config;
use podbay_testkit::{Reply, TestServer};
use serde_json::json;
use std::time::Duration;

const WRONG: &str = "pbk_000000000000_";

fn tight(config: &mut Config) {
    config.limits.read = Quota { rate: 2, burst: 4 };
    config.limits.write = Quota { rate: 1, burst: 2 };
    config.limits.create = Quota { rate: 1, burst: 1 };
    config.limits.failed_logins = Quota { rate: 1, burst: 3 };
}

fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[track_caller]
fn refused(reply: &Reply, policy: &str, limit: &str, retry_after: &str) {
    assert_eq!((reply.status.as_u16(), &reply.json), (429, &json!({ "detail": "Too many requests." })));
    let fields = ["ratelimit-policy", "ratelimit", "retry-after"].map(|name| field(&reply.headers, name));
    assert_eq!(fields.map(Option::unwrap), [policy, limit, retry_after]);
}

#[tokio::test]
async fn each_key_has_a_bucket_for_each_class() {
    let server = TestServer::with(tight).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let mut left = Vec::new();
    for _ in 0..4 {
        let reply = ada.get("/api/v1/pods").await;
        assert_eq!(reply.status, 200);
        left.push(field(&reply.headers, "ratelimit"));
    }
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(left, [None, None, told("\"read\";r=1"), told("\"read\";r=0")], "told from the half on");
    for path in ["/api/v1/pods", "/api/v1/availability/gpus", "/api/v1/user/whoami"] {
        refused(&ada.get(path).await, "\"read\";q=4;w=2", "\"read\";r=0;t=1", "1");
    }
    ada.post("/api/v1/pods", &TestServer::order()).await.ok();
    let reply = ada.post("/api/v1/pods", &TestServer::order()).await;
    refused(&reply, "\"create\";q=1;w=1", "\"create\";r=0;t=1", "1");
    assert_eq!(ada.delete("/api/v1/pods/x").await.status, 404, "another class");
    assert_eq!(ada.send(Method::PATCH, "/api/v1/ssh_keys/x", b"{}".to_vec()).await.status, 422);
    refused(&ada.delete("/api/v1/pods/x").await, "\"write\";q=2;w=2", "\"write\";r=0;t=1", "1");
    assert_eq!(eve.get("/api/v1/pods").await.ok()["total_count"], 0, "another key");
    assert_eq!(server.anonymous().get("/healthz").await.status, 200);

    server.clock.advance(Duration::from_millis(500));
    assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 1, "one was ordered");
    assert_eq!(ada.get("/api/v1/pods").await.status, 429);
}

#[tokio::test]
async fn wrong_keys_exhaust_an_address_but_not_the_keys_that_were_right_there() {
    let server = TestServer::with(tight).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    ada.at(here).get("/api/v1/user/whoami").await.ok();
    for wrong in [WRONG, "garbage", &format!("{}x", ada.key())] {
        assert_eq!(ada.with_key(wrong).at(here).get("/api/v1/pods").await.status, 401);
    }
    let reply = ada.with_key(WRONG).at(here).get("/api/v1/pods").await;
    refused(&reply, "\"failed-logins\";q=3;w=3", "\"failed-logins\";r=0;t=1", "1");
    assert_eq!(eve.at(here).get("/api/v1/pods").await.status, 429, "a key not seen before is not looked up");
    assert_eq!(ada.at(here).get("/api/v1/pods").await.status, 200, "one that was right goes on");
    assert_eq!(server.anonymous().at(here).get("/api/v1/pods").await.status, 403, "no key is no guess");
    assert_eq!(ada.with_key(WRONG).at(there).get("/api/v1/pods").await.status, 401, "another address");

    server.clock.advance(Duration::from_secs(1));
    assert_eq!(eve.at(here).get("/api/v1/pods").await.status, 200);
    assert_eq!(ada.with_key(WRONG).at(here).get("/api/v1/pods").await.status, 401);
    assert_eq!(ada.with_key(WRONG).at(here).get("/api/v1/pods").await.status, 429);
}

#[tokio::test]
async fn an_honest_client_meets_no_default() {
    let server = TestServer::with(|config| config.limits = Config::default().limits).await;
    let ada = server.user("ada").await.at("192.0.2.1");
    for _ in 0..200 {
        let reply = ada.get("/api/v1/pods").await;
        assert_eq!((reply.status.as_u16(), field(&reply.headers, "ratelimit")), (200, None));
    }
    for _ in 0..50 {
        ada.post("/api/v1/pods", &TestServer::order()).await.ok();
        assert_eq!(ada.with_key(WRONG).get("/api/v1/pods").await.status, 401);
    }
}

#[tokio::test]
async fn codes_are_not_guessed_and_logins_not_begun_without_end() {
    let server = TestServer::with(tight).await;
    let here = server.anonymous().at("192.0.2.1");
    for path in ["/api/v1/auth_challenge/status?challenge=x", "/api/v1/auth_challenge/status"] {
        assert_eq!(here.get(path).await.status, 404);
    }
    let guess = json!({ "name": "eve", "email": "eve@example.org" });
    assert_eq!(here.post("/api/v1/invitations/guess/accept", &guess).await.status, 404);
    let reply = here.post("/api/v1/invitations/guess/accept", &guess).await;
    refused(&reply, "\"failed-logins\";q=3;w=3", "\"failed-logins\";r=0;t=1", "1");
    assert_eq!(here.get("/healthz").await.status, 200);

    let there = server.anonymous().at("192.0.2.2");
    let begin = json!({ "encryptionPublicKey": "none" });
    for _ in 0..3 {
        assert_eq!(there.post("/api/v1/auth_challenge/generate", &begin).await.status, 422);
    }
    assert_eq!(there.post("/api/v1/auth_challenge/generate/", &begin).await.status, 429);
}

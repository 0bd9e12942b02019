//! A call that is repeated with its `Idempotency-Key` is answered again and not done again.

use axum::http::Method;
use podbay_core::permission::Scope;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const PODS: &str = "/api/v1/pods";
const IN_FLIGHT: &str = "a call with this Idempotency-Key is being answered just now; repeat it in a moment";

async fn count(client: &Client) -> Value {
    client.get(PODS).await.ok()["total_count"].clone()
}

#[tokio::test]
async fn a_storm_of_orders_with_one_key_makes_one_pod() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut storm = JoinSet::new();
    for _ in 0..64 {
        let client = ada.once("storm");
        storm.spawn(async move { client.post(PODS, &TestServer::order()).await });
    }
    let (mut answers, mut refused) = (Vec::new(), 0);
    while let Some(reply) = storm.join_next().await {
        let reply = reply.unwrap();
        match reply.status.as_u16() {
            200 => answers.push(reply.text),
            _ => {
                assert_eq!(reply.error(409), IN_FLIGHT);
                refused += 1;
            }
        }
    }
    assert_eq!(answers.len() + refused, 64);
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer, however often");
    assert_eq!(count(&ada).await, 1);
    let last = ada.once("storm").post(PODS, &TestServer::order()).await;
    assert_eq!(last.text, answers[0]);
}

#[tokio::test]
async fn a_call_that_is_being_answered_is_not_begun_again() {
    let server = TestServer::new().await;
    let client = server.user("ada").await.once("k");
    count(&client).await;
    // Whoever writes the host is held up, and with it the order.
    let (go_on, waits) = oneshot::channel::<()>();
    let (holds, held) = oneshot::channel();
    let (store, host, now) = (server.app.store.clone(), server.worlds[0].0.clone(), server.clock.now());
    let holding = tokio::spawn(async move {
        let job = store.write(move |tx| {
            Box::pin(async move {
                tx.host_answered_put(&host, now, true).await?;
                holds.send(()).unwrap();
                waits.await.unwrap();
                Ok::<_, podbay_store::StoreError>(())
            })
        });
        job.await.unwrap();
    });
    held.await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        calls.spawn(async move { client.post(PODS, &TestServer::order()).await });
    }
    // One of them waits for the writer, so the other one is answered.
    assert_eq!(calls.join_next().await.unwrap().unwrap().error(409), IN_FLIGHT);
    go_on.send(()).unwrap();
    holding.await.unwrap();
    let done = calls.join_next().await.unwrap().unwrap();
    assert_eq!(client.post(PODS, &TestServer::order()).await.text, done.text);
    assert_eq!((done.status.as_u16(), count(&client).await), (200, json!(1)));
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    ada.once("k").post(PODS, &TestServer::order()).await.ok();
    let mut other = TestServer::order();
    other["pod"]["name"] = "another".into();
    let wrong = "header.Idempotency-Key: this key belongs to another request; make a new one for each";
    assert_eq!(ada.once("k").post(PODS, &other).await.error(422), wrong);
    let ssh_key = json!({ "name": "k", "publicKey": TestServer::ssh_public_key(1) });
    assert_eq!(ada.once("k").post("/api/v1/ssh_keys", &ssh_key).await.error(422), wrong);
    ada.once("l").post(PODS, &other).await.ok();
    assert_eq!(count(&ada).await, 2);
    eve.once("k").post(PODS, &other).await.ok();
    assert_eq!(count(&eve).await, 1, "somebody else's key is another key");
    assert_eq!(ada.once("k").get(PODS).await.status, 200, "a call that changes nothing needs none");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let wrong = "header.Idempotency-Key: write one key of 1 to 255 visible ASCII characters, such as a UUID";
    for key in ["", "a b", "é", "\t", &"x".repeat(256)] {
        assert_eq!(ada.once(key).post(PODS, &TestServer::order()).await.error(422), wrong, "{key:?}");
    }
    assert_eq!(ada.once("a").once("b").post(PODS, &TestServer::order()).await.error(422), wrong);
    assert_eq!(count(&ada).await, 0);
    ada.once(&"x".repeat(255)).post(PODS, &TestServer::order()).await.ok();
}

#[tokio::test]
async fn what_was_refused_stays_refused_and_what_could_not_be_done_does_not() {
    let mut server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut dear = TestServer::order();
    dear["pod"]["maxPrice"] = json!(0.000_001);
    let first = ada.once("dear").post(PODS, &dear).await;
    assert_eq!(first.status, 409);
    let again = ada.once("dear").post(PODS, &dear).await;
    assert_eq!(
        (&again.text, &again.headers["idempotency-replayed"]),
        (&first.text, &"true".parse().unwrap())
    );
    let broken = ada.once("broken").send(Method::POST, PODS, b"{".to_vec()).await;
    assert_eq!(broken.status, 422);
    assert_eq!(ada.once("broken").send(Method::POST, PODS, b"{".to_vec()).await.text, broken.text);

    server.restart_with(|settings| settings.read_only = true).await;
    let down = server.user("ada").await.once("down");
    assert_eq!(down.post(PODS, &TestServer::order()).await.status, 503);
    server.restart().await;
    let up = server.user("ada").await.once("down");
    up.post(PODS, &TestServer::order()).await.ok();
}

#[tokio::test]
async fn an_answer_that_was_lost_in_a_crash_is_given_again() {
    // However far the call came before the crash, there is one pod in the end.
    let mut server = TestServer::new().await;
    for polls in 0..12 {
        let name = format!("user {polls}");
        let lost = server.user(&name).await.once("k");
        let order = TestServer::order();
        {
            let mut call = pin!(lost.post(PODS, &order));
            let mut left = polls;
            poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Pending if left > 0 => {
                    left -= 1;
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            })
            .await;
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        }
        server.restart().await;
        let client = server.user(&name).await.once("k");
        let first = client.post(PODS, &order).await;
        assert_eq!(client.post(PODS, &order).await.text, first.text);
        let pods = client.get(PODS).await.ok();
        assert_eq!((&pods["total_count"], &pods["data"][0]["id"]), (&json!(1), &first.ok()["id"]));
    }
    server.settle().await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let server = TestServer::new().await;
    let client = server.user("ada").await.once("k");
    client.post(PODS, &TestServer::order()).await.ok();
    server.clock.advance(Duration::from_secs(24 * 3600 - 1));
    client.post(PODS, &TestServer::order()).await.ok();
    assert_eq!((count(&client).await, server.app.forget_replies().await.unwrap()), (json!(1), 0));
    server.clock.advance(Duration::from_secs(1));
    client.post(PODS, &TestServer::order()).await.ok();
    assert_eq!(count(&client).await, 2, "the key is as good as new, also before it is swept up");
    server.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(server.app.forget_replies().await.unwrap(), 1);
}

#[tokio::test]
async fn a_secret_is_kept_for_the_key_that_called_only() {
    let mut server = TestServer::new().await;
    let owner = server.owner().await;
    let every: Value = Scope::ALL.into_iter().map(|scope| (scope.name(), "write")).collect();
    let full = json!({ "name": "other", "scopes": every });
    let other = owner.post("/api/v1/api_keys", &full).await.ok()["key"].as_str().unwrap().to_owned();
    let team = owner.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok();
    let invitations = format!("/api/v1/teams/{}/invitations", team["teamId"].as_str().unwrap());
    let calls = [
        ("/api/v1/api_keys", json!({ "name": "ci", "scopes": { "instances": "read" } }), "the API key"),
        ("/api/v1/users", json!({ "name": "eve", "email": "eve@example.org" }), "the user"),
        (invitations.as_str(), json!({}), "the invitation"),
    ];
    let mut first = Vec::new();
    for (path, body, _) in &calls {
        first.push(owner.once(path).post(path, body).await);
    }
    server.restart().await;
    let owner = server.owner().await;
    for ((path, body, what), first) in calls.iter().zip(first) {
        let again = owner.once(path).post(path, body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        assert_eq!(first.status, 200, "{path}: {}", first.text);
        assert_eq!(again.headers["idempotency-replayed"], "true", "{path}");
        // The same user, and therefore the same call; but who has found only this key is not shown the other.
        let told = owner.with_key(&other).once(path).post(path, body).await.error(409);
        assert!(told.starts_with(&format!("this Idempotency-Key has made {what} ")), "{told}");
    }
}

#[tokio::test]
async fn a_secret_is_kept_nowhere() {
    if !podbay_testkit::database::is_file() {
        return;
    }
    let server = TestServer::new().await;
    let client = server.user("ada").await.once("k");
    let order = json!({ "name": "ci", "scopes": { "instances": "read" } });
    let made = client.post("/api/v1/api_keys", &order).await.ok();
    let id = made["id"].as_str().unwrap();
    let secret = made["key"].as_str().unwrap().rsplit('_').next().unwrap().as_bytes();
    let mut searched = 0;
    for file in std::fs::read_dir(server.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        searched += bytes.windows(id.len()).filter(|window| *window == id.as_bytes()).count();
    }
    assert!(searched > 0, "the key's row was among what was searched");
}

async fn invite(client: &Client) -> String {
    let team = client.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok();
    let path = format!("/api/v1/teams/{}/invitations", team["teamId"].as_str().unwrap());
    client.post(&path, &json!({})).await.ok()["path"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn calls_without_a_key_are_done_once_too() {
    let mut server = TestServer::new().await;
    let ada = server.user("ada").await;
    let (path, other_path) = (invite(&ada).await, invite(&ada).await);
    let eve = json!({ "name": "eve", "email": "eve@example.org" });
    let first = server.anonymous().once("k").post(&path, &eve).await;
    let replayed = |first: &podbay_testkit::Reply, again: podbay_testkit::Reply| {
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.headers["content-type"], "application/json");
    };
    assert!(!first.headers.contains_key("idempotency-replayed"));
    replayed(&first, server.anonymous().once("k").post(&format!("{path}/"), &eve).await);
    server.restart().await;
    let nobody = server.anonymous();
    replayed(&first, nobody.once("k").post(&path, &eve).await);

    let wrong = "header.Idempotency-Key: this key belongs to another request; make a new one for each";
    let bob = json!({ "name": "bob", "email": "bob@example.org" });
    assert_eq!(nobody.once("k").post(&path, &bob).await.error(422), wrong);
    assert_eq!(nobody.once("l").post(&path, &eve).await.status, 404, "the code is used");
    let other = nobody.once("k").post(&other_path, &bob).await.ok();
    assert_ne!(other["key"], first.json["key"], "somebody else's key is another key");

    // Who has used the first key has it, so nobody else needs it any more.
    let key = first.json["key"].as_str().unwrap();
    assert_eq!(nobody.with_key(key).get("/api/v1/user/whoami").await.ok()["data"]["name"], "eve");
    let used = nobody.once("k").post(&path, &eve).await.error(409);
    let id = first.json["userId"].as_str().unwrap();
    assert!(used.starts_with(&format!("this Idempotency-Key has made the user {id} before")), "{used}");
    for file in std::fs::read_dir(server.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let secret = key.rsplit('_').next().unwrap().as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "it lies nowhere");
    }

    server.clock.advance(Duration::from_secs(24 * 3600));
    let kept = server.app.forget_replies().await.unwrap();
    assert_eq!(kept, 2, "of what had an effect: what anybody can send is not kept");
}

#[tokio::test]
async fn a_storm_of_guests_with_one_key_is_one_user() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let path = invite(&owner).await;
    let mut storm = JoinSet::new();
    for _ in 0..16 {
        let (client, path) = (server.anonymous().once("storm"), path.clone());
        storm.spawn(async move {
            client.post(&path, &json!({ "name": "eve", "email": "eve@example.org" })).await
        });
    }
    let mut answers = Vec::new();
    while let Some(reply) = storm.join_next().await {
        let reply = reply.unwrap();
        match reply.status.as_u16() {
            200 => answers.push(reply.text),
            _ => assert_eq!(reply.error(409), IN_FLIGHT),
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer, however often");
    assert_eq!(owner.get("/api/v1/users").await.ok()["total_count"], 2);
}

#[tokio::test]
async fn a_user_who_accepts_repeats_the_call_under_a_key_of_their_own() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let path = invite(&ada).await;
    let first = eve.once("k").post(&path, &json!({})).await;
    let again = eve.once("k").post(&path, &json!({})).await;
    assert_eq!((first.status.as_u16(), &again.text), (200, &first.text));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(server.anonymous().once("k").post(&path, &json!({})).await.status, 404);
    assert_eq!(server.user("bob").await.once("k").post(&path, &json!({})).await.status, 404);
}

#[tokio::test]
async fn a_login_is_begun_once_for_each_key() {
    const GENERATE: &str = "/api/v1/auth_challenge/generate";
    let mut server = TestServer::new().await;
    let body = json!({ "encryptionPublicKey": include_str!("fixtures/login-key.pub.pem") });
    let first = server.anonymous().once("k").post(GENERATE, &body).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    server.restart().await;
    let nobody = server.anonymous();
    let again = nobody.once("k").post(GENERATE, &body).await;
    assert_eq!(
        (again.text, &again.headers["idempotency-replayed"]),
        (first.text.clone(), &"true".parse().unwrap())
    );

    let mut other = body.clone();
    other["limits"] = json!({});
    let wrong = "header.Idempotency-Key: this key belongs to another request; make a new one for each";
    assert_eq!(nobody.once("k").post(GENERATE, &other).await.error(422), wrong);
    other = json!({ "encryptionPublicKey": format!("{}\n", body["encryptionPublicKey"].as_str().unwrap()) });
    for (key, body) in [("k", &other), ("l", &body)] {
        let reply = nobody.once(key).post(GENERATE, body).await.ok();
        assert_ne!(reply["challenge"], first.json["challenge"], "another caller, another key");
        assert_ne!(reply["status_auth_token"], first.json["status_auth_token"]);
    }

    let challenge = first.json["challenge"].as_str().unwrap();
    let ada = server.user("ada").await;
    ada.post("/api/v1/auth_challenge/approve", &json!({ "challenge": challenge })).await.ok();
    assert_eq!(nobody.once("k").post(GENERATE, &body).await.text, first.text);
    let program = nobody.with_key(first.json["status_auth_token"].as_str().unwrap());
    let status = program.get(&format!("/api/v1/auth_challenge/status?challenge={challenge}")).await.ok();
    assert!(status["result"].is_string(), "the approval is still there");
}

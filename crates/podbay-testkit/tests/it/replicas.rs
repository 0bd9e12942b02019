//! Several servers on one database. What they do to each other under faults is the simulator's; here is what
//! one sees of the other.

use axum::Router;
use podbay_core::limits::{LEASE, LEASE_RENEW_EVERY};
use podbay_server::app::App;
use podbay_server::reconcile::Driver;
use podbay_server::reconcile::lease::{self, Beat};
use podbay_server::tasks::audit::audit;
use podbay_testkit::{Client, Share, TestServer, database};
use std::sync::Arc;
use std::time::Duration;

/// A server with a lease, and another one.
async fn two() -> (TestServer, Arc<App>, Router) {
    let mut server = TestServer::new().await;
    server.share = Share::Alone;
    server.restart().await;
    let (app, router) = server.another(2 << 32, Share::Among).await;
    (server, app, router)
}

async fn order(client: &Client) -> String {
    client.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn status(client: &Client, id: &str) -> String {
    let pod = client.get(&format!("/api/v1/pods/{id}")).await;
    pod.json["status"].as_str().unwrap_or_default().to_owned()
}

async fn settle(app: &App) {
    while app.driver.step(app).await {}
}

#[tokio::test]
async fn what_a_server_accepted_and_never_began_another_one_does() {
    let (server, other, router) = two().await;
    let ada = server.user("ada").await;
    let id = order(&ada).await;
    // The first one dies here, without a pass.
    assert_eq!(lease::beat(&other).await.unwrap().adopted, 1);
    settle(&other).await;
    assert_eq!(status(&ada.through(&router), &id).await, "ACTIVE");
}

#[tokio::test]
async fn what_a_server_has_claimed_is_its_own_until_its_lease_is_over() {
    let (server, other, router) = two().await;
    let ada = server.user("ada").await;
    let id = order(&ada).await;
    server.settle().await;
    assert_eq!(server.app.lease.as_ref().unwrap().claims(), 1);
    let at_other = ada.through(&router);
    at_other.delete(&format!("/api/v1/pods/{id}")).await.ok();
    settle(&other).await;
    assert_eq!(lease::beat(&other).await.unwrap(), Beat::default());
    assert_eq!(status(&at_other, &id).await, "DELETING", "the one that has it has not moved");

    server.clock.advance(LEASE);
    assert_eq!(lease::beat(&other).await.unwrap(), Beat { joined: false, expired: 1, adopted: 1 });
    settle(&other).await;
    assert!(server.world.machines().is_empty());
    assert_eq!(other.lease.as_ref().unwrap().claims(), 0, "what is over needs no claim");

    // The first one wakes up, and is a new server.
    let beat = lease::beat(&server.app).await.unwrap();
    assert_eq!(beat, Beat { joined: true, expired: 0, adopted: 0 });
}

#[tokio::test]
async fn what_a_dead_server_had_does_not_wait_for_a_clock_that_has_jumped_back() {
    let (server, other, router) = two().await;
    let ada = server.user("ada").await;
    let id = order(&ada).await;
    server.settle().await;
    // The first one dies here.
    let before = server.clock.now().as_millis();
    let little = 1_000 * LEASE.as_secs() as i64;
    server.clock.set(podbay_core::Timestamp::from_millis(before - little));
    assert_eq!(
        lease::beat(&other).await.unwrap(),
        Beat::default(),
        "it may live, and has not renewed it yet"
    );
    server.clock.set(podbay_core::Timestamp::from_millis(before - 3_600_000));
    assert_eq!(lease::beat(&other).await.unwrap(), Beat { joined: false, expired: 1, adopted: 1 });
    ada.through(&router).delete(&format!("/api/v1/pods/{id}")).await.ok();
    settle(&other).await;
    assert!(server.world.machines().is_empty());
}

#[tokio::test]
async fn a_server_that_leaves_is_followed_at_once() {
    let (server, other, _) = two().await;
    let ada = server.user("ada").await;
    order(&ada).await;
    server.settle().await;
    lease::leave(&server.app).await.unwrap();
    assert_eq!(lease::beat(&other).await.unwrap(), Beat { joined: false, expired: 1, adopted: 1 });
}

#[tokio::test]
async fn keys_that_a_dead_server_had_still_to_write_are_written() {
    let (server, other, _) = two().await;
    let ada = server.user("ada").await;
    let id = order(&ada).await;
    server.settle().await;
    let name = server.row(&id).await.machine_name();
    let key = TestServer::ssh_public_key(7);
    let body = serde_json::json!({ "name": "k", "publicKey": key });
    ada.post("/api/v1/ssh_keys", &body).await.ok();
    // The first one dies before it has written them.
    server.clock.advance(LEASE);
    lease::beat(&other).await.unwrap();
    podbay_server::tasks::keys::distribute(&other).await;
    let file = server.world.file(&name, "authorized_keys").unwrap();
    assert!(String::from_utf8_lossy(&file).contains(&key), "{file:?}");
}

#[tokio::test]
async fn a_server_with_another_data_folder_is_turned_away() {
    let (server, _, _) = two().await;
    let (foreign, _) = server.another(3 << 32, Share::Elsewhere).await;
    let error = lease::beat(&foreign).await.unwrap_err();
    assert!(error.to_string().contains("one `data_dir`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_hear_of_each_others_deletes() {
    if database::is_file() {
        // Hints are PostgreSQL's.
        return;
    }
    let mut server = TestServer::tuned(|_| {}, |tuning| tuning.delete_wait = LEASE_RENEW_EVERY).await;
    server.restart().await;
    let (other, router) = server.another(2 << 32, Share::Among).await;
    let ada = server.user("ada").await;
    let id = order(&ada).await;
    server.settle().await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Driver::run(server.app.clone()));
    tasks.spawn(lease::hints_run(server.app.clone()));
    tasks.spawn(lease::hints_run(other.clone()));
    // Both listen once each has heard the other.
    for (app, by) in [(&server.app, &other), (&other, &server.app)] {
        let mut ended = app.ended.subscribe();
        let heard = async {
            loop {
                let text = vec![format!("ended pod {id}")];
                by.store.hint(&text).await.unwrap();
                if tokio::time::timeout(Duration::from_millis(20), ended.recv()).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
    }
    let deleted = ada.through(&router).delete(&format!("/api/v1/pods/{id}")).await.ok();
    assert_eq!(deleted["status"], "TERMINATED", "the one that has it was told, and told of the end");
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_finding_of_two_servers_is_one_event() {
    let (server, other, _) = two().await;
    let id = order(&server.user("ada").await).await;
    server.settle().await;
    server.world.machine_vanish(&server.row(&id).await.machine_name());
    for _ in 0..2 {
        for app in [&server.app, &other] {
            assert_eq!(audit(app).await.unwrap().trouble, None);
        }
    }
    let told = server.app.store.reader().await.unwrap().event_list(&"", 0, 100).await.unwrap();
    let kinds: Vec<&str> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "audit.finding").count(), 1, "{told:?}");
}

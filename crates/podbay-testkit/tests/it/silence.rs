//! A host that does not answer is told of once, and its pods are given up only if their owner wants it.

use podbay_core::limits::SWEEP_EVERY;
use podbay_core::{Timestamp, usage};
use podbay_provider::fake::{Call, Fault};
use podbay_server::Config;
use podbay_server::config::WhenLost;
use podbay_testkit::{Client, TestServer};
use std::time::Duration;

const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);
const MINUTE: Duration = Duration::from_secs(60);

fn fail(config: &mut Config) {
    config.engine.when_lost = WhenLost::Fail;
}

async fn ordered(client: &Client) -> String {
    client.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn status(client: &Client, id: &str) -> String {
    client.get(&format!("/api/v1/pods/{id}")).await.ok()["status"].as_str().unwrap().to_owned()
}

/// As much time as that, with its sweeps.
async fn watch(server: &TestServer, minutes: u32) {
    let end = server.clock.now().plus(MINUTE * minutes);
    while server.clock.now() < end {
        server.advance(SWEEP_EVERY).await;
        server.sweep().await;
    }
}

/// What the installation was told of its host.
async fn told(server: &TestServer) -> Vec<String> {
    let mut tx = server.app.store.reader().await.unwrap();
    let events = tx.event_list(&"", 0, 1000).await.unwrap();
    events.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with("host.")).collect()
}

#[tokio::test]
async fn a_silence_is_told_once_and_a_blip_never() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let id = ordered(&ada).await;
    watch(&server, 1).await;
    server.world.host_gone(server.clock.now().plus(MINUTE));
    watch(&server, 3).await;
    assert_eq!(told(&server).await, [""; 0]);
    server.world.host_gone(server.clock.now().plus(MINUTE * 60));
    watch(&server, 59).await;
    assert_eq!(
        (told(&server).await, status(&ada, &id).await),
        (vec!["host.unreachable".to_owned()], "ACTIVE".into())
    );
    watch(&server, 2).await;
    assert_eq!(told(&server).await, ["host.unreachable", "host.back"]);
    assert_eq!(status(&ada, &id).await, "ACTIVE", "nobody has said that it is dead");
    server.world.host_gone(FOR_EVER);
    watch(&server, 3).await;
    assert_eq!(told(&server).await, ["host.unreachable", "host.back", "host.unreachable"]);
    server.world.calm();
}

#[tokio::test]
async fn an_owner_who_does_not_wait_gives_up_what_is_active_after_the_grace_and_clears_it_away_later() {
    let mut server = TestServer::with(fail).await;
    let ada = server.user("ada").await;
    let (id, young) = (ordered(&ada).await, ordered(&ada).await);
    watch(&server, 1).await;
    let seen = server.clock.now();
    server.world.host_gone(FOR_EVER);
    ada.delete(&format!("/api/v1/pods/{young}")).await.ok();
    watch(&server, 9).await;
    assert_eq!(status(&ada, &id).await, "ACTIVE");
    watch(&server, 3).await;
    let pod = ada.get(&format!("/api/v1/pods/{id}")).await.ok();
    assert_eq!(pod["status"], "ERROR");
    let failure = pod["installationFailure"].as_str().unwrap();
    assert!(failure.contains("has not answered since") && failure.contains("create a new one"), "{failure}");
    assert_eq!(status(&ada, &young).await, "DELETING", "a delete is not given up");
    let mut tx = server.app.store.reader().await.unwrap();
    let bill = tx.usage_list(&server.row(&id).await.id).await.unwrap();
    drop(tx);
    assert_eq!(bill.last().unwrap().ended_at, Some(seen), "nobody can say that it ran for longer");
    let held = server.row(&id).await.placement;
    assert!(held.is_some(), "its machine may run, so nobody else gets its place");

    // A server that starts again knows it, and what was given up is stopped, with its files.
    server.restart().await;
    server.world.calm();
    watch(&server, 2).await;
    let row = server.row(&id).await;
    let left = server.world.machines();
    assert_eq!((row.placement, left.len(), left[0].is_running()), (None, 1, false));
    assert_eq!(status(&server.user("ada").await, &id).await, "ERROR");
    let now = usage::total(&bill, server.clock.now()).billed;
    let mut tx = server.app.store.reader().await.unwrap();
    let later = tx.usage_list(&row.id).await.unwrap();
    assert_eq!(usage::total(&later, server.clock.now()).billed, now);
}

#[tokio::test]
async fn a_host_that_has_never_answered_is_silent_since_the_first_look() {
    let mut server = TestServer::with(fail).await;
    let ada = server.user("ada").await;
    let (id, other) = (ordered(&ada).await, ordered(&ada).await);
    // No sweep has come by yet.
    server.settle().await;
    server.world.host_gone(FOR_EVER);
    server.restart().await;
    let ada = server.user("ada").await;
    watch(&server, 1).await;
    let force = format!("/api/v1/pods/{other}?force=true");
    assert_eq!(server.owner().await.delete(&force).await.status, 409, "it may still come");
    watch(&server, 6).await;
    assert_eq!(told(&server).await, ["host.unreachable"]);
    server.owner().await.delete(&force).await.ok();
    assert_eq!(status(&ada, &id).await, "ACTIVE");
    watch(&server, 5).await;
    assert_eq!(status(&ada, &id).await, "ERROR");
    server.world.calm();
}

#[tokio::test]
async fn a_host_that_is_back_in_time_loses_nothing_and_neither_does_one_whose_clock_jumps() {
    let server = TestServer::with(fail).await;
    let ada = server.user("ada").await;
    let id = ordered(&ada).await;
    watch(&server, 1).await;
    for _ in 0..3 {
        server.world.host_gone(server.clock.now().plus(MINUTE * 9));
        watch(&server, 10).await;
    }
    assert_eq!(status(&ada, &id).await, "ACTIVE");
    // One look in vain, an hour after the last: that is no hour of silence.
    server.clock.advance(MINUTE * 60);
    server.world.host_gone(server.clock.now().plus(MINUTE));
    watch(&server, 2).await;
    assert_eq!(status(&ada, &id).await, "ACTIVE");
    assert_eq!(server.row(&id).await.failure, None);
}

#[tokio::test]
async fn an_engine_that_answers_and_cannot_list_is_in_trouble_and_not_away() {
    let server = TestServer::with(fail).await;
    let ada = server.user("ada").await;
    let id = ordered(&ada).await;
    watch(&server, 1).await;
    server.world.faults(Call::List, Fault::NotSent, 1000);
    watch(&server, 20).await;
    assert_eq!((told(&server).await, status(&ada, &id).await), (Vec::new(), "ACTIVE".into()));
    server.world.calm();
}

#[tokio::test]
async fn a_delete_of_what_was_given_up_comes_before_its_stop() {
    let server = TestServer::with(fail).await;
    let ada = server.user("ada").await;
    let id = ordered(&ada).await;
    watch(&server, 1).await;
    server.world.host_gone(FOR_EVER);
    watch(&server, 12).await;
    let asked = || (server.world.calls(Call::Inspect), server.world.calls(Call::Stop));
    let before = asked();
    watch(&server, 5).await;
    assert_eq!(asked(), before, "nobody is there to answer");
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok()["status"], "DELETING");
    server.world.calm();
    watch(&server, 2).await;
    ada.get(&format!("/api/v1/pods/{id}")).await.error(404);
    assert_eq!(server.world.machines().len(), 0);
    assert_eq!(server.row(&id).await.placement, None);
}

//! A host that is lost is not a pod that is dead; and a delete ends though the host is lost.

use podbay_core::{Timestamp, limits};
use podbay_testkit::{Client, TestServer};
use serde_json::json;

const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);

async fn active(server: &TestServer) -> (Client, String) {
    let ada = server.user("ada").await;
    let id = ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned();
    server.settle().await;
    server.sweep().await;
    (ada, id)
}

async fn free(server: &TestServer) -> podbay_core::place::Free {
    let mut tx = server.app.store.reader().await.unwrap();
    tx.host_free(&server.worlds[0].0).await.unwrap().unwrap()
}

fn forced(id: &str) -> String {
    format!("/api/v1/pods/{id}?force=true")
}

#[tokio::test]
async fn a_pod_whose_host_is_lost_stays_active_and_a_host_that_is_back_shows_it_again() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    server.world.host_gone(server.clock.now().plus(limits::FORCE_AFTER));
    assert!(server.sweep().await.trouble.is_some());
    server.advance(limits::FORCE_AFTER).await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.ok()["status"], "ACTIVE");
    server.sweep().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.ok()["status"], "ACTIVE");
}

#[tokio::test]
async fn an_end_by_force_is_for_the_owner_and_only_where_a_delete_cannot_do_it() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let young = owner.post("/api/v1/pods", &TestServer::order()).await.ok();
    // No sweep has looked yet, and that is no reason.
    owner.delete(&forced(young["id"].as_str().unwrap())).await.error(409);
    let (ada, id) = active(&server).await;
    let text = owner.delete(&forced(&id)).await.error(409);
    assert!(text.contains("delete the pod without force"), "{text}");
    server.world.host_gone(FOR_EVER);
    server.advance(limits::HOST_SILENT_AFTER).await;
    ada.delete(&forced(&id)).await.error(403);
    owner.delete("/api/v1/pods/x?force=true").await.error(404);
    assert_eq!(owner.delete(&format!("/api/v1/pods/{id}?force=perhaps")).await.status, 422);
    assert_eq!(owner.delete(&forced(&id)).await.ok(), json!({ "status": "TERMINATED" }));
    owner.delete(&forced(&id)).await.error(404);
}

#[tokio::test]
async fn a_host_is_lost_also_if_the_clock_has_jumped_back_since_it_answered() {
    let server = TestServer::new().await;
    let (_, id) = active(&server).await;
    let before = server.clock.now().as_millis();
    server.world.host_gone(FOR_EVER);
    server.clock.set(Timestamp::from_millis(before - 3_600_000));
    let owner = server.owner().await;
    owner.delete(&forced(&id)).await.error(409);
    let looks = limits::HOST_SILENT_AFTER.as_secs() / limits::SWEEP_EVERY.as_secs() + 2;
    for _ in 0..looks {
        server.advance(limits::SWEEP_EVERY).await;
        server.sweep().await;
    }
    assert_eq!(owner.delete(&forced(&id)).await.ok(), json!({ "status": "TERMINATED" }));
    server.world.calm();
}

#[tokio::test]
async fn a_pod_that_no_look_has_seen_run_is_not_billed_until_its_end_by_force() {
    let server = TestServer::new().await;
    server.sweep().await;
    let ada = server.user("ada").await;
    let id = ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned();
    server.settle().await;
    let row = server.row(&id).await;
    server.world.host_gone(FOR_EVER);
    server.advance(limits::HOST_SILENT_AFTER).await;
    server.owner().await.delete(&forced(&id)).await.ok();
    let mut tx = server.app.store.reader().await.unwrap();
    let intervals = tx.usage_list(&row.id).await.unwrap();
    assert_eq!(intervals.last().unwrap().ended_at, row.ready_at);
}

#[tokio::test]
async fn an_end_by_force_ends_the_pod_and_its_bill_and_keeps_its_place_until_the_host_is_back() {
    let server = TestServer::new().await;
    let before = free(&server).await;
    let (ada, id) = active(&server).await;
    let held = free(&server).await;
    assert_ne!(held, before);
    let seen = server.clock.now();
    server.world.host_gone(FOR_EVER);
    server.advance(limits::HOST_SILENT_AFTER).await;
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok()["status"], "DELETING");
    server.advance(limits::HOST_SILENT_AFTER).await;
    server.owner().await.delete(&forced(&id)).await.ok();

    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    let row = server.row(&id).await;
    assert_eq!((row.terminated_at, row.placement), (Some(server.clock.now()), None));
    let mut tx = server.app.store.reader().await.unwrap();
    let intervals = tx.usage_list(&row.id).await.unwrap();
    assert_eq!(intervals.last().unwrap().ended_at, Some(seen), "it was seen to run then, and never again");
    let events = tx.event_list(&row.id, 0, 100).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!(last.kind, "pod.terminated");
    assert!(
        last.text.starts_with("owner ended the pod by force: the container engine has not answered since ")
    );
    drop(tx);
    assert_eq!(free(&server).await, held, "its machine may still run");

    server.world.calm();
    server.advance(limits::ORPHAN_GRACE).await;
    assert_eq!(server.sweep().await.removed.len(), 1);
    assert_eq!(free(&server).await, held, "nobody has seen that it is gone");
    server.sweep().await;
    assert_eq!(free(&server).await, before);
    assert_eq!(server.events(&id).await.last().unwrap(), "pod.cleared");
    assert_eq!(server.world.machines().len(), 0);
}

/// The engine answers, and cannot remove it.
#[tokio::test]
async fn a_delete_that_does_not_come_through_can_be_forced_after_a_while() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    server.world.engine_down(server.clock.now().plus(limits::FORCE_AFTER));
    ada.delete(&format!("/api/v1/pods/{id}")).await.ok();
    let owner = server.owner().await;
    let now = server.clock.now();
    server.clock.set(now.plus(limits::FORCE_AFTER));
    // It answers again, and nobody has come to remove it yet.
    podbay_server::reconcile::sweep::sweep(&server.app).await;
    owner.delete(&forced(&id)).await.ok();
    server.settle().await;
    server.advance(limits::ORPHAN_GRACE).await;
    server.sweep().await;
    server.sweep().await;
    assert_eq!(server.events(&id).await.last().unwrap(), "pod.cleared");
}

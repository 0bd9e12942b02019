//! The auditor: quiet while all is well, and precise when it is not.

use podbay_core::mutation::{Mutation, put_in_force};
use podbay_core::{Timestamp, limits};
use podbay_server::tasks::audit::audit;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};

async fn active(server: &TestServer) -> (Client, String) {
    let ada = server.user("ada").await;
    let id = ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned();
    server.settle().await;
    (ada, id)
}

async fn numbers(server: &TestServer) -> Vec<&'static str> {
    let found = audit(&server.app).await.unwrap();
    found.findings.iter().map(|finding| finding.invariant).collect()
}

async fn installation_events(server: &TestServer) -> Vec<String> {
    let mut tx = server.app.store.reader().await.unwrap();
    let events = tx.event_list(&"", 0, 100).await.unwrap();
    events.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with("audit.")).collect()
}

#[tokio::test]
async fn a_healthy_server_has_no_findings() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    assert_eq!(numbers(&server).await, Vec::<&str>::new());
    ada.delete(&format!("/api/v1/pods/{id}")).await.ok();
    server.settle().await;
    assert_eq!(numbers(&server).await, Vec::<&str>::new());
    assert_eq!(installation_events(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_ended_pod_still_holds_is_found() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    put_in_force(Some(Mutation::KeepPlace));
    ada.delete(&format!("/api/v1/pods/{id}")).await.ok();
    server.settle().await;
    put_in_force(None);
    let found = audit(&server.app).await.unwrap();
    assert!(found.findings.iter().all(|finding| finding.invariant == "A2" && finding.of == id));
    assert_eq!(found.findings.len(), 2, "its share and its port: {found:?}");
    // It is told once, however often it is found.
    audit(&server.app).await.unwrap();
    assert_eq!(installation_events(&server).await, ["audit.finding", "audit.finding"]);
}

#[tokio::test]
async fn what_two_looks_find_is_told_and_what_is_mended_is_told_to_be_over() {
    let server = TestServer::new().await;
    let (_, id) = active(&server).await;
    server.world.machine_vanish(&server.row(&id).await.machine_name());
    assert_eq!(numbers(&server).await, Vec::<&str>::new(), "one look may have met something on its way");
    assert_eq!(numbers(&server).await, ["P4"]);
    // The sweep is what mends it: the pod has lost its machine, and says so.
    server.sweep().await;
    assert_eq!(numbers(&server).await, Vec::<&str>::new());
    assert_eq!(installation_events(&server).await, ["audit.finding", "audit.resolved"]);
}

#[tokio::test]
async fn what_has_no_end_is_found() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    server.world.host_gone(server.clock.now().plus(limits::PROVISIONING_MAX * 24));
    ada.delete(&format!("/api/v1/pods/{id}")).await.ok();
    server.advance(podbay_core::audit::STUCK_GRACE).await;
    assert_eq!(numbers(&server).await, Vec::<&str>::new());
    server.clock.advance(std::time::Duration::from_secs(60));
    let found = audit(&server.app).await.unwrap();
    assert!(found.trouble.is_some(), "the engine is away: {found:?}");
    assert_eq!(found.findings.iter().map(|finding| finding.invariant).collect::<Vec<_>>(), ["P6"]);
}

#[tokio::test]
async fn the_owner_reads_audits_and_numbers_and_nobody_else_does() {
    let server = TestServer::new().await;
    let (ada, id) = active(&server).await;
    for path in ["/api/v1/audit", "/metrics"] {
        assert_eq!(ada.get(path).await.error(403), "only the owner of this server may do this");
    }
    let owner = server.owner().await;
    let report = owner.get("/api/v1/audit").await.ok();
    assert_eq!(
        (&report["count"], &report["trouble"], &report["findings"]),
        (&json!(1), &Value::Null, &json!([]))
    );
    server.world.machine_vanish(&server.row(&id).await.machine_name());
    server.clock.advance(limits::AUDIT_KEPT);
    owner.get("/api/v1/audit").await.ok();
    server.clock.advance(limits::AUDIT_KEPT);
    let report = owner.get("/api/v1/audit").await.ok();
    assert_eq!(report["findings"][0]["invariant"], "P4");
    assert_eq!(report["findings"][0]["of"], json!(id));
    let numbers = owner.get("/metrics").await;
    assert_eq!(numbers.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "podbay_pods{desired=\"running\"} 1",
        "podbay_audits_total 3",
        "podbay_audit_findings{invariant=\"A1\"} 0",
        "podbay_audit_findings{invariant=\"P4\"} 1",
    ] {
        assert!(numbers.text.lines().any(|other| other == line), "{line} is not in {}", numbers.text);
    }
}

#[tokio::test]
async fn many_who_ask_at_once_share_an_audit() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let count = async || owner.get("/api/v1/audit").await.ok()["count"].as_u64().unwrap();
    assert_eq!(tokio::join!(count(), count(), count()), (1, 1, 1));
    server.clock.advance(limits::AUDIT_KEPT / 2 - std::time::Duration::from_millis(1));
    assert_eq!((count().await, count().await), (1, 1));
    // The clock jumps back: nobody knows how old the last one is.
    let before = server.clock.now();
    server.clock.set(Timestamp::from_millis(before.as_millis() - 3_600_000));
    assert_eq!((count().await, count().await), (2, 2));
    // Its time is half over: it still answers, and the next is made beside it.
    server.clock.advance(limits::AUDIT_KEPT / 2);
    assert_eq!(count().await, 2);
    let turn = server.app.audit_turn.clone().lock_owned().await;
    drop(turn);
    assert_eq!(count().await, 3);
}

//! Several hosts of one server: where things are put, and that a host in trouble holds no other up.

use podbay_core::limits::SWEEP_EVERY;
use podbay_core::place::{GpuFact, HostFacts};
use podbay_core::published::{GpuType, Socket};
use podbay_core::{Timestamp, pod::Pod};
use podbay_testkit::{Client, TestServer, facts};
use serde_json::{Value, json};
use std::time::Duration;

const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A host with so many CPUs and GPUs.
fn host(name: &str, vcpus: u32, gpus: u32) -> HostFacts {
    let gpu = |index| GpuFact {
        uuid: format!("GPU-{name}-{index}"),
        index,
        gpu_type: GpuType::H100,
        memory_gb: 80,
        socket: Socket::Sxm5,
    };
    HostFacts { vcpus, memory_gb: 64, disk_gb: 100, gpus: (0..gpus).map(gpu).collect(), ..facts() }
}

/// `local` has two GPUs, `remote-01` has none, `remote-02` is small and has one.
async fn three() -> TestServer {
    let hosts = vec![host("a", 16, 2), host("b", 2, 0), host("c", 2, 1)];
    TestServer::on_hosts(hosts, |_| {}, |_| {}).await
}

fn gpus(count: u32) -> Value {
    json!({
        "pod": { "cloudId": format!("h100-80gb-x{count}"), "gpuType": "H100_80GB", "socket": "SXM5", "gpuCount": count },
        "provider": { "type": "primecompute" },
    })
}

/// More than the small hosts have.
fn big() -> Value {
    json!({
        "pod": { "cloudId": "cpu-4x16", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1 },
        "provider": { "type": "primecompute" },
    })
}

async fn put(server: &TestServer, user: &Client, order: &Value) -> Pod {
    let made = user.post("/api/v1/pods", order).await.ok();
    server.row(made["id"].as_str().unwrap()).await
}

async fn stock(user: &Client, query: &str) -> Vec<(String, bool)> {
    let page = user.get(&format!("/api/v1/availability/gpus?{query}")).await.ok();
    let row = |item: &Value| {
        (item["cloudId"].as_str().unwrap().to_owned(), item["stockStatus"].as_str() != Some("Unavailable"))
    };
    page["items"].as_array().unwrap().iter().map(row).collect()
}

async fn watch(server: &TestServer, minutes: u64) {
    let end = server.clock.now().plus(Duration::from_secs(60 * minutes));
    while server.clock.now() < end {
        server.advance(SWEEP_EVERY).await;
        server.sweep().await;
    }
}

async fn status(user: &Client, id: &str) -> String {
    user.get(&format!("/api/v1/pods/{id}")).await.ok()["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pod_goes_where_least_is_lost_until_no_host_has_room() {
    let server = three().await;
    let ada = server.user("ada").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(put(&server, &ada, &TestServer::order()).await.host.to_string());
    }
    // The share of the small host is what an offer of one GPU promises.
    for order in [gpus(1), gpus(1), gpus(1)] {
        let pod = put(&server, &ada, &order).await;
        assert_eq!((pod.spec.vcpus, pod.placement.unwrap().gpus.len()), (2, 1));
        seen.push(pod.host.to_string());
    }
    assert_eq!(seen, ["remote-01", "remote-01", "remote-02", "local", "local"]);
    let text = ada.post("/api/v1/pods", &gpus(2)).await.error(409);
    assert!(text.contains("on any of 3 hosts now; most is free on local: 12 vCPU"), "{text}");
    server.settle().await;
    let running: Vec<usize> = server.worlds.iter().map(|(_, world)| world.running_count()).collect();
    assert_eq!(running, [2, 2, 1]);
    // CPUs are left on one, but no memory.
    let all = stock(&ada, "").await;
    assert!(all.len() == 4 && all.iter().all(|(_, is_left)| !is_left), "{all:?}");
}

#[tokio::test]
async fn a_silent_host_gets_nothing_new_and_holds_no_other_up() {
    let mut server = three().await;
    let (ada, owner) = (server.user("ada").await, server.owner().await);
    let there = put(&server, &ada, &big()).await;
    let here = put(&server, &ada, &TestServer::order()).await;
    assert_eq!((there.host.as_str(), here.host.as_str()), ("local", "remote-01"));
    watch(&server, 1).await;
    server.worlds[0].1.host_gone(FOR_EVER);
    watch(&server, 3).await;
    let mut tx = server.app.store.reader().await.unwrap();
    let events = tx.event_list(&"", 0, 1000).await.unwrap();
    drop(tx);
    let told: Vec<&str> = events
        .iter()
        .filter(|event| event.kind.starts_with("host."))
        .map(|event| event.text.as_str())
        .collect();
    assert!(
        told.len() == 1 && told[0].starts_with("the container engine of local has not answered"),
        "{told:?}"
    );

    // There would be room on it.
    let text = ada.post("/api/v1/pods", &big()).await.error(409);
    assert!(text.contains("on any of 2 hosts now"), "{text}");
    let next = put(&server, &ada, &TestServer::order()).await;
    assert_eq!(next.host.as_str(), "remote-01");
    server.settle().await;
    assert_eq!(status(&ada, next.id.as_str()).await, "ACTIVE");
    assert_eq!(server.anonymous().get("/readyz").await.status, 200);

    // Force is for what is on the silent one.
    owner.delete(&format!("/api/v1/pods/{}?force=true", here.id)).await.error(409);
    owner.delete(&format!("/api/v1/pods/{}?force=true", there.id)).await.ok();
    ada.delete(&format!("/api/v1/pods/{}", here.id)).await.ok();
    server.settle().await;
    assert_eq!(server.worlds[1].1.running_count(), 1);
    assert_eq!(stock(&ada, "gpu_count=2").await, [("h100-80gb-x2".into(), false)], "its machine may run");

    // Another start of the server takes all of them up; the lost one comes back, and is cleared.
    server.restart().await;
    server.worlds[0].1.calm();
    watch(&server, 20).await;
    assert_eq!(server.worlds[0].1.machines().len(), 0);
    let ada = server.user("ada").await;
    assert_eq!(stock(&ada, "gpu_count=2").await, [("h100-80gb-x2".into(), true)]);
}

#[tokio::test]
async fn where_no_host_answers_nothing_is_ordered_and_the_reason_is_told() {
    let server = three().await;
    let ada = server.user("ada").await;
    watch(&server, 1).await;
    server.worlds.iter().for_each(|(_, world)| world.host_gone(FOR_EVER));
    watch(&server, 3).await;
    let text = ada.post("/api/v1/pods", &TestServer::order()).await.error(409);
    assert!(
        text.contains("no capacity for cpu-1x2 now: the container engine has not answered since"),
        "{text}"
    );
    ada.post("/api/v1/disks", &TestServer::disk_order(5)).await.error(409);
    assert_eq!(server.anonymous().get("/readyz").await.status, 503);
    assert!(stock(&ada, "").await.iter().all(|(_, is_left)| !is_left));
}

#[tokio::test]
async fn pods_go_to_their_disks() {
    let server = three().await;
    let ada = server.user("ada").await;
    let disk = |size| {
        let (server, ada) = (&server, &ada);
        async move {
            let made = ada.post("/api/v1/disks", &TestServer::disk_order(size)).await.ok();
            server.settle().await;
            server.disk_row(made["id"].as_str().unwrap()).await
        }
    };
    // Where most GPUs are free, and then wherever there still is room.
    let (large, other) = (disk(90).await, disk(20).await);
    assert_eq!((large.host_id.as_str(), other.host_id.as_str()), ("local", "remote-02"));
    assert_eq!((server.worlds[0].1.volumes().len(), server.worlds[2].1.volumes().len()), (1, 1));

    let with = |disks: &[&str]| {
        let mut order = TestServer::order();
        order["disks"] = json!(disks);
        order
    };
    let (large, other) = (large.id.as_str(), other.id.as_str());
    assert_eq!(put(&server, &ada, &with(&[large])).await.host.as_str(), "local");
    assert_eq!(put(&server, &ada, &with(&[other])).await.host.as_str(), "remote-02");
    // There is room for four CPUs elsewhere, but not where the disk is.
    let mut order = big();
    order["disks"] = json!([other]);
    let text = ada.post("/api/v1/pods", &order).await.error(422);
    assert!(text.contains("no such offer"), "{text}");
    let two = [TestServer::order(), TestServer::order()].map(|mut order| {
        order["disks"] = json!([other]);
        order
    });
    put(&server, &ada, &two[0]).await;
    let text = ada.post("/api/v1/pods", &two[1]).await.error(409);
    assert!(text.contains("free are 0 vCPU"), "{text}");
    let text = ada.post("/api/v1/pods", &with(&[other, large])).await.error(422);
    assert!(text.contains("body.disks.1: this disk is on another host than the one before it"), "{text}");
    let near = stock(&ada, &format!("disks={other}")).await;
    assert_eq!(near, [("cpu-1x2".into(), false), ("h100-80gb-x1".into(), false)]);
    assert_eq!(stock(&ada, &format!("disks={other}&disks={large}")).await, []);
    server.settle().await;
    assert_eq!(server.worlds[2].1.machines().len(), 2);
}

#[tokio::test]
async fn an_audit_looks_at_each_host_for_what_is_to_be_there() {
    let server = three().await;
    let ada = server.user("ada").await;
    let pod = put(&server, &ada, &TestServer::order()).await;
    watch(&server, 1).await;
    let audit = || async { podbay_server::tasks::audit::audit(&server.app).await.unwrap() };
    assert!(audit().await.findings.is_empty() && audit().await.findings.is_empty());
    // One host that cannot be asked keeps nothing of the others from being seen.
    server.worlds[0].1.host_gone(FOR_EVER);
    server.worlds[1].1.machine_vanish(&pod.machine_name());
    assert!(audit().await.trouble.is_some());
    let found: Vec<_> = audit().await.findings.into_iter().map(|found| (found.invariant, found.of)).collect();
    assert_eq!(found, [("P4", pod.id.to_string())]);
    server.worlds[0].1.calm();
}

//! Every step of a pod's and a disk's life: failed, repeated, and cut off by a crash before and after every
//! write and every call. Whatever happens, the life goes on to the same end, and then nothing is left. The
//! simulator does the same by chance and in mixtures; here it is one thing at a time, and all of them.

use podbay_core::audit;
use podbay_core::limits::SWEEP_EVERY;
use podbay_core::place::CpuSize;
use podbay_core::pod::FailureCode;
use podbay_provider::fake::{Call, Fault};
use podbay_server::app::App;
use podbay_testkit::sim::Points;
use podbay_testkit::{Client, ManualClock, Share, TestServer};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a life may take with one thing going wrong.
const LIFE_MAX: Duration = Duration::from_secs(15 * 60);
const LATE: Duration = Duration::from_secs(40);
const NONE_HELD: CpuSize = CpuSize { vcpus: 0, memory_gb: 0, disk_gb: 0 };

async fn status(client: &Client, path: &str) -> Option<String> {
    client.get(path).await.json["status"].as_str().map(str::to_owned)
}

/// Works until `path` has that status, or, for none, is not there any more; false if it ends otherwise or takes
/// too long.
async fn until(app: &App, clock: &ManualClock, client: &Client, path: &str, wanted: Option<&str>) -> bool {
    let end = clock.now().plus(LIFE_MAX);
    loop {
        while app.driver.step(app).await {}
        podbay_server::tasks::keys::distribute(app).await;
        let status = status(client, path).await;
        if status.as_deref() == wanted {
            return true;
        }
        if status.as_deref() == Some("ERROR") || clock.now() > end {
            return false;
        }
        let sweep = clock.now().plus(SWEEP_EVERY);
        clock.set(app.driver.next_due().map_or(sweep, |due| due.clamp(clock.now(), sweep)));
        if clock.now() == sweep {
            podbay_server::reconcile::sweep::sweep(app).await;
        }
    }
}

/// A disk, a pod on it, and the end of both.
async fn life(app: Arc<App>, clock: ManualClock, client: Client) -> bool {
    let disk = client.post("/api/v1/disks", &TestServer::disk_order(10)).await;
    let Some(disk) = disk.json["id"].as_str().map(str::to_owned) else { return false };
    let mut order = TestServer::order();
    order["disks"] = serde_json::json!([disk]);
    let disk = format!("/api/v1/disks/{disk}");
    if !until(&app, &clock, &client, &disk, Some("ACTIVE")).await {
        return false;
    }
    let pod = client.post("/api/v1/pods", &order).await;
    let Some(pod) = pod.json["id"].as_str().map(|id| format!("/api/v1/pods/{id}")) else { return false };
    if !until(&app, &clock, &client, &pod, Some("ACTIVE")).await {
        return false;
    }
    client.delete(&pod).await;
    let is_gone = until(&app, &clock, &client, &pod, None).await;
    client.delete(&disk).await;
    is_gone && until(&app, &clock, &client, &disk, None).await
}

/// Nothing is there, held, billed or waited for.
async fn clean_slate(server: &TestServer, of: &str) {
    let world = &server.world;
    assert!(world.machines().is_empty() && world.volumes().is_empty(), "{of}: {:?}", world.machines());
    let books = server.app.store.snapshot(|tx| Box::pin(tx.books())).await.unwrap();
    assert_eq!(audit::books(&books), Vec::new(), "{of}");
    assert!(books.hosts.iter().all(|(_, held)| *held == NONE_HELD), "{of}: {:?}", books.hosts);
    let counts = (books.pods.len(), books.disks.len(), books.held.len(), books.ports.len(), books.open.len());
    assert_eq!(counts, (0, 0, 0, 0, 0), "{of}");
    assert_eq!(world.violations(), Vec::<String>::new(), "{of}");
}

/// Every pod and disk that is there comes to what it was meant to be, and is deleted.
async fn go_on(server: &TestServer, client: &Client, of: &str) {
    for noun in ["disks", "pods"] {
        let path = format!("/api/v1/{noun}");
        let list = client.get(&path).await.ok();
        for row in list["data"].as_array().unwrap() {
            let path = format!("{path}/{}", row["id"].as_str().unwrap());
            let was_deleted = row["status"] == "DELETING" || row["status"] == "TERMINATED";
            let wanted = if was_deleted { None } else { Some("ACTIVE") };
            let is_there = until(&server.app, &server.clock, client, &path, wanted).await;
            assert!(is_there, "{of}: {row}, then {:?}", status(client, &path).await);
        }
    }
    server.clear().await;
    server.advance(LATE).await;
    server.sweep().await;
}

#[tokio::test]
async fn a_crash_before_and_after_every_write_and_every_call_leaves_a_clean_slate() {
    let mut points_met = 0;
    for point in 0.. {
        let mut server = TestServer::new().await;
        let points = Arc::new(Points::calm());
        let app = server.beside(1 << 32, Share::Only, points.clone()).await;
        let router = podbay_server::http::router(app.clone());
        let client = server.user("ada").await;
        points.arm(point);
        let mut work: std::pin::Pin<Box<dyn Future<Output = bool> + Send>> =
            Box::pin(life(app, server.clock.clone(), client.through(&router)));
        let done = points.until_stopped(&mut work).await;
        drop(work);
        points.die();
        let of = format!("a crash at point {point}");
        if let Some(is_whole) = done {
            assert!(is_whole && point > 0);
            clean_slate(&server, "no crash").await;
            points_met = point;
            break;
        }
        server.restart().await;
        let client = server.user("ada").await;
        go_on(&server, &client, &of).await;
        clean_slate(&server, &of).await;
    }
    assert!(points_met > 40, "a life has more than {points_met} points");
    println!("{points_met} crashes");
}

#[tokio::test]
async fn every_call_may_fail_or_be_done_twice() {
    let faults = [Fault::NotSent, Fault::LostReply, Fault::LateEffect(LATE), Fault::RefusedTransient];
    let mut lives = 0;
    for call in Call::ALL {
        for fault in faults {
            for times in 1..=2 {
                let server = TestServer::new().await;
                let client = server.user("ada").await;
                server.world.faults(call, fault, times);
                let of = format!("{call:?} meets {fault:?}, {times} times");
                let is_whole = life(server.app.clone(), server.clock.clone(), client.clone()).await;
                assert!(is_whole, "{of}: {}", client.get("/api/v1/pods").await.json);
                server.advance(LATE).await;
                server.sweep().await;
                clean_slate(&server, &of).await;
                lives += 1;
            }
        }
    }
    println!("{lives} lives");
}

#[tokio::test]
async fn what_is_refused_for_good_ends_with_a_reason_and_leaves_a_clean_slate() {
    for (call, noun) in [
        (Call::ImageEnsure, "pods"),
        (Call::Create, "pods"),
        (Call::Start, "pods"),
        (Call::VolumeEnsure, "disks"),
    ] {
        let server = TestServer::new().await;
        let client = server.user("ada").await;
        server.world.faults(call, Fault::RefusedPermanent(FailureCode::Engine), 10);
        let is_whole = life(server.app.clone(), server.clock.clone(), client.clone()).await;
        assert!(!is_whole, "{call:?}");
        let list = client.get(&format!("/api/v1/{noun}")).await.ok();
        let row: &Value = &list["data"][0];
        assert_eq!(row["status"], "ERROR", "{call:?}: {row}");
        server.clear().await;
        server.sweep().await;
        clean_slate(&server, &format!("{call:?}")).await;
    }
}

//! What happened long ago is forgotten, and what it cost is not.

use podbay_core::{DiskId, PodId};
use podbay_server::tasks::retention::retain;
use podbay_testkit::TestServer;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn events_of_the_ended_are_forgotten_after_their_time_and_no_total_changes() {
    let server = TestServer::with(|config| config.retention.events_days = 10).await;
    let ada = server.user("ada").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(
            ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned(),
        );
    }
    let disk = ada.post("/api/v1/disks", &TestServer::disk_order(10)).await.ok();
    let disk = disk["id"].as_str().unwrap().to_owned();
    server.settle().await;
    server.advance(Duration::from_secs(1234)).await;
    // The disk has two intervals at one price, as after a change that changed nothing.
    let (of, now) = (DiskId::parse(&disk).unwrap(), server.clock.now());
    let cut = server.app.store.write(move |tx| {
        Box::pin(async move {
            let open = tx.usage_list(&of).await?[0];
            tx.usage_close(&of, now).await?;
            tx.usage_open(&of, open.state, open.price, now).await
        })
    });
    cut.await.unwrap();
    server.advance(Duration::from_secs(777)).await;
    let (ended, alive) = ids.split_at(2);
    for id in ended {
        ada.delete(&format!("/api/v1/pods/{id}")).await.ok();
    }
    ada.delete(&format!("/api/v1/disks/{disk}")).await.ok();
    server.settle().await;
    let history = async || ada.get("/api/v1/pods/history").await.ok()["data"].clone();
    let wallet = async || ada.get("/api/v1/billing/wallet").await.ok()["recent_billings"].clone();
    let before = (history().await, server.events(&alive[0]).await);
    let of = DiskId::parse(&disk).unwrap();
    let cost = async || {
        let list = server.app.store.reader().await.unwrap().usage_list(&of).await.unwrap();
        (list.len(), podbay_core::usage::total(&list, now))
    };
    let (two, total) = cost().await;
    assert_eq!(two, 2);

    server.clock.advance(DAY * 10 - Duration::from_secs(1));
    assert_eq!(retain(&server.app).await.unwrap(), 0, "its time is not over");
    server.clock.advance(Duration::from_secs(1));
    let bills = wallet().await;
    assert_eq!(retain(&server.app).await.unwrap(), 3);
    assert_eq!(retain(&server.app).await.unwrap(), 0, "once");

    assert_eq!((history().await, server.events(&alive[0]).await), before);
    assert_eq!(wallet().await, bills);
    assert_eq!(cost().await, (1, total));
    // Another server that has found the same ones comes too late, and changes nothing.
    let (late, at) = (ended.to_vec(), server.clock.now());
    let again = server.app.store.write(move |tx| {
        Box::pin(async move {
            for id in &late {
                tx.retire(id, at).await?;
            }
            Ok::<_, podbay_store::StoreError>(())
        })
    });
    again.await.unwrap();
    for id in ended {
        let path = format!("/api/v1/pods/{id}/events");
        let events = ada.get(&path).await.ok();
        assert_eq!(events["data"][0]["kind"], "events.retired", "{events}");
        assert_eq!(events["data"].as_array().unwrap().len(), 1);
        assert!(!events["data"][0]["text"].as_str().unwrap().starts_with("1 "), "{events}");
        assert!(PodId::parse(id).is_some());
    }
}

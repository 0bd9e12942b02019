//! Faults, as the owner of a pod meets them: each ends in a clear answer, and nothing is lost.

use podbay_core::limits;
use podbay_core::pod::{FailureCode, Resource};
use podbay_provider::fake::{Call, Fault, Image};
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::task::Poll;
use std::time::Duration;

async fn order(server: &TestServer) -> (Client, String) {
    let ada = server.user("ada").await;
    let id = ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned();
    (ada, id)
}

async fn show(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/v1/pods/{id}")).await.ok()
}

#[tokio::test]
async fn a_delete_while_the_image_is_fetched_gives_the_fetch_up() {
    let server = TestServer::new().await;
    server.world.hold(Call::ImageEnsure);
    let (ada, id) = order(&server).await;
    let app = server.app.clone();
    let pass = tokio::spawn(async move { app.driver.step(&app).await });
    while server.world.held(Call::ImageEnsure) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok(), json!({ "status": "DELETING" }));
    // The held call never answers: only being given up ends the pass.
    assert!(pass.await.unwrap());
    server.settle().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    let row = &ada.get("/api/v1/pods/history").await.ok()["data"][0];
    assert_eq!((&row["id"], &row["totalBilledPrice"]), (&json!(id), &json!(0.0)));
    assert_eq!(server.world.calls(Call::Create), 0);
}

#[tokio::test]
async fn a_second_delete_while_the_first_is_under_way_is_the_same() {
    let server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    for _ in 0..2 {
        assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok(), json!({ "status": "DELETING" }));
    }
    server.settle().await;
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    let asked = server.events(&id).await.iter().filter(|kind| *kind == "pod.delete_requested").count();
    assert_eq!(asked, 1, "one change of mind, one event");
}

#[tokio::test]
async fn an_engine_that_stops_in_the_middle_costs_time_and_no_attempt() {
    let server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.world.engine_down(server.clock.now().plus(Duration::from_secs(90)));
    server.settle().await;
    server.advance(Duration::from_secs(60)).await;
    assert_eq!(show(&ada, &id).await["status"], "PROVISIONING");
    assert_eq!(server.anonymous().get("/readyz").await.error(503), "the container engine does not answer");
    assert_eq!(server.anonymous().get("/healthz").await.ok(), json!({ "status": "ok" }));
    server.advance(Duration::from_secs(90)).await;
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
    assert_eq!(server.row(&id).await.attempt, 1);
    assert!(server.events(&id).await.contains(&"host.trouble".to_owned()));
    // A delete meanwhile is accepted, too, and done when the engine is back.
    server.world.engine_down(server.clock.now().plus(Duration::from_secs(50)));
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok()["status"], "DELETING");
    server.settle().await;
    assert_eq!(show(&ada, &id).await["status"], "DELETING");
    server.advance(Duration::from_secs(120)).await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    assert_eq!(server.world.count(), 0);
}

#[tokio::test]
async fn an_image_that_cannot_be_had_ends_at_once_and_holds_nothing() {
    let server = TestServer::new().await;
    for (image, reason) in [
        (Image::missing(), "there is no image localhost/podbay/base:latest"),
        (Image::denied(), "the registry does not give localhost/podbay/base:latest to these credentials"),
        (Image::bad(), "localhost/podbay/base:latest is no image reference"),
        (Image::default().only_for("s390x"), "localhost/podbay/base:latest does not exist for amd64"),
    ] {
        server.world.image("localhost/podbay/base:latest", image);
        let (ada, id) = order(&server).await;
        server.settle().await;
        let pod = show(&ada, &id).await;
        assert_eq!((&pod["status"], &pod["installationStatus"]), (&json!("ERROR"), &json!("ERROR")));
        let failure = pod["installationFailure"].as_str().unwrap();
        assert_eq!(failure, reason);
        assert_eq!(server.row(&id).await.attempt, 1, "{failure}");
        assert!(server.row(&id).await.placement.is_none(), "a failed pod holds nothing");
        server.clear().await;
        assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    }
}

#[tokio::test]
async fn what_can_be_tried_again_is_tried_again_by_itself_and_counted() {
    let server = TestServer::new().await;
    server.world.fault(Call::ImageEnsure, Fault::PullStalls);
    server.world.fault(Call::Create, Fault::DiskFull);
    server.world.fault(Call::Start, Fault::PortTaken);
    let (ada, id) = order(&server).await;
    let before = server.row(&id).await.placement.unwrap().ssh_port();
    server.advance(Duration::from_secs(60)).await;
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
    let row = server.row(&id).await;
    assert_eq!(row.attempt, 4);
    assert_ne!(row.placement.unwrap().ssh_port(), before, "another port after a taken one");
    let events = server.events(&id).await;
    assert_eq!(events.iter().filter(|kind| *kind == "attempt.failed").count(), 3);
    let told = ada.get(&format!("/api/v1/pods/{id}/events")).await.ok();
    let first =
        told["data"].as_array().unwrap().iter().find(|event| event["kind"] == "attempt.failed").unwrap();
    assert!(first["text"].as_str().unwrap().starts_with("attempt 1 of 5 failed: "), "{first}");
}

#[tokio::test]
async fn a_later_attempt_has_the_image_of_the_first_whatever_the_tag_names_by_then() {
    const IMAGE: &str = "localhost/podbay/base:latest";
    let server = TestServer::new().await;
    server.world.image(IMAGE, Image::default().digest("sha256:first"));
    server.world.fault(Call::Create, Fault::DiskFull);
    let (_, id) = order(&server).await;
    server.settle().await;
    server.world.image(IMAGE, Image::default().digest("sha256:second"));
    server.advance(Duration::from_secs(10)).await;
    let row = server.row(&id).await;
    let Resource::Present(image) = &row.image else { panic!("{:?}", row.image) };
    assert_eq!((row.attempt, image.digest.as_str()), (2, "sha256:first"));
    let (_, other) = order(&server).await;
    server.settle().await;
    assert_eq!(server.row(&other).await.image_digest.as_deref(), Some("sha256:second"));
}

#[tokio::test]
async fn a_machine_that_goes_without_a_word_is_billed_until_it_was_last_seen() {
    let mut server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    server.clock.advance(Duration::from_secs(1800));
    assert_eq!(server.sweep().await.suspects.len(), 0);
    let name = server.row(&id).await.machine_name();
    server.world.machine_vanish(&name);
    drop(ada);
    // The host is away for an hour, and the server with it.
    server.clock.advance(Duration::from_secs(3600));
    server.restart().await;
    assert_eq!(server.sweep().await.suspects.len(), 1);
    server.clear().await;
    let row = &server.user("ada").await.get("/api/v1/pods/history").await.ok()["data"][0];
    assert_eq!(row["totalBilledPrice"], 0.013, "half an hour at 0.026");
}

#[tokio::test]
async fn the_last_words_of_a_failed_attempt_are_kept() {
    let server = TestServer::new().await;
    let image = Image::default().saying("no such library: libmagic").exiting(127);
    server.world.image("localhost/podbay/base:latest", image);
    let (ada, id) = order(&server).await;
    server.advance(Duration::from_secs(5)).await;
    let told = ada.get(&format!("/api/v1/pods/{id}/events")).await.ok();
    let log = told["data"].as_array().unwrap().iter().find(|event| event["kind"] == "attempt.log").unwrap();
    assert!(log["text"].as_str().unwrap().contains("no such library: libmagic"), "{log}");
}

#[tokio::test]
async fn the_last_attempt_ends_in_error_with_the_reason() {
    let server = TestServer::new().await;
    server.world.faults(Call::Start, Fault::RefusedTransient, 100);
    let (ada, id) = order(&server).await;
    server.advance(Duration::from_secs(300)).await;
    let pod = show(&ada, &id).await;
    assert_eq!(pod["status"], "ERROR");
    assert!(pod["installationFailure"].as_str().unwrap().ends_with("(attempt 5 of 5)"), "{pod}");
    assert_eq!(server.row(&id).await.attempt, limits::ATTEMPTS_MAX);
    assert_eq!(server.world.count(), 0, "no machine is left of it");
}

#[tokio::test]
async fn a_machine_that_never_speaks_ssh_is_never_active() {
    let server = TestServer::new().await;
    server.world.ssh(false);
    let (ada, id) = order(&server).await;
    server.advance(Duration::from_secs(30)).await;
    let pod = show(&ada, &id).await;
    assert_eq!(
        (&pod["status"], &pod["sshConnection"], &pod["ip"]),
        (&json!("PROVISIONING"), &Value::Null, &Value::Null)
    );
    server.world.ssh(true);
    server.advance(Duration::from_secs(30)).await;
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn a_machine_that_dies_is_an_error_that_is_billed_until_its_end() {
    let server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    server.clock.advance(Duration::from_secs(1800));
    let name = server.row(&id).await.machine_name();
    server.world.machine_end(&name, 137, true);
    server.clock.advance(Duration::from_secs(600));
    assert_eq!(server.sweep().await.suspects.len(), 1);
    let pod = show(&ada, &id).await;
    assert_eq!(pod["status"], "ERROR");
    assert!(pod["installationFailure"].as_str().unwrap().contains("out of memory"), "{pod}");
    assert_eq!(server.world.count(), 1, "its files are kept until the delete");
    server.clock.advance(Duration::from_secs(600));
    server.clear().await;
    let row = &ada.get("/api/v1/pods/history").await.ok()["data"][0];
    assert_eq!(row["totalBilledPrice"], 0.013, "half an hour at 0.026");
    assert_eq!(server.world.count(), 0);
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_adopted_by_the_next_server() {
    let mut server = TestServer::new().await;
    server.world.fault(Call::Create, Fault::LostReply);
    let (ada, id) = order(&server).await;
    for _ in 0..1 {
        server.app.driver.step(&server.app).await;
    }
    server.restart().await;
    server.advance(Duration::from_secs(10)).await;
    assert_eq!(server.user("ada").await.get(&format!("/api/v1/pods/{id}")).await.ok()["status"], "ACTIVE");
    assert_eq!(server.world.count(), 1);
    drop(ada);
}

#[tokio::test]
async fn a_machine_that_no_row_knows_is_removed_after_a_grace_and_not_before() {
    let server = TestServer::new().await;
    let (_, id) = order(&server).await;
    server.settle().await;
    // Its row is of another attempt: the machine is nobody's.
    let spec = server.world.machines()[0].spec.clone();
    let mut stray = (*spec).clone();
    stray.name = format!("podbay-{id}-9");
    stray.ports.clear();
    server.world.fault(Call::Create, Fault::LateEffect(Duration::ZERO));
    let fake = podbay_provider::fake::Fake::new(server.world.clone(), podbay_testkit::server::install_id());
    assert!(podbay_provider::Provider::machine_create(&fake, &stray).await.is_err());
    server.world.tick();
    let found = server.sweep().await;
    assert_eq!((found.young, found.removed), (vec![stray.name.clone()], Vec::new()));
    server.clock.advance(limits::ORPHAN_GRACE);
    let found = server.sweep().await;
    assert_eq!((found.young, found.removed), (Vec::new(), vec![stray.name]));
    assert_eq!(server.row(&id).await.status().as_str(), "ACTIVE");
    assert_eq!(server.world.count(), 1);
    // The world saw two machines of one pod, because this test made it so.
    server.forgive();
}

#[tokio::test]
async fn keys_reach_running_pods_and_a_write_that_fails_is_done_again() {
    let server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    let name = server.row(&id).await.machine_name();
    let keys = || String::from_utf8(server.world.file(&name, "authorized_keys").unwrap()).unwrap();
    assert_eq!(keys(), "");
    let line = TestServer::ssh_public_key(3);
    let key = ada.post("/api/v1/ssh_keys", &json!({ "name": "k", "publicKey": line })).await.ok();
    server.settle().await;
    assert_eq!(keys(), format!("{line}\n"));
    server.world.fault(Call::FilesPut, Fault::NotSent);
    ada.delete(&format!("/api/v1/ssh_keys/{}", key["id"].as_str().unwrap())).await.ok();
    server.settle().await;
    assert_eq!(keys(), format!("{line}\n"), "the first write failed");
    server.settle().await;
    assert_eq!(keys(), "");
}

#[tokio::test]
async fn a_full_disk_refuses_orders_with_the_reason_and_keeps_what_was_there() {
    if !podbay_testkit::database::is_file() {
        return;
    }
    let mut server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    server.restart_with(|settings| settings.pages_max = Some(1)).await;
    let ada = server.user("ada").await.with_key(ada.key());
    let mut order = TestServer::order();
    order["pod"]["envVars"] = json!({ "BIG": "x".repeat(30_000) });
    let text = ada.post("/api/v1/pods", &order).await.error(503);
    assert_eq!(text, "the server's disk is full; nothing was changed. Free space and try again");
    assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 1);
    server.restart().await;
    let ada = server.user("ada").await;
    ada.post("/api/v1/pods", &order).await.ok();
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_still_answers_reads() {
    let mut server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    server.restart_with(|settings| settings.read_only = true).await;
    let ada = server.user("ada").await.with_key(ada.key());
    let expected = "the database cannot be written (read-only file system or file); nothing was changed";
    let reply = ada.post("/api/v1/pods", &TestServer::order()).await;
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(reply.error(503), expected);
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.error(503), expected);
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
    server.restart().await;
    server.user("ada").await.delete(&format!("/api/v1/pods/{id}")).await.ok();
    server.settle().await;
    assert_eq!(server.world.count(), 0);
}

#[tokio::test]
async fn a_failed_pod_tells_its_code() {
    let server = TestServer::new().await;
    server.world.image("localhost/podbay/base:latest", Image::missing());
    let (_, id) = order(&server).await;
    server.settle().await;
    assert_eq!(server.row(&id).await.failure.unwrap().code, FailureCode::ImageNotFound);
}

/// Sends a request and hangs up after it has been looked at `polls` times.
async fn hang_up<T>(polls: usize, request: impl Future<Output = T>) -> Option<T> {
    let mut request = std::pin::pin!(request);
    let mut looked = 0;
    std::future::poll_fn(|context| match request.as_mut().poll(context) {
        Poll::Ready(reply) => Poll::Ready(Some(reply)),
        Poll::Pending if looked >= polls => Poll::Ready(None),
        Poll::Pending => {
            looked += 1;
            Poll::Pending
        }
    })
    .await
}

/// Steps until `ask` says yes: what a dropped request has begun goes on beside the test.
async fn until(server: &TestServer, mut ask: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        server.settle().await;
        if ask().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn a_client_that_hangs_up_loses_its_answer_and_nothing_else() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let list = async || ada.get("/api/v1/pods").await.ok()["data"].as_array().unwrap().clone();
    let mut asked = 0;
    for polls in 0..12 {
        let order = TestServer::order();
        hang_up(polls, ada.post("/api/v1/pods", &order)).await;
        // Whether the order got in depends on the moment; if it did, it is carried out.
        until(&server, async || list().await.iter().all(|pod| pod["status"] == "ACTIVE")).await;
        for pod in list().await {
            let id = pod["id"].as_str().unwrap().to_owned();
            hang_up(polls, ada.delete(&format!("/api/v1/pods/{id}"))).await;
            asked += 1;
        }
        // So does a delete: it is done, or was never asked.
        until(&server, async || list().await.iter().all(|pod| pod["status"] != "DELETING")).await;
    }
    assert!(asked > 0, "no order got in at all");
    until(&server, async || {
        server.clear().await;
        list().await.is_empty() && server.world.count() == 0
    })
    .await;
}

#[tokio::test]
async fn a_lost_wake_is_made_good_by_the_sweep() {
    let server = TestServer::new().await;
    let (ada, id) = order(&server).await;
    server.settle().await;
    // As if the process had forgotten its queue.
    let user = server.row(&id).await.user_id;
    let (pod, now) = (server.row(&id).await.id, server.clock.now());
    let written = server.app.store.write(move |tx| {
        Box::pin(async move {
            tx.usage_close(&pod, now).await?;
            tx.pod_set_gone(&pod, now).await
        })
    });
    let written: Result<bool, podbay_store::StoreError> = written.await;
    assert!(written.unwrap());
    server.settle().await;
    assert_eq!(show(&ada, &id).await["status"], "DELETING", "nobody was woken");
    server.sweep().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    drop(user);
}

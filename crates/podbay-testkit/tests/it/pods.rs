//! A pod's life, as its owner sees it.

use podbay_testkit::TestServer;
use serde_json::{Value, json};
use std::time::Duration;

async fn made(server: &TestServer) -> (podbay_testkit::Client, String) {
    let ada = server.user("ada").await;
    let pod = ada.post("/api/v1/pods", &TestServer::order()).await.ok();
    let id = pod["id"].as_str().unwrap().to_owned();
    (ada, id)
}

/// What the status call says.
async fn status(client: &podbay_testkit::Client, id: &str) -> Value {
    client.get(&format!("/api/v1/pods/status/?pod_ids={id}")).await.ok()["data"][0].clone()
}

#[tokio::test]
async fn from_order_to_history() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server).await;
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let before = status(&ada, &id).await;
    assert_eq!(before["status"], "PROVISIONING");
    assert_eq!((&before["sshConnection"], &before["ip"]), (&Value::Null, &Value::Null));
    assert_eq!(before["installationStatus"], "PENDING");

    server.settle().await;
    let row = status(&ada, &id).await;
    let external = row["primePortMapping"][0]["external"].as_str().unwrap();
    assert_eq!(
        row,
        json!({
            "podId": id, "providerType": "primecompute", "status": "ACTIVE",
            "sshConnection": format!("root@127.0.0.1 -p {external}"), "ip": "127.0.0.1",
            "priceHr": 0.026, "costPerHr": 0.026,
            "primePortMapping": [{
                "internal": "22", "external": external, "protocol": "TCP", "usedBy": "SSH", "description": "",
            }],
            "installationStatus": "FINISHED", "installationFailure": null, "installationProgress": 100,
        })
    );
    let listed = ada.get("/api/v1/pods/?offset=0&limit=10").await.ok();
    assert_eq!(
        (&listed["total_count"], &listed["offset"], &listed["limit"]),
        (&json!(1), &json!(0), &json!(10))
    );
    assert_eq!(listed["data"][0], ada.get(&format!("/api/v1/pods/{id}")).await.ok());
    assert_eq!(ada.get("/api/v1/pods/history").await.ok()["total_count"], 0);

    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.ok(), json!({ "status": "DELETING" }));
    assert_eq!(status(&ada, &id).await["status"], "DELETING");
    server.settle().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    assert_eq!(ada.delete(&format!("/api/v1/pods/{id}")).await.error(404), "Not found");
    assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 0);
    assert_eq!(ada.get(&format!("/api/v1/pods/status?pod_ids={id}")).await.ok()["data"], json!([]));
    let history = ada.get("/api/v1/pods/history").await.ok();
    let row = &history["data"][0];
    assert_eq!(row["id"], id.as_str());
    assert_eq!((&row["type"], &row["provisionedBy"]), (&json!("Instance"), &json!("ada")));
    assert_eq!((&row["totalBilledPrice"], &row["priceHr"]), (&json!(0.026), &json!(0.026)));
    assert_eq!(server.world.count(), 0);
}

#[tokio::test]
async fn every_documented_key_is_present() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server).await;
    let pod = ada.get(&format!("/api/v1/pods/{id}")).await.ok();
    let keys = "attachedResources autoRestart clusterId createdAt customTemplateId environmentType gpuCount gpuName id \
                installationFailure installationProgress installationStatus ip isSpot name priceHr primePortMapping \
                providerType provisioningPriceHr resources socket sshConnection status stoppedPriceHr teamId \
                terminatedAt type updatedAt userId walletId";
    let have: Vec<&str> = {
        let mut keys: Vec<&str> = pod.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(have, keys.split_whitespace().collect::<Vec<_>>());
    assert_eq!(pod["resources"], json!({ "memory": 2, "disk": 10, "shared_disk": null, "vcpus": 1 }));
    for time in ["createdAt", "updatedAt"] {
        let text = pod[time].as_str().unwrap();
        assert!(text.len() == 27 && text.ends_with('Z'), "{text}");
    }
}

#[tokio::test]
async fn two_creates_of_one_name_are_two_pods() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["pod"]["name"] = json!("twin");
    let first = ada.post("/api/v1/pods", &order).await.ok();
    let second = ada.post("/api/v1/pods", &order).await.ok();
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["name"], second["name"]);
    server.settle().await;
    assert_eq!(server.world.machines().len(), 2);
}

#[tokio::test]
async fn the_last_gigabyte_is_given_once() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut made = 0;
    let refusal = loop {
        let reply = ada.post("/api/v1/pods", &TestServer::order()).await;
        if reply.status != 200 {
            break reply.error(409);
        }
        made += 1;
        assert!(made < 1000, "the host is never full");
    };
    assert!(refusal.starts_with("no capacity for cpu-1x2 now; free are "), "{refusal}");
    let offers = ada.get("/api/v1/availability/gpus?cloud_id=cpu-1x2").await.ok();
    assert_eq!(offers["items"][0]["stockStatus"], "Unavailable");
    server.settle().await;
    assert_eq!(server.world.machines().len(), made);
    server.clear().await;
    let offers = ada.get("/api/v1/availability/gpus?cloud_id=cpu-1x2").await.ok();
    assert_eq!(offers["items"][0]["stockStatus"], "Available", "a delete gives everything back");
}

#[tokio::test]
async fn a_price_above_the_ceiling_is_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["pod"]["maxPrice"] = json!(0.01);
    let text = ada.post("/api/v1/pods", &order).await.error(409);
    assert_eq!(text, "the price is 0.026 USD per hour, above maxPrice 0.01");
    order["pod"]["maxPrice"] = json!(0.03);
    ada.post("/api/v1/pods", &order).await.ok();
}

#[tokio::test]
async fn ports_that_the_image_exposes_are_published() {
    let server = TestServer::with(|config| {
        config.images.insert(podbay_core::published::ImageName::Flux, "localhost/web".into());
    })
    .await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["pod"]["image"] = json!("flux");
    let id = ada.post("/api/v1/pods", &order).await.ok()["id"].as_str().unwrap().to_owned();
    server.settle().await;
    let row = status(&ada, &id).await;
    let ports: Vec<(&str, &str)> = row["primePortMapping"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (port["internal"].as_str().unwrap(), port["protocol"].as_str().unwrap()))
        .collect();
    assert_eq!(ports, [("22", "TCP"), ("8080", "TCP"), ("9090", "UDP")]);
}

#[tokio::test]
async fn whoami_and_offers_have_what_clients_require() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let who = ada.get("/api/v1/user/whoami").await.ok();
    let id = who["data"]["id"].as_str().unwrap();
    assert!(id.len() == 25 && id.starts_with('c'), "the CLI wants a CUID: {id}");
    assert_eq!(who["data"]["scope"]["instances"], json!({ "read": true, "write": true }));
    let offers = ada.get("/api/v1/availability/gpus?page=1&page_size=100").await.ok();
    let items = offers["items"].as_array().unwrap();
    assert_eq!(offers["totalCount"], items.len());
    for offer in items {
        for spec in ["disk", "vcpu", "memory"] {
            assert!(offer[spec]["defaultCount"].is_u64(), "the CLI crashes on null: {offer}");
            assert!(offer[spec].as_object().unwrap().contains_key("step"));
            assert!(offer[spec]["minCount"].is_null(), "a range makes the CLI ask");
        }
        assert_eq!(offer["prices"]["currency"], "USD");
        assert!(!offer["images"].as_array().unwrap().is_empty());
    }
    let page = ada.get("/api/v1/availability/gpus?page=2&page_size=1").await.ok();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["totalCount"]), (1, &offers["totalCount"]));
    let beyond = ada.get("/api/v1/availability/gpus?page=99").await.ok();
    assert_eq!((&beyond["items"], &beyond["totalCount"]), (&json!([]), &offers["totalCount"]));
    assert_eq!(
        ada.get("/api/v1/availability/multi-node").await.ok(),
        json!({ "items": [], "totalCount": 0 })
    );
    let summary = ada.get("/api/v1/availability/gpu-summary").await.ok();
    assert_eq!(summary["CPU_NODE"]["1"]["cheapest"]["onDemand"], 0.026);
    assert!(ada.get("/api/v1/availability/").await.ok()["CPU_NODE"].is_array());
    assert!(ada.get("/api/v1/availability/gpus?regions=mars").await.error(422).starts_with("query.regions"));
}

#[tokio::test]
async fn the_log_has_the_newest_lines_and_how_the_command_ended() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server).await;
    let log = async |word: &str, query: &str| ada.get(&format!("/api/v1/pods/{id}/{word}{query}")).await;
    assert_eq!(log("log", "").await.ok(), json!({ "logs": [] }), "there is nothing that could write");
    server.settle().await;
    let name = server.world.machines()[0].spec.name.clone();
    server.world.machine_print(&name, "epoch 1", false);
    let written = server.clock.now();
    server.clock.advance(Duration::from_millis(1500));
    server.world.machine_print(&name, "epoch 2", false);
    // As the agent reports it; the pod goes on.
    server.world.machine_print(&name, "podbay: command exited with status 7", true);
    let line = |milliseconds: u64, stream: &str, line: &str| {
        let at = written.plus(Duration::from_millis(milliseconds)).to_string();
        json!({ "timestamp": at, "stream": stream, "line": line })
    };
    let newest =
        [line(1500, "stdout", "epoch 2"), line(1500, "stderr", "podbay: command exited with status 7")];
    for word in ["log", "log/", "logs", "logs/"] {
        assert_eq!(log(word, "?tail=2").await.ok(), json!({ "logs": newest }), "{word}");
        assert_eq!(log(word, "?tail=0").await.ok(), json!({ "logs": [] }), "{word}");
    }
    let all = [&[line(0, "stdout", "epoch 1")], &newest[..]].concat();
    assert_eq!(log("log", "").await.ok(), json!({ "logs": all }));
    assert_eq!(status(&ada, &id).await["status"], "ACTIVE");

    server.world.engine_down(server.clock.now().plus(Duration::from_secs(50)));
    for word in ["log", "logs/"] {
        let text = log(word, "?tail=2").await.error(503);
        assert_eq!(text, "the container engine does not answer; try again later");
    }
    server.clock.advance(Duration::from_secs(51));
    assert_eq!(log("log", "?tail=2").await.ok(), json!({ "logs": newest }));
    let bea = server.user("bea").await;
    assert_eq!(bea.get(&format!("/api/v1/pods/{id}/log")).await.error(404), "Not found");
}

#[tokio::test]
async fn what_does_not_match_the_offer_is_refused() {
    let named = TestServer::with(|config| {
        config.place.country = Some("DE".into());
        config.place.data_center = Some("cellar".into());
    })
    .await;
    let nameless = TestServer::with(|config| config.place.data_center = None).await;
    let refusal = |field: &str, text: &str| {
        json!({
            "message": format!("body.pod.{field}: {text}"),
            "detail": [{ "type": "value_error", "loc": ["body", "pod", field], "msg": text }],
            "errors": [{ "param": format!("body.pod.{field}"), "details": text }],
        })
    };
    for (server, field, value, text) in [
        (&named, "security", "community_cloud", "the offer is secure_cloud"),
        (&named, "country", "US", "the offer is in DE"),
        (&named, "country", "de", "the offer is in DE"),
        (&named, "dataCenterId", "attic", "the offer is in cellar"),
        (&nameless, "country", "US", "the offer is in none that is named"),
        (&nameless, "dataCenterId", "attic", "the offer is in none"),
    ] {
        let ada = server.user("ada").await;
        let mut order = TestServer::order();
        order["pod"][field] = json!(value);
        let reply = ada.post("/api/v1/pods", &order).await;
        assert_eq!((reply.status.as_u16(), reply.json), (422, refusal(field, text)), "{field}: {value}");
        assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 0, "a refused order leaves nothing");
    }
    let ada = named.user("ada").await;
    let mut order = TestServer::order();
    for (field, value) in [("security", "secure_cloud"), ("country", "DE"), ("dataCenterId", "cellar")] {
        order["pod"][field] = json!(value);
    }
    ada.post("/api/v1/pods", &order).await.ok();
    for field in ["security", "country", "dataCenterId"] {
        order["pod"][field] = Value::Null;
    }
    ada.post("/api/v1/pods", &order).await.ok();
    named.clear().await;
}

//! Persistent disks, as their owner sees them.

use podbay_core::DiskId;
use podbay_core::disk::volume_name;
use podbay_provider::fake::{Call, Fake, Fault};
use podbay_provider::{Provider, VolumeSpec};
use podbay_testkit::server::install_id;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

const DISKS: &str = "/api/v1/disks";

/// A disk that is there.
async fn made(server: &TestServer, size: u32) -> (Client, String) {
    let ada = server.user("ada").await;
    let id = ordered(&ada, size).await;
    server.settle().await;
    (ada, id)
}

async fn ordered(client: &Client, size: u32) -> String {
    text(&client.post(DISKS, &TestServer::disk_order(size)).await.ok(), "id")
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    client.get(&format!("{DISKS}/{id}")).await.ok()
}

fn order_with(disks: &[&str]) -> Value {
    let mut order = TestServer::order();
    order["disks"] = json!(disks);
    order
}

/// What a disk has cost so far, by its intervals.
async fn bill(server: &TestServer, id: &str) -> f64 {
    let id = DiskId::parse(id).unwrap();
    let intervals = server.app.store.reader().await.unwrap().usage_list(&id).await.unwrap();
    podbay_core::usage::total(&intervals, server.clock.now()).billed.dollars()
}

async fn free_gb(client: &Client) -> u64 {
    let offers = client.get("/api/v1/availability/disks").await.ok();
    offers["items"][0]["spec"]["maxCount"].as_u64().unwrap()
}

#[tokio::test]
async fn from_order_to_delete() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::disk_order(100);
    for key in ["name", "country", "cloudId", "dataCenterId"] {
        order["disk"][key] = Value::Null;
    }
    order["team"] = Value::Null;
    let fresh = ada.post("/api/v1/disks/", &order).await.ok();
    let id = text(&fresh, "id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let (user, wallet) = (text(&fresh, "userId"), text(&fresh, "walletId"));
    let mut expected = json!({
        "id": id, "name": format!("disk-{}", &id[24..]), "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T10:00:00.000000Z", "terminatedAt": null, "status": "PROVISIONING",
        "providerType": "primecompute", "size": 100, "priceHr": 0.01, "stoppedPriceHr": null,
        "provisioningPriceHr": 0.0, "userId": user, "teamId": null, "walletId": wallet, "pods": [], "clusters": [],
        "info": { "country": null, "dataCenterId": "local", "cloudId": "disk", "isMultinode": true,
            "sizeHeld": null, "failure": null },
    });
    assert_eq!(fresh, expected);
    server.settle().await;
    expected["status"] = json!("ACTIVE");
    expected["info"]["sizeHeld"] = json!(false);
    assert_eq!(show(&ada, &id).await, expected);
    let page = ada.get("/api/v1/disks/?offset=0&limit=10").await.ok();
    assert_eq!(
        page,
        json!({ "total_count": 1, "offset": 0, "limit": 10, "data": [expected], "status": null })
    );
    let volume = server.world.volumes().pop().unwrap();
    assert_eq!((volume.spec.name, volume.spec.size_gb), (format!("podbay-disk-{id}"), 100));

    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(ada.delete(&format!("{DISKS}/{id}")).await.ok(), json!({ "status": "DELETING" }));
    assert_eq!(show(&ada, &id).await["status"], "DELETING");
    server.clock.advance(Duration::from_secs(3600));
    server.settle().await;
    assert_eq!(ada.get(&format!("{DISKS}/{id}")).await.error(404), "Not found");
    assert_eq!(ada.delete(&format!("{DISKS}/{id}")).await.error(404), "Not found");
    assert_eq!(ada.get(DISKS).await.ok()["total_count"], 0);
    assert_eq!(server.world.volumes(), []);
    assert_eq!(bill(&server, &id).await, 0.01, "an hour: not before ACTIVE, not after the delete call");
    let events = ada.get(&format!("{DISKS}/{id}/events")).await.ok();
    let kinds: Vec<&str> =
        events["data"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["disk.created", "disk.active", "disk.delete_requested", "disk.terminated"]);
}

#[tokio::test]
async fn data_outlives_the_pod_and_a_disk_at_a_pod_stays() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 20).await;
    let born = server.world.volume(&format!("podbay-disk-{id}")).unwrap().born;
    let second = ordered(&ada, 5).await;
    server.settle().await;
    let pod = ada.post("/api/v1/pods", &order_with(&[&id, &second])).await.ok();
    let at = |id: &str, path: &str, status: &str, size: u32, shared: bool| {
        json!({ "resourceType": "DISK", "id": id, "status": status, "isDetachable": true, "mountPath": path,
            "resourcePath": null, "size": size, "isShared": shared })
    };
    assert_eq!(
        pod["attachedResources"],
        json!([
            at(&id, "/workspace", "ATTACHED", 20, false),
            at(&second, "/workspace-2", "ATTACHED", 5, false),
        ])
    );
    server.settle().await;
    let pod_id = text(&pod, "id");
    let pod = ada.get(&format!("/api/v1/pods/{pod_id}")).await.ok();
    assert_eq!(pod["status"], "ACTIVE");
    assert_eq!(pod["attachedResources"][0], at(&id, "/workspace", "MOUNTED", 20, false));
    let machine = server.world.machines().pop().unwrap();
    let mounts: Vec<_> =
        machine.spec.mounts.iter().map(|mount| (mount.volume.clone(), mount.path.clone())).collect();
    assert_eq!(
        mounts,
        [
            (format!("podbay-disk-{id}"), "/workspace".to_owned()),
            (format!("podbay-disk-{second}"), "/workspace-2".to_owned())
        ]
    );
    assert_eq!(show(&ada, &id).await["pods"], json!([pod_id]));
    let refused = ada.delete(&format!("{DISKS}/{id}")).await.error(409);
    assert_eq!(refused, format!("this disk is attached to {pod_id}; delete these pods first"));

    let other = ada.post("/api/v1/pods", &order_with(&[&id])).await.ok();
    assert_eq!(other["attachedResources"][0]["isShared"], true);
    let listed = ada.get("/api/v1/pods").await.ok();
    let shared: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["attachedResources"][0]["isShared"].clone())
        .collect();
    assert_eq!(shared, [json!(true), json!(true)]);

    for pod in [&pod_id, &text(&other, "id")] {
        ada.delete(&format!("/api/v1/pods/{pod}")).await.ok();
    }
    let pods = show(&ada, &id).await["pods"].as_array().unwrap().len();
    assert_eq!(pods, 2, "a disk is attached until the machine is surely gone");
    server.settle().await;
    assert_eq!(show(&ada, &id).await["pods"], json!([]));
    assert_eq!(server.world.volume(&format!("podbay-disk-{id}")).unwrap().born, born, "the same data");
    let again = ada.post("/api/v1/pods", &order_with(&[&id])).await.ok();
    server.settle().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{}", text(&again, "id"))).await.ok()["status"], "ACTIVE");
    server.clear().await;
    assert_eq!((server.world.count(), server.world.volumes().len()), (0, 0));
}

#[tokio::test]
async fn only_ones_own_active_disks_are_attached_and_each_once() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 1).await;
    let eve = server.user("eve").await;
    let foreign = ordered(&eve, 1).await;
    let young = ordered(&ada, 1).await;
    let order = async |disks: &[&str]| ada.post("/api/v1/pods", &order_with(disks)).await;
    for (disks, expected) in [
        (vec![foreign.as_str()], "body.disks.0: no such disk in this account"),
        (vec!["../x"], "body.disks.0: no such disk in this account"),
        (vec![&id, &"0".repeat(32)], "body.disks.1: no such disk in this account"),
        (vec![&id, &id], "body.disks.1: this disk is named twice"),
    ] {
        assert_eq!(order(&disks).await.error(422), expected);
    }
    let refused = order(&[&id, &young]).await.error(409);
    assert_eq!(refused, format!("the disk {young} is PROVISIONING; only ACTIVE disks can be attached"));
    assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 0, "a refused order leaves nothing");
    assert_eq!(show(&ada, &id).await["pods"], json!([]));
}

#[tokio::test]
async fn a_disk_grows_at_once_and_never_shrinks() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 100).await;
    let before = free_gb(&ada).await;
    let path = format!("{DISKS}/{id}");
    server.clock.advance(Duration::from_secs(3600));
    let grown = ada.patch(&path, &json!({ "size": 300 })).await.ok();
    assert_eq!(
        (&grown["size"], &grown["priceHr"], &grown["status"]),
        (&json!(300), &json!(0.03), &json!("ACTIVE"))
    );
    assert_eq!(free_gb(&ada).await, before - 200);
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(bill(&server, &id).await, 0.04, "an hour at each price");
    assert_eq!(
        ada.patch(&path, &json!({ "size": 299 })).await.error(422),
        "body.size: a disk cannot shrink; this one has 300 GB"
    );
    let refused = ada.patch(&path, &json!({ "size": 3000, "name": "x" })).await.error(409);
    assert_eq!(refused, "no capacity for 2700 GB of disk now; free are 1700 GB");
    let renamed = ada.patch(&path, &json!({ "name": "data" })).await.ok();
    assert_eq!(
        (&renamed["name"], &renamed["size"]),
        (&json!("data"), &json!(300)),
        "a refused change is none"
    );
    assert_eq!(ada.patch(&path, &json!({ "size": 300 })).await.ok()["size"], 300);
    for (body, expected) in [
        (json!({}), "body.name: give a name, a size, or both"),
        (json!({ "name": null }), "body.name: give a name, a size, or both"),
        (json!({ "name": " " }), "body.name: must not be empty"),
        (json!({ "size": 0 }), "body.size: must be at least 1"),
        (json!({ "size": 20_000 }), "body.size: must be at most 10000 GB"),
    ] {
        assert_eq!(ada.patch(&path, &body).await.error(422), expected, "{body}");
    }
    server.clear().await;
    assert_eq!(free_gb(&ada).await, before + 100, "a delete gives everything back");
}

#[tokio::test]
async fn a_size_that_the_driver_holds_is_told_and_cannot_grow() {
    let server = TestServer::new().await;
    server.world.facts(|facts| facts.volume_quota = true);
    let (ada, id) = made(&server, 10).await;
    assert_eq!(show(&ada, &id).await["info"]["sizeHeld"], true);
    let refused = ada.patch(&format!("{DISKS}/{id}"), &json!({ "size": 20 })).await.error(409);
    assert!(refused.starts_with("the container engine holds this disk to its 10 GB"), "{refused}");
    let young = ordered(&ada, 10).await;
    let refused = ada.patch(&format!("{DISKS}/{young}"), &json!({ "size": 20 })).await.error(409);
    assert_eq!(refused, "this disk is PROVISIONING; it can be grown once it is ACTIVE");
}

#[tokio::test]
async fn wrong_orders_are_explained() {
    let server = TestServer::with(|config| config.place.country = Some("DE".into())).await;
    let ada = server.user("ada").await;
    let with = |field: &str, value: Value| {
        let mut order = TestServer::disk_order(10);
        order["disk"][field] = value;
        order
    };
    for (body, expected) in [
        (with("size", json!(0)), "body.disk.size: must be at least 1"),
        (with("size", json!("10")), "body.disk.size: must be a whole number"),
        (with("size", json!(10_001)), "body.disk.size: must be at most 10000 GB"),
        (with("size", Value::Null), "body.disk.size: must be a whole number"),
        (with("name", json!("x".repeat(256))), "body.disk.name: must have at most 255 characters"),
        (with("remoteId", json!("x")), "body.disk.remoteId: extra fields not permitted"),
        (with("country", json!("US")), "body.disk.country: the offer is in DE"),
        (with("dataCenterId", json!("moon")), "body.disk.dataCenterId: the offer is in local"),
        (
            with("cloudId", json!("moon")),
            "body.disk.cloudId: no such offer; GET /api/v1/availability/disks lists them",
        ),
        (json!({ "disk": { "size": 1 }, "provider": {} }), "body.provider.type: field required"),
        (
            json!({ "disk": { "size": 1 }, "provider": { "type": "runpod" } }),
            "body.provider.type: the offer's provider is primecompute",
        ),
        (
            json!({ "disk": { "size": 1 }, "provider": { "type": "primecompute" }, "team": { "teamId": "c1" } }),
            "body.team.teamId: no such team",
        ),
    ] {
        let reply = ada.post(DISKS, &body).await;
        assert_eq!(reply.error(422), expected, "{body}");
    }
    let refused = ada.post(DISKS, &TestServer::disk_order(5_000)).await.error(409);
    assert_eq!(refused, "no capacity for 5000 GB of disk now; free are 2000 GB");
    assert_eq!(ada.get(DISKS).await.ok()["total_count"], 0);
    ada.post(DISKS, &with("country", json!("DE"))).await.ok();
}

#[tokio::test]
async fn offers_of_disks_and_offers_near_disks() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 100).await;
    let offers = ada.get("/api/v1/availability/disks?page=1&page_size=100").await.ok();
    let expected = json!({
        "cloudId": "disk", "provider": "primecompute", "dataCenter": "local", "country": null, "region": null,
        "spec": { "minCount": 1, "defaultCount": 100, "maxCount": 1900, "pricePerUnit": 0.0001, "step": 1,
            "defaultIncludedInPrice": false,
            "additionalInfo": "sizes in GB (2^30 bytes) are agreed, and not enforced by the engine" },
        "stockStatus": "Available", "security": "secure_cloud", "isMultinode": true,
    });
    assert_eq!(offers, json!({ "items": [expected], "totalCount": 1 }));
    let count = async |query: &str| {
        let page = ada.get(&format!("/api/v1/availability/{query}")).await.ok();
        (page["items"].as_array().unwrap().len(), page["totalCount"].as_u64().unwrap())
    };
    for (query, expected) in [
        ("disks?data_center_id=local", (1, 1)),
        ("disks?data_center_id=moon", (0, 0)),
        ("disks?cloud_id=disk", (1, 1)),
        ("disks?cloud_id=other", (0, 0)),
        ("disks?regions=eu_west", (0, 0)),
        ("disks?page=2", (0, 1)),
        (&format!("gpus?disks={id}"), (2, 2)),
        (&format!("gpus?disks={id}&disks={}", "0".repeat(32)), (0, 0)),
        (&format!("multi-node?disks={id}"), (0, 0)),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    let eve = server.user("eve").await;
    let near = eve.get(&format!("/api/v1/availability/gpus?disks={id}")).await.ok();
    assert_eq!(near["totalCount"], 0, "somebody else's disk is nowhere");
    assert!(ada.get(&format!("/api/v1/availability?disks={id}")).await.ok()["CPU_NODE"].is_array());
    assert_eq!(ada.get("/api/v1/availability?disks=x").await.ok(), json!({}));
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_adopted_by_the_next_server() {
    let mut server = TestServer::new().await;
    server.world.fault(Call::VolumeEnsure, Fault::LostReply);
    let ada = server.user("ada").await;
    let id = ordered(&ada, 1).await;
    assert!(server.app.driver.step(&server.app).await);
    server.restart().await;
    server.advance(Duration::from_secs(10)).await;
    assert_eq!(show(&server.user("ada").await, &id).await["status"], "ACTIVE");
    assert_eq!(server.world.volumes().len(), 1);
}

#[tokio::test]
async fn an_engine_that_is_away_costs_time_and_a_delete_still_ends() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    server.world.engine_down(server.clock.now().plus(Duration::from_secs(90)));
    let (kept, given_up) = (ordered(&ada, 1).await, ordered(&ada, 1).await);
    server.advance(Duration::from_secs(60)).await;
    assert_eq!(show(&ada, &kept).await["status"], "PROVISIONING");
    ada.delete(&format!("{DISKS}/{given_up}")).await.ok();
    server.settle().await;
    assert_eq!(ada.get(&format!("{DISKS}/{given_up}")).await.error(404), "Not found", "it was never made");
    server.advance(Duration::from_secs(120)).await;
    assert_eq!(show(&ada, &kept).await["status"], "ACTIVE");
}

#[tokio::test]
async fn a_refusal_for_good_is_an_error_with_its_reason() {
    let server = TestServer::new().await;
    server.world.fault(Call::VolumeEnsure, Fault::RefusedPermanent(podbay_core::pod::FailureCode::Engine));
    let (ada, id) = made(&server, 1).await;
    let disk = show(&ada, &id).await;
    assert_eq!(
        (&disk["status"], &disk["info"]["failure"]),
        (&json!("ERROR"), &json!("the engine refused for good"))
    );
    assert_eq!(bill(&server, &id).await, 0.0);
    ada.delete(&format!("{DISKS}/{id}")).await.ok();
    server.settle().await;
    assert_eq!(ada.get(DISKS).await.ok()["total_count"], 0);
}

#[tokio::test]
async fn a_volume_that_vanishes_is_an_error_that_is_not_billed_until_it_is_back() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 1000).await;
    let volume = server.world.volume_vanish(&format!("podbay-disk-{id}")).unwrap();
    let found = server.sweep().await;
    assert_eq!(found.suspects.len(), 1);
    let disk = show(&ada, &id).await;
    assert_eq!(disk["status"], "ERROR");
    assert!(text(&disk["info"], "failure").contains("removed outside podbay"), "{disk}");
    assert_eq!(server.world.volumes(), [], "no empty one takes its place");
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(bill(&server, &id).await, 0.0);
    let refused = ada.post("/api/v1/pods", &order_with(&[&id])).await.error(409);
    assert!(refused.contains("is ERROR; only ACTIVE disks"), "{refused}");
    server.world.volume_restore(volume);
    server.sweep().await;
    assert_eq!(show(&ada, &id).await["status"], "ACTIVE");
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(bill(&server, &id).await, 0.1, "the hour after it");
}

#[tokio::test]
async fn a_pod_is_not_given_an_empty_volume_for_a_lost_one() {
    let server = TestServer::new().await;
    let (ada, id) = made(&server, 1).await;
    let pod = text(&ada.post("/api/v1/pods", &order_with(&[&id])).await.ok(), "id");
    server.world.volume_vanish(&format!("podbay-disk-{id}"));
    server.settle().await;
    let pod = ada.get(&format!("/api/v1/pods/{pod}")).await.ok();
    assert_eq!(pod["status"], "ERROR");
    assert!(text(&pod, "installationFailure").contains("the volume of the disk at /workspace"), "{pod}");
    assert_eq!(server.world.volumes(), []);
}

#[tokio::test]
async fn a_volume_that_no_row_knows_is_left_alone_and_one_of_a_deleted_disk_is_not() {
    let server = TestServer::new().await;
    let fake = Fake::new(server.world.clone(), install_id());
    let disk_id = DiskId::from_bits(77);
    let stray = VolumeSpec { name: volume_name(&disk_id), disk_id, size_gb: 1 };
    fake.volume_ensure(&stray).await.unwrap();
    let (ada, id) = made(&server, 1).await;
    ada.delete(&format!("{DISKS}/{id}")).await.ok();
    server.settle().await;
    // The engine had a second create of it in its queue.
    let late =
        VolumeSpec { disk_id: DiskId::parse(&id).unwrap(), name: format!("podbay-disk-{id}"), size_gb: 1 };
    fake.volume_ensure(&late).await.unwrap();
    server.clock.advance(Duration::from_secs(24 * 3600));
    for removed in [vec![late.name.clone()], Vec::new()] {
        let found = server.sweep().await;
        assert_eq!((found.strays, found.removed, found.trouble), (vec![stray.name.clone()], removed, None));
    }
    assert_eq!(server.world.volumes().len(), 1);
}

#[tokio::test]
async fn a_teams_disk_is_every_members_and_on_the_teams_bill() {
    let server = TestServer::new().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let team = text(&ada.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok(), "teamId");
    let invitation = ada.post(&format!("/api/v1/teams/{team}/invitations"), &json!({})).await.ok();
    bob.post(&text(&invitation, "path"), &json!({})).await.ok();
    let mut order = TestServer::disk_order(1000);
    order["team"] = json!({ "teamId": team });
    assert_eq!(eve.post(DISKS, &order).await.error(422), "body.team.teamId: no such team");
    let id = text(&ada.post(DISKS, &order).await.ok(), "id");
    server.settle().await;
    assert_eq!(show(&bob, &id).await["teamId"], team.as_str());
    assert_eq!(bob.get(DISKS).await.ok()["total_count"], 1);
    assert_eq!(eve.get(&format!("{DISKS}/{id}")).await.error(404), "Not found");
    let pod = text(&bob.post("/api/v1/pods", &order_with(&[&id])).await.ok(), "id");
    server.settle().await;
    bob.delete(&format!("/api/v1/pods/{pod}")).await.ok();
    server.settle().await;
    assert_eq!(
        bob.delete(&format!("{DISKS}/{id}")).await.error(403),
        "only the one who made this and an ADMIN of the team may delete it"
    );
    assert_eq!(
        ada.delete(&format!("/api/v1/teams/{team}")).await.error(409),
        "this team still owns pods or disks; delete them first"
    );
    server.clock.advance(Duration::from_secs(3600));
    let wallet = ada.get(&format!("/api/v1/billing/wallet?teamId={team}")).await.ok();
    let line = &wallet["recent_billings"][0];
    assert_eq!((&line["resource_type"], &line["resource_id"]), (&json!("disks"), &json!(id)));
    assert_eq!(line["amount_usd"], 0.1);
}

#[tokio::test]
async fn a_teams_disk_is_renamed_by_every_member_and_grown_by_those_who_may_delete_it() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let team = text(&ada.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok(), "teamId");
    let (bob, _) = server.member(&ada, &team, "bob", "MEMBER").await;
    let mut order = TestServer::disk_order(10);
    order["team"] = json!({ "teamId": team });
    let of_ada = text(&ada.post(DISKS, &order).await.ok(), "id");
    let of_bob = text(&bob.post(DISKS, &order).await.ok(), "id");
    server.settle().await;
    let patch = async |client: &Client, id: &str, change: Value| {
        client.patch(&format!("{DISKS}/{id}"), &change).await
    };
    assert_eq!(patch(&bob, &of_ada, json!({ "name": "data" })).await.ok()["name"], "data");
    for change in [json!({ "size": 20 }), json!({ "name": "mine", "size": 20 })] {
        let denied = patch(&bob, &of_ada, change).await.error(403);
        assert_eq!(denied, "only the one who made this and an ADMIN of the team may grow it");
    }
    let unchanged = show(&ada, &of_ada).await;
    assert_eq!((&unchanged["name"], &unchanged["size"]), (&json!("data"), &json!(10)));
    assert_eq!(patch(&ada, &of_ada, json!({ "size": 20 })).await.ok()["size"], 20);
    assert_eq!(patch(&bob, &of_bob, json!({ "size": 20 })).await.ok()["size"], 20, "its maker");
    assert_eq!(patch(&ada, &of_bob, json!({ "size": 30 })).await.ok()["size"], 30, "an ADMIN");
}

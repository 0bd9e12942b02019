//! Wallets: what is shown, what is owed, and what an empty one prevents.

use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

const WALLET: &str = "/api/v1/billing/wallet";
const HOUR: Duration = Duration::from_secs(3600);

async fn prepaid() -> TestServer {
    TestServer::with(|config| config.billing.prepaid = true).await
}

async fn ordered(client: &Client, order: &Value) -> String {
    client.post("/api/v1/pods", order).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn credit(server: &TestServer, body: &Value) -> Value {
    server.owner().await.post("/api/v1/billing/credits", body).await.ok()
}

#[tokio::test]
async fn a_wallet_is_full_unless_the_owner_wants_prepayment() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let empty = ada.get(WALLET).await.ok();
    let id = empty["wallet_id"].as_str().unwrap();
    assert!(id.len() == 25 && id.starts_with('c'), "{id}");
    assert_eq!(
        empty,
        json!({
            "wallet_id": id, "team_id": null, "balance_usd": 1_000_000.0, "currency": "USD", "total_billings": 0,
            "recent_billings": [],
        })
    );
    assert_eq!(ada.get("/api/v1/user/whoami").await.ok()["data"]["skipPrepay"], true);

    let start = server.clock.now();
    let first = ordered(&ada, &TestServer::order()).await;
    server.settle().await;
    server.clock.advance(HOUR);
    ada.delete(&format!("/api/v1/pods/{first}")).await.ok();
    let ended = server.clock.now();
    let second = ordered(&ada, &TestServer::order()).await;
    server.settle().await;
    server.clock.advance(HOUR * 2);
    let line = |id: &str, from: podbay_core::Timestamp, to: podbay_core::Timestamp, amount: f64| {
        json!({
            "id": id, "created_at": from.to_string(), "updated_at": to.to_string(),
            "last_billed_at": to.to_string(), "amount_usd": amount, "currency": "USD",
            "resource_type": "compute", "resource_id": id,
        })
    };
    let wallet = ada.get(WALLET).await.ok();
    let now = server.clock.now();
    assert_eq!(
        wallet["recent_billings"],
        json!([line(&second, ended, now, 0.052), line(&first, start, ended, 0.026)]),
        "last billed first"
    );
    assert_eq!((&wallet["wallet_id"], &wallet["total_billings"]), (&json!(id), &json!(2)));
    let part = ada.get(&format!("{WALLET}?offset=1&limit=1")).await.ok();
    assert_eq!(part["recent_billings"], json!([wallet["recent_billings"][1]]));
    assert_eq!(part["total_billings"], 2);
    let shown = ada.get(&format!("/api/v1/pods/{second}")).await.ok();
    assert_eq!(shown["walletId"], id, "the wallet of the pod is this one");
    for limit in ["0", "101", "x"] {
        let text = ada.get(&format!("{WALLET}?limit={limit}")).await.error(422);
        assert_eq!(text, "query.limit: write a whole number from 1 to 100", "{limit}");
    }
    assert_eq!(ada.get(&format!("{WALLET}?limit=100")).await.ok()["total_billings"], 2);
}

#[tokio::test]
async fn an_empty_wallet_orders_nothing_and_stops_nothing() {
    let server = prepaid().await;
    let ada = server.user("ada").await;
    assert_eq!(ada.get("/api/v1/user/whoami").await.ok()["data"]["skipPrepay"], false);
    let text = ada.post("/api/v1/pods", &TestServer::order()).await.error(402);
    assert_eq!(
        text,
        "pods are paid in advance here, and your balance is 0 USD; ask the owner of this server for credit"
    );
    assert_eq!(ada.get("/api/v1/pods").await.ok()["total_count"], 0, "a refused order leaves nothing");
    let id = ada.get("/api/v1/user/whoami").await.ok()["data"]["id"].clone();
    let made = credit(&server, &json!({ "userId": id, "amountUsd": 0.05, "note": "hello" })).await;
    assert_eq!(
        (&made["balance_usd"], &made["balanceUsd"], &made["note"]),
        (&Value::Null, &json!(0.05), &json!("hello"))
    );
    assert_eq!(ada.get(WALLET).await.ok()["balance_usd"], 0.05);

    let pod = ordered(&ada, &TestServer::order()).await;
    server.settle().await;
    server.clock.advance(HOUR);
    assert_eq!(ada.get(WALLET).await.ok()["balance_usd"], 0.024);
    server.clock.advance(HOUR);
    assert_eq!(ada.get(WALLET).await.ok()["balance_usd"], -0.002);
    server.sweep().await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{pod}")).await.ok()["status"], "ACTIVE", "what runs runs on");
    let text = ada.post("/api/v1/pods", &TestServer::order()).await.error(402);
    assert!(text.contains("balance is -0.002 USD"), "{text}");
    credit(&server, &json!({ "userId": id, "amountUsd": 1 })).await;
    ordered(&ada, &TestServer::order()).await;
    let taken = credit(&server, &json!({ "userId": id, "amountUsd": -1 })).await;
    assert_eq!(taken["amountUsd"], -1.0);
    ada.post("/api/v1/pods", &TestServer::order()).await.error(402);
}

#[tokio::test]
async fn the_last_cent_is_spent_and_nothing_begins_without_one() {
    let server = prepaid().await;
    let ada = server.user("ada").await;
    let id = ada.get("/api/v1/user/whoami").await.ok()["data"]["id"].clone();
    credit(&server, &json!({ "userId": id, "amountUsd": 0.026 })).await;
    ordered(&ada, &TestServer::order()).await;
    server.settle().await;
    server.clock.advance(HOUR - Duration::from_secs(1));
    ordered(&ada, &TestServer::order()).await;
    server.clear().await;
    let left = ada.get(WALLET).await.ok()["balance_usd"].as_f64().unwrap();
    assert!(left > 0.0, "{left}");
    ordered(&ada, &TestServer::order()).await;
    server.clear().await;
    credit(&server, &json!({ "userId": id, "amountUsd": -left })).await;
    assert_eq!(ada.get(WALLET).await.ok()["balance_usd"], 0.0);
    for (path, order) in [("/api/v1/pods", TestServer::order()), ("/api/v1/disks", TestServer::disk_order(1))]
    {
        assert!(ada.post(path, &order).await.error(402).contains("balance is 0 USD"), "{path}");
    }
    credit(&server, &json!({ "userId": id, "amountUsd": 0.000_001 })).await;
    ordered(&ada, &TestServer::order()).await;
    ada.post("/api/v1/disks", &TestServer::disk_order(1)).await.ok();
}

#[tokio::test]
async fn a_team_pays_for_what_is_ordered_for_it() {
    let server = prepaid().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let team = ada.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok()["teamId"].clone();
    let team = team.as_str().unwrap();
    let (bob, _) = server.member(&ada, team, "bob", "MEMBER").await;
    let mut order = TestServer::order();
    order["team"] = json!({ "teamId": team });
    let text = bob.post("/api/v1/pods", &order).await.error(402);
    assert!(text.contains("the team's balance is 0 USD"), "{text}");
    let made = credit(&server, &json!({ "teamId": team, "amountUsd": 10 })).await;
    assert_eq!((&made["teamId"], &made["userId"]), (&json!(team), &Value::Null));
    let pod = ordered(&bob, &order).await;
    server.settle().await;
    server.clock.advance(HOUR);
    bob.post("/api/v1/pods", &TestServer::order()).await.error(402);
    let path = format!("{WALLET}?teamId={team}");
    let wallet = ada.get(&path).await.ok();
    assert_eq!((&wallet["team_id"], &wallet["balance_usd"]), (&json!(team), &json!(9.974)));
    assert_eq!(wallet["recent_billings"][0]["resource_id"], pod.as_str());
    assert_eq!(wallet["wallet_id"], bob.get(&format!("/api/v1/pods/{pod}")).await.ok()["walletId"]);
    assert_eq!(bob.get(WALLET).await.ok()["total_billings"], 0, "the maker is not billed");
    for path in [path, format!("{WALLET}?teamId=x"), format!("{WALLET}?teamId=c{}", "0".repeat(24))] {
        assert_eq!(eve.get(&path).await.error(404), "Not found", "{path}");
    }
}

#[tokio::test]
async fn only_the_owner_gives_credit_and_only_to_somebody() {
    let server = prepaid().await;
    let (owner, ada) = (server.owner().await, server.user("ada").await);
    let credits = "/api/v1/billing/credits";
    let denied = ada.post(credits, &json!({ "amountUsd": 5 })).await.error(403);
    assert_eq!(denied, "only the owner of this server may do this");
    let cases = [
        (json!({}), "body.amountUsd: field required"),
        (json!({ "amountUsd": "5" }), "body.amountUsd: must be a number"),
        (json!({ "amountUsd": 0 }), "body.amountUsd: must be from 0.000001 to 1000000, or as much below 0"),
        (json!({ "amountUsd": 1e9 }), "body.amountUsd: must be from 0.000001 to 1000000, or as much below 0"),
        (
            json!({ "amountUsd": 5, "userId": "x", "teamId": "y" }),
            "body.teamId: name a user or a team, not both",
        ),
        (json!({ "amountUsd": 5, "userId": "x" }), "body.userId: no such user; GET /api/v1/users lists them"),
        (json!({ "amountUsd": 5, "teamId": "x" }), "body.teamId: no such team"),
        (json!({ "amountUsd": 5, "x": 1 }), "body.x: extra fields not permitted"),
    ];
    for (body, expected) in cases {
        assert_eq!(owner.post(credits, &body).await.error(422), expected, "{body}");
    }
    assert_eq!(owner.get(WALLET).await.ok()["balance_usd"], 0.0);
    owner.post(credits, &json!({ "amountUsd": 5 })).await.ok();
    assert_eq!(owner.get(WALLET).await.ok()["balance_usd"], 5.0, "one's own without a name");
}

//! `podbay disks …`.

use crate::run::{Home, expect};
use crate::stub::{Stub, ok, refuse};
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef";
const LIST: &str = "GET /api/v1/disks?offset=0&limit=1000";
const DELETE: &str = "DELETE /api/v1/disks/0123456789abcdef0123456789abcdef";
const PATCH: &str = "PATCH /api/v1/disks/0123456789abcdef0123456789abcdef";

fn disk() -> Value {
    json!({
        "id": ID, "name": "data", "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T10:01:00.000000Z", "terminatedAt": null, "status": "ACTIVE",
        "providerType": "primecompute", "size": 10, "priceHr": 0.001, "stoppedPriceHr": null,
        "provisioningPriceHr": 0.0, "userId": "u1", "teamId": null, "walletId": "w1", "pods": ["p1"], "clusters": [],
        "info": {"country": "DE", "dataCenterId": "cellar", "cloudId": "disk", "isMultinode": true,
            "sizeHeld": false, "failure": null},
    })
}

fn page(disks: &[Value]) -> Value {
    json!({"total_count": disks.len(), "offset": 0, "limit": 1000, "data": disks, "status": null})
}

#[test]
fn disks_are_a_table_and_an_empty_list_a_word() {
    let stub = Stub::start(vec![ok(LIST, page(&[disk()])), ok(LIST, page(&[])), ok(LIST, page(&[disk()]))]);
    let home = Home::at(&stub);
    let table = "\
ID                                NAME  STATUS  SIZE   PRICE/H  PODS  ORDERED
0123456789abcdef0123456789abcdef  data  ACTIVE  10 GB  $0.001   1     2026-08-20 10:00:00Z
";
    expect(&home.podbay(&["disks", "list"]), 0, table, "");
    expect(&home.podbay(&["disks", "list"]), 0, "", "you have no disks\n");
    let done = home.podbay(&["disks", "list", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), json!([disk()]));
    stub.requests();
}

#[test]
fn a_disk_is_ordered_and_shown_in_full() {
    let stub = Stub::start(vec![ok("POST /api/v1/disks", disk())]);
    let text = "\
id           0123456789abcdef0123456789abcdef
name         data
status       ACTIVE
size         10 GB
size held    by agreement only
price/h      $0.001
pods         p1
data center  cellar
country      DE
team         -
ordered      2026-08-20 10:00:00Z
changed      2026-08-20 10:01:00Z
";
    let done = Home::at(&stub).podbay(&["disks", "create", "data", "--size", "10"]);
    expect(&done, 0, text, "ordered disk data (0123456789abcdef0123456789abcdef)\n");
    let body = json!({"disk": {"size": 10, "name": "data", "country": null, "cloudId": null, "dataCenterId": null},
        "provider": {"type": "primecompute"}, "team": null});
    assert_eq!(stub.requests()[0].body, body);
}

#[test]
fn a_disk_is_grown_by_name() {
    let stub = Stub::start(vec![ok(LIST, page(&[disk()])), ok(PATCH, disk())]);
    let done = Home::at(&stub).podbay(&["disks", "update", "data", "--size", "20"]);
    assert_eq!((done.code, done.err.as_str()), (0, "changed disk data (0123456789abcdef0123456789abcdef)\n"));
    assert_eq!(stub.requests()[1].body, json!({"size": 20}));
    let done = Home::new().podbay(&["disks", "update", "data"]);
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn a_delete_asks_and_a_refusal_is_told() {
    let stub = Stub::start(vec![ok(LIST, page(&[disk()]))]);
    assert_eq!(Home::at(&stub).podbay(&["disks", "delete", "data"]).code, 2, "nobody can be asked");
    stub.requests();
    let attached = json!({"detail": "this disk is attached to p1; delete these pods first"});
    let stub = Stub::start(vec![ok(LIST, page(&[disk()])), refuse(DELETE, 409, attached)]);
    let done = Home::at(&stub).podbay(&["disks", "delete", "data", "--yes"]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(done.err.contains("this disk is attached to p1"), "{done:?}");
    stub.requests();
    let stub = Stub::start(vec![ok(LIST, page(&[disk()])), ok(DELETE, json!({"status": "TERMINATED"}))]);
    let done = Home::at(&stub).podbay(&["disks", "delete", "data", "--yes"]);
    expect(&done, 0, "", "disk data (0123456789abcdef0123456789abcdef): TERMINATED\n");
    stub.requests();
}

#[test]
fn a_disk_that_is_not_there() {
    let stub = Stub::start(vec![ok(LIST, page(&[]))]);
    let done = Home::at(&stub).podbay(&["disks", "get", "data"]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.err.contains("`podbay disks list` shows them"), "{done:?}");
    stub.requests();
}

#[test]
fn offers_of_disks_are_a_table() {
    let spec = json!({"minCount": 1, "defaultCount": 100, "maxCount": 900, "pricePerUnit": 0.0001, "step": 1,
        "defaultIncludedInPrice": false, "additionalInfo": null});
    let offer = json!({"cloudId": "disk", "provider": "primecompute", "dataCenter": "cellar", "country": "DE",
        "region": null, "spec": spec, "stockStatus": "Available", "security": "secure_cloud", "isMultinode": true});
    let answer = json!({"items": [offer], "totalCount": 1});
    let stub = Stub::start(vec![ok("GET /api/v1/availability/disks?page=1&page_size=100", answer)]);
    let table = "\
OFFER  DATA CENTER  COUNTRY  REGION  SIZES     PRICE/GB/H  STOCK
disk   cellar       DE       -       1–900 GB  $0.0001     Available
";
    expect(&Home::at(&stub).podbay(&["disks", "availability"]), 0, table, "");
    stub.requests();
}

//! `podbay offers` and `podbay pods …`.

use crate::run::{Home, expect};
use crate::stub::{Stub, ok, refuse};
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef";
const LIST: &str = "GET /api/v1/pods?offset=0&limit=1000";
const ONE: &str = "GET /api/v1/pods/0123456789abcdef0123456789abcdef";
const STATUS: &str = "GET /api/v1/pods/status?pod_ids=0123456789abcdef0123456789abcdef";
const OFFER: &str = "GET /api/v1/availability/gpus?cloud_id=cpu-2x4&page=1&page_size=100";

fn pod(id: &str, name: &str) -> Value {
    json!({
        "id": id, "userId": "u1", "teamId": null, "walletId": "w1", "name": name, "type": "HOSTED",
        "providerType": "primecompute", "status": "ACTIVE", "installationStatus": "FINISHED",
        "installationFailure": null, "installationProgress": 100, "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T10:01:00.000000Z", "terminatedAt": null, "gpuName": "A100_80GB", "gpuCount": 2,
        "socket": "PCIe", "priceHr": 1.5, "stoppedPriceHr": null, "provisioningPriceHr": 0.0,
        "environmentType": "ubuntu_22_cuda_12", "customTemplateId": null, "clusterId": null,
        "primePortMapping": [
            {"internal": "22", "external": "2222", "protocol": "TCP", "usedBy": "SSH", "description": null}
        ],
        "sshConnection": "root@127.0.0.1 -p 2222", "ip": "127.0.0.1",
        "resources": {"memory": 64, "disk": 100, "vcpus": 8, "shared_disk": null},
        "attachedResources": [], "isSpot": false, "autoRestart": false
    })
}

fn fresh() -> Value {
    let mut pod = pod(ID, "mine");
    pod["status"] = json!("PROVISIONING");
    pod["installationStatus"] = json!("PENDING");
    pod["installationProgress"] = json!(0);
    pod["sshConnection"] = Value::Null;
    pod["ip"] = Value::Null;
    pod["gpuName"] = json!("CPU_NODE");
    pod
}

fn page(pods: &[Value]) -> Value {
    json!({"total_count": pods.len(), "offset": 0, "limit": 1000, "data": pods, "status": null})
}

fn status(status: &str, percent: u8, more: Value) -> Value {
    let installation = if percent == 100 { "FINISHED" } else { "ACTIVE" };
    let connection = if status == "ACTIVE" { json!("root@127.0.0.1 -p 2222") } else { Value::Null };
    let mut row = json!({"podId": ID, "providerType": "primecompute", "status": status, "sshConnection": connection,
        "ip": null, "priceHr": 0.1, "costPerHr": 0.1, "primePortMapping": [], "installationStatus": installation,
        "installationFailure": null, "installationProgress": percent});
    for (key, value) in more.as_object().into_iter().flatten() {
        row[key] = value.clone();
    }
    json!({"data": [row], "status": null})
}

pub fn offers() -> Value {
    let size = |default: Value| {
        json!({"minCount": null, "defaultCount": default, "maxCount": null, "pricePerUnit": null, "step": null,
            "defaultIncludedInPrice": null, "additionalInfo": null})
    };
    json!({"items": [{"cloudId": "cpu-2x4", "gpuType": "CPU_NODE", "socket": "PCIe", "provider": "primecompute",
        "region": "eu_west", "dataCenter": "cellar", "country": "DE", "gpuCount": 1, "gpuMemory": 0,
        "disk": size(json!(20)), "sharedDisk": size(Value::Null), "vcpu": size(json!(2)), "memory": size(json!(4)),
        "internetSpeed": null, "interconnect": null, "interconnectType": null, "provisioningTime": null,
        "stockStatus": "Available", "security": "secure_cloud",
        "prices": {"onDemand": 0.1, "communityPrice": null, "isVariable": null, "currency": "USD"},
        "images": ["ubuntu_22_cuda_12"], "isSpot": null, "prepaidTime": null}], "totalCount": 1})
}

#[test]
fn offers_are_a_table() {
    let stub = Stub::start(vec![ok("GET /api/v1/availability/gpus?page=1&page_size=100", offers())]);
    let done = Home::at(&stub).podbay(&["offers"]);
    let table = "\
OFFER    GPU       COUNT  SOCKET  VCPU  MEMORY  DISK   PRICE/H  STOCK      REGION
cpu-2x4  CPU_NODE  -      -       2     4 GB    20 GB  $0.10    Available  eu_west
";
    expect(&done, 0, table, "");
    assert_eq!(stub.requests()[0].key.as_deref(), Some("Bearer pbk_test"));
}

#[test]
fn pods_are_a_table_and_their_names_cannot_act_on_the_terminal() {
    let mut odd = pod("fedcba9876543210fedcba9876543210", "\u{1b}]0;owned\u{7}\r\u{202e}x");
    odd["gpuName"] = json!("Z9_1GB");
    odd["status"] = json!("HIBERNATED");
    odd["sshConnection"] = Value::Null;
    let stub = Stub::start(vec![ok(LIST, page(&[pod(ID, "mine"), odd]))]);
    let done = Home::at(&stub).podbay(&["pods", "list"]);
    let table = "\
ID                                NAME                            STATUS      GPU            PRICE/H  SSH                     ORDERED
0123456789abcdef0123456789abcdef  mine                            ACTIVE      2 × A100_80GB  $1.50    root@127.0.0.1 -p 2222  2026-08-20 10:00:00Z
fedcba9876543210fedcba9876543210  \\u{1b}]0;owned\\u{7}\\r\\u{202e}x  HIBERNATED  2 × Z9_1GB     $1.50    -                       2026-08-20 10:00:00Z
";
    expect(&done, 0, table, "");
    stub.requests();
}

#[test]
fn json_is_what_the_server_said() {
    let stub = Stub::start(vec![ok(LIST, page(&[pod(ID, "mine\u{9b}")]))]);
    let done = Home::at(&stub).podbay(&["pods", "list", "--output", "json"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(!done.out.contains('\u{9b}'));
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), json!([pod(ID, "mine\u{9b}")]));
    stub.requests();
}

#[test]
fn an_empty_list_is_empty_data_and_a_word() {
    let stub = Stub::start(vec![ok(LIST, page(&[])), ok(LIST, page(&[]))]);
    let home = Home::at(&stub);
    expect(&home.podbay(&["pods", "list"]), 0, "", "you have no pods\n");
    expect(&home.podbay(&["pods", "list", "-o", "json"]), 0, "[]\n", "you have no pods\n");
    stub.requests();
}

#[test]
fn one_pod_in_full_by_name() {
    let stub = Stub::start(vec![ok(LIST, page(&[pod(ID, "mine")]))]);
    let text = "\
id            0123456789abcdef0123456789abcdef
name          mine
status        ACTIVE
gpu           2 × A100_80GB
vcpus         8
memory        64 GB
disk          100 GB
image         ubuntu_22_cuda_12
price/h       $1.50
ssh           root@127.0.0.1 -p 2222
ip            127.0.0.1
ports         22→2222/TCP
disks         -
auto restart  no
team          -
ordered       2026-08-20 10:00:00Z
changed       2026-08-20 10:01:00Z
";
    expect(&Home::at(&stub).podbay(&["pods", "get", "mine"]), 0, text, "");
    stub.requests();
}

#[test]
fn a_pod_that_is_not_there_and_a_name_that_two_have() {
    let other = "fedcba9876543210fedcba9876543210";
    let stub = Stub::start(vec![
        refuse(ONE, 404, json!({"detail": "Not found"})),
        ok(LIST, page(&[])),
        ok(LIST, page(&[pod(ID, "x"), pod(other, "x")])),
    ]);
    let home = Home::at(&stub);
    let hint =
        "hint: `podbay pods list` shows those that live, `podbay pods history` those that have ended\n";
    expect(&home.podbay(&["pods", "get", ID]), 5, "", &format!("error: there is no pod `{ID}`\n{hint}"));
    let text = "error: there is no pod `nope`\nhint: `podbay pods list` shows them\n";
    expect(&home.podbay(&["pods", "get", "nope"]), 5, "", text);
    let text = format!("error: `x` means 2 of your pods\n  {ID}  x\n  {other}  x\nhint: give the id\n");
    expect(&home.podbay(&["pods", "get", "x"]), 2, "", &text);
    stub.requests();
}

#[test]
fn an_order_repeats_the_offer() {
    let stub = Stub::start(vec![ok(OFFER, offers()), ok("POST /api/v1/pods", fresh())]);
    let home = Home::at(&stub).variable("TOKEN", "s3cret");
    let done = home.podbay(&[
        "pods",
        "create",
        "mine",
        "--offer",
        "cpu-2x4",
        "--image",
        "ubuntu_22_cuda_12",
        "--disk-size",
        "30",
        "--env",
        "A=b=c",
        "--env",
        "TOKEN",
        "-o",
        "json",
    ]);
    assert_eq!((done.code, done.err.as_str()), (0, "ordered pod mine (0123456789abcdef0123456789abcdef)\n"));
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), fresh());
    let expected = json!({
        "pod": {"name": "mine", "cloudId": "cpu-2x4", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1,
            "diskSize": 30, "vcpus": null, "memory": null, "maxPrice": null, "image": "ubuntu_22_cuda_12",
            "customTemplateId": null, "dataCenterId": "cellar", "country": "DE", "security": "secure_cloud",
            "envVars": [{"key": "A", "value": "b=c"}, {"key": "TOKEN", "value": "s3cret"}],
            "jupyterPassword": null, "sshKeyId": null, "autoRestart": false, "prepaidForHr": null},
        "provider": {"type": "primecompute"}, "disks": null, "team": null, "team_member_ids": null,
        "shared_with_team": false
    });
    assert_eq!(stub.requests()[1].body, expected);
}

#[test]
fn an_order_carries_a_key_of_its_own_that_a_repeated_one_keeps() {
    let busy = || refuse("POST /api/v1/pods", 503, json!({"detail": "later"}));
    let stub = Stub::start(vec![
        ok(OFFER, offers()),
        busy(),
        ok("POST /api/v1/pods", fresh()),
        ok(OFFER, offers()),
        ok("POST /api/v1/pods", fresh()),
    ]);
    let home = Home::at(&stub);
    for _ in 0..2 {
        assert_eq!(home.podbay(&["pods", "create", "mine", "--offer", "cpu-2x4"]).code, 0);
    }
    let requests = stub.requests();
    let keys: Vec<&str> =
        [1, 2, 4].map(|nth: usize| requests[nth].once.as_deref().unwrap_or_default()).to_vec();
    let is_hex = |key: &str| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(keys.iter().all(|key| is_hex(key)), "{keys:?}");
    assert_eq!(keys[0], keys[1], "the same order, asked for again");
    assert_ne!(keys[1], keys[2], "another order");
    assert!([0, 3].iter().all(|nth| requests[*nth].once.is_none()), "what makes nothing needs none");
}

#[test]
fn an_order_for_a_team_names_it_and_its_members() {
    let page =
        |row: Value| json!({"total_count": 1, "offset": 0, "limit": 1000, "data": [row], "status": null});
    let team = json!({"teamId": "cteam", "name": "crew", "slug": null, "role": "ADMIN", "createdAt": "t"});
    let bob =
        json!({"userId": "cbob", "userName": "bob", "userEmail": null, "role": "MEMBER", "joinedAt": "t"});
    let stub = Stub::start(vec![
        ok(OFFER, offers()),
        ok("GET /api/v1/user/teams?offset=0&limit=1000", page(team)),
        ok("GET /api/v1/teams/cteam/members?offset=0&limit=1000", page(bob)),
        ok("POST /api/v1/pods", fresh()),
    ]);
    let home = Home::at(&stub);
    let create = ["pods", "create", "mine", "--offer", "cpu-2x4", "--team", "crew"];
    assert_eq!(home.podbay(&[&create[..], &["--member", "bob"]].concat()).code, 0);
    let body = &stub.requests()[3].body;
    assert_eq!((&body["team"], &body["team_member_ids"]), (&json!({"teamId": "cteam"}), &json!(["cbob"])));
    assert_eq!(home.podbay(&[&create[..], &["--member", "bob", "--share-with-team"]].concat()).code, 2);
    assert_eq!(home.podbay(&["pods", "create", "--offer", "cpu-2x4", "--share-with-team"]).code, 2);
}

const CREATE: [&str; 8] = ["pods", "create", "mine", "--offer", "cpu-2x4", "--wait", "--poll-ms", "1"];

#[test]
fn waiting_tells_each_change_once_and_ends_when_it_is_installed() {
    let stub = Stub::start(vec![
        ok(OFFER, offers()),
        ok("POST /api/v1/pods", fresh()),
        ok(STATUS, status("PROVISIONING", 10, json!({}))),
        ok(STATUS, status("PROVISIONING", 10, json!({}))),
        refuse(STATUS, 500, json!({"detail": "restarting"})),
        ok(STATUS, status("ACTIVE", 90, json!({}))),
        ok(STATUS, status("ACTIVE", 100, json!({}))),
        ok(ONE, pod(ID, "mine")),
    ]);
    let done = Home::at(&stub).podbay(&CREATE);
    let talk = "\
ordered pod mine (0123456789abcdef0123456789abcdef)
waiting until it is installed; to interrupt this does not delete it
PROVISIONING 10%
no answer, still trying: restarting (HTTP 500)
INSTALLING 90%
";
    assert_eq!((done.code, done.err.as_str()), (0, talk));
    assert!(done.out.contains("status        ACTIVE\n"), "{}", done.out);
    stub.requests();
}

#[test]
fn waiting_ends_in_an_error_with_the_reason() {
    let failed = json!({"installationStatus": "ERROR", "installationFailure": "no such image\n\u{1b}[2J"});
    let stub = Stub::start(vec![
        ok(OFFER, offers()),
        ok("POST /api/v1/pods", fresh()),
        ok(STATUS, status("ERROR", 20, failed)),
    ]);
    let done = Home::at(&stub).podbay(&CREATE);
    let end = format!(
        "error: pod {ID} ended in ERROR: no such image\\n\\u{{1b}}[2J\n\
         hint: `podbay pods events {ID}` and `podbay pods logs {ID}` tell more\n"
    );
    assert!(done.err.ends_with(&end), "{}", done.err);
    assert!(done.out.contains(ID), "a script must learn the id of what it has ordered: {}", done.out);
    assert_eq!(done.code, 7);
    stub.requests();
}

#[test]
fn a_wait_has_an_end() {
    let waits = || ok(STATUS, status("PROVISIONING", 10, json!({})));
    let stub = Stub::start(vec![ok(OFFER, offers()), ok("POST /api/v1/pods", fresh()), waits()]);
    let done = Home::at(&stub).podbay(&[
        "pods",
        "create",
        "mine",
        "--offer",
        "cpu-2x4",
        "--wait",
        "--poll-ms",
        "100000",
        "--timeout",
        "1s",
    ]);
    assert!(done.err.contains(&format!("error: pod {ID} was not ready after 1 s\n")), "{}", done.err);
    assert_eq!(done.code, 7);
    stub.requests();
}

#[test]
fn each_refusal_has_its_exit_code() {
    let fields = json!({"message": "m", "detail": [
        {"type": "x", "loc": ["body", "pod", "name"], "msg": "must be a string"}], "errors": []});
    let cases = [
        (409, json!({"detail": "no capacity"}), 6, "error: no capacity (HTTP 409)\n"),
        (
            401,
            json!({"detail": "Invalid token"}),
            4,
            "error: Invalid token (HTTP 401)\n\
             hint: the key is mistyped, expired or revoked; `podbay doctor` says which key is used\n",
        ),
        (
            403,
            json!({"detail": "lacks it"}),
            4,
            "error: lacks it (HTTP 403)\nhint: `podbay whoami` shows what the key may do\n",
        ),
        (
            422,
            fields,
            1,
            "error: the server refused what was asked (HTTP 422)\n  body.pod.name: must be a string\n",
        ),
        (500, json!([]), 1, "error: Internal Server Error (HTTP 500)\n"),
    ];
    for (status, answer, code, text) in cases {
        let stub = Stub::start(vec![ok(OFFER, offers()), refuse("POST /api/v1/pods", status, answer)]);
        expect(&Home::at(&stub).podbay(&["pods", "create", "--offer", "cpu-2x4"]), code, "", text);
        stub.requests();
    }
}

#[test]
fn what_cannot_be_ordered_is_told_before_anything_is_sent() {
    let none = json!({"items": [], "totalCount": 0});
    let stub = Stub::start(vec![ok("GET /api/v1/availability/gpus?cloud_id=x&page=1&page_size=100", none)]);
    let home = Home::at(&stub);
    let text = "error: there is no offer `x`\nhint: `podbay offers` lists what can be ordered\n";
    expect(&home.podbay(&["pods", "create", "--offer", "x"]), 5, "", text);
    let done = home.podbay(&["pods", "create", "--offer", "x", "--env", "MISSING"]);
    expect(&done, 2, "", "error: --env MISSING: there is no such variable here\n");
    let done = home.podbay(&["pods", "create", "--offer", "x", "--image", "debian"]);
    assert!(done.err.starts_with("error: there is no image `debian`\n  ubuntu_22_cuda_12\n"), "{}", done.err);
    assert_eq!(done.code, 2);
    assert_eq!(home.podbay(&["pods", "create"]).code, 2);
    stub.requests();
}

#[test]
fn deleting_needs_a_yes() {
    let stub = Stub::start(vec![
        ok(LIST, page(&[pod(ID, "mine")])),
        ok(LIST, page(&[pod(ID, "mine")])),
        ok("DELETE /api/v1/pods/0123456789abcdef0123456789abcdef", json!({"status": "TERMINATED"})),
    ]);
    let home = Home::at(&stub);
    let text = "error: this cannot be taken back, and nobody can be asked\nhint: say --yes if you are sure\n";
    expect(&home.feed(&["pods", "delete", "mine"], "y\n"), 2, "", text);
    let table = "\
ID                                NAME  STATUS
0123456789abcdef0123456789abcdef  mine  TERMINATED
";
    expect(&home.podbay(&["pods", "delete", "0123", "--yes"]), 0, table, "");
    stub.requests();
}

#[test]
fn the_owner_ends_a_pod_by_force_also_one_of_somebody_else() {
    const FORCED: &str = "DELETE /api/v1/pods/0123456789abcdef0123456789abcdef?force=true";
    let answers = json!({"status": "ACTIVE", "detail": "the host answers; delete the pod without force"});
    let stub = Stub::start(vec![
        ok(LIST, page(&[pod(ID, "mine")])),
        ok(FORCED, json!({"status": "TERMINATED"})),
        refuse(ONE, 404, json!({"detail": "Not found."})),
        ok(FORCED, json!({"status": "TERMINATED"})),
        refuse(ONE, 404, json!({"detail": "Not found."})),
        refuse(FORCED, 409, answers),
        refuse(ONE, 404, json!({"detail": "Not found."})),
    ]);
    let home = Home::at(&stub);
    let mine = "\
ID                                NAME  STATUS
0123456789abcdef0123456789abcdef  mine  TERMINATED
";
    expect(&home.podbay(&["pods", "delete", "mine", "--force", "--yes"]), 0, mine, "");
    let others = "\
ID                                NAME        STATUS
0123456789abcdef0123456789abcdef  somebody's  TERMINATED
";
    expect(&home.podbay(&["pods", "delete", ID, "--force", "--yes"]), 0, others, "");
    let refused = home.podbay(&["pods", "delete", ID, "--force", "--yes"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("the host answers"), "{}", refused.err);
    let unforced = home.podbay(&["pods", "delete", ID, "--yes"]);
    assert!(unforced.err.contains("there is no pod"), "{}", unforced.err);
    stub.requests();
}

#[test]
fn status_logs_events_and_history() {
    let log = json!({"logs": [{"timestamp": null, "stream": "stdout", "line": "a\tb"},
        {"timestamp": null, "stream": "stderr", "line": "\u{1b}[31mred"}]});
    let events = json!({"data": [{"seq": 3, "at": "2026-08-20T10:00:00.000000Z", "kind": "machine.created",
        "text": "the machine was made"}], "status": null});
    let past = json!({"id": ID, "name": "mine", "providerType": "primecompute", "provisionedBy": "Ada",
        "type": "Instance", "createdAt": "2026-08-20T10:00:00.000000Z", "terminatedAt": null,
        "gpuName": "CPU_NODE", "gpuCount": 1, "socket": null, "priceHr": 0.1, "userId": "u", "teamId": null,
        "totalBilledPrice": 0.05});
    let stub = Stub::start(vec![
        ok("GET /api/v1/pods/status", status("PROVISIONING", 40, json!({}))),
        ok(ONE, pod(ID, "mine")),
        ok("GET /api/v1/pods/0123456789abcdef0123456789abcdef/log?tail=2", log.clone()),
        ok(ONE, pod(ID, "mine")),
        ok("GET /api/v1/pods/0123456789abcdef0123456789abcdef/log?tail=100", log),
        ok(ONE, pod(ID, "mine")),
        ok("GET /api/v1/pods/0123456789abcdef0123456789abcdef/events?after=2&limit=1000", events),
        ok("GET /api/v1/pods/history?sort_by=createdAt&sort_order=asc&offset=0&limit=5", page(&[past])),
    ]);
    let home = Home::at(&stub);
    let table = "\
ID                                STATUS            SSH  PRICE/H  FAILURE
0123456789abcdef0123456789abcdef  PROVISIONING 40%  -    $0.10    -
";
    expect(&home.podbay(&["pods", "status"]), 0, table, "");
    expect(&home.podbay(&["pods", "logs", ID, "-n", "2"]), 0, "a\tb\n\\u{1b}[31mred\n", "");
    expect(&home.podbay(&["pods", "logs", ID, "--raw"]), 0, "a\tb\n\u{1b}[31mred\n", "");
    let table = "\
NUMBER  AT                    KIND             WHAT
3       2026-08-20 10:00:00Z  machine.created  the machine was made
";
    expect(&home.podbay(&["pods", "events", ID, "--after", "2"]), 0, table, "");
    let table = "\
ID                                NAME  GPU  ORDERED               ENDED  PRICE/H  BILLED  BY
0123456789abcdef0123456789abcdef  mine  CPU  2026-08-20 10:00:00Z  -      $0.10    $0.05   Ada
";
    let history = ["pods", "history", "--limit", "5", "--sort-by", "created", "--ascending"];
    expect(&home.podbay(&history), 0, table, "");
    stub.requests();
}

#[test]
fn ssh_is_run_with_the_pods_own_name_for_its_host_key() {
    let script = vec![
        ok(LIST, page(&[fresh()])),
        ok(STATUS, status("PROVISIONING", 90, json!({}))),
        ok(STATUS, status("ACTIVE", 90, json!({}))),
    ];
    let stub = Stub::start(script);
    let home = Home::at(&stub).program("ssh", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 42\n");
    let done =
        home.podbay(&["pods", "ssh", "mine", "--poll-ms", "1", "-L", "80:localhost:80", "--", "echo", "a b"]);
    let words = "\
-o
StrictHostKeyChecking=accept-new
-o
UserKnownHostsFile=\"HOME/.config/podbay/known_hosts\"
-o
HostKeyAlias=0123456789abcdef0123456789abcdef.podbay
-o
CheckHostIP=no
-o
ServerAliveInterval=15
-o
ServerAliveCountMax=4
-o
ConnectTimeout=20
-o
ForwardAgent=no
-L
80:localhost:80
-p
2222
-l
root
--
127.0.0.1
echo
a b
";
    expect(&done, 42, words, "PROVISIONING 90%\n");
    assert!(home.path(".config/podbay").is_dir());
    stub.requests();
}

#[test]
fn a_server_cannot_give_ssh_options_of_its_own() {
    let hostile = json!({"sshConnection": "-oProxyCommand=id@host -p 22"});
    let stub = Stub::start(vec![
        ok(LIST, page(&[pod(ID, "mine")])),
        ok(STATUS, status("ACTIVE", 100, hostile)),
        ok(LIST, page(&[pod(ID, "mine")])),
        ok(STATUS, status("ERROR", 100, json!({"installationFailure": "exited"}))),
    ]);
    let home = Home::at(&stub).program("ssh", "#!/bin/sh\necho ran\n");
    let text = "error: the server names no address that ssh could be given: `-oProxyCommand=id@host -p 22`\n";
    expect(&home.podbay(&["pods", "ssh", "mine"]), 1, "", text);
    assert_eq!(home.podbay(&["pods", "ssh", "mine"]).code, 7);
    stub.requests();
}

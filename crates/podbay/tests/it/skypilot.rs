//! `podbay skypilot` and `podbay login-approve`.

use crate::run::{Home, expect};
use crate::stub::{Exchange, Stub, ok, refuse};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const CSV: &str = "InstanceType,UpstreamCloudId,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,\
                   AvailabilityZone,Price,SpotPrice\nprimecompute__CPU_NODE__1__2,cpu-1x2,1,2,,,,DE,cellar,0.026,\n";
const CATALOG: &str = ".sky/catalogs/v8/primeintellect/vms.csv";
const CONFIG: &str = ".prime/config.json";
const ENDING: &str = "1 offers; now: sky api stop; sky check primeintellect\n";

fn whoami(scope: Value) -> Value {
    json!({"data": {"id": "u", "role": "USER", "createdAt": "2026-08-20T10:00:00.000000Z", "name": "ada",
        "slug": null, "email": "a@b", "image": null, "emailVerified": null, "hasBetaAccess": false,
        "isBanned": false, "skipPrepay": true, "blacklist": [], "scope": scope}, "status": null})
}

fn installs(times: usize) -> Vec<Exchange> {
    let narrow = json!({"instances": {"read": true, "write": true}, "disks": null});
    let one =
        || [ok("GET /skypilot/vms.csv", json!(CSV)), ok("GET /api/v1/user/whoami", whoami(narrow.clone()))];
    (0..times).flat_map(|_| one()).collect()
}

fn config(home: &Home) -> Value {
    serde_json::from_str(&fs::read_to_string(home.path(CONFIG)).unwrap()).unwrap()
}

#[test]
fn the_files_are_written_once_and_taken_away() {
    let stub = Stub::start(installs(2));
    let home = Home::at(&stub);
    let text = format!("wrote HOME/{CATALOG}\nwrote HOME/{CONFIG}\n{ENDING}");
    expect(&home.podbay(&["skypilot", "install"]), 0, "", &text);
    assert_eq!(fs::read_to_string(home.path(CATALOG)).unwrap(), CSV);
    let expected = json!({"api_key": "pbk_test", "base_url": stub.url(), "team_id": null});
    assert_eq!(config(&home), expected);
    assert_eq!(fs::metadata(home.path(CONFIG)).unwrap().permissions().mode() & 0o777, 0o600);

    let text = format!("HOME/{CATALOG} is as it should be\nHOME/{CONFIG} is as it should be\n{ENDING}");
    expect(&home.podbay(&["skypilot", "install"]), 0, "", &text);
    let text = format!("removed HOME/{CATALOG}\nremoved HOME/{CONFIG}\n");
    expect(&home.podbay(&["skypilot", "uninstall"]), 0, "", &text);
    expect(&home.podbay(&["skypilot", "uninstall"]), 0, "", "");
    stub.requests();
}

#[test]
fn what_else_is_in_the_configuration_stays() {
    let stub = Stub::start(installs(1));
    let home = Home::at(&stub);
    let team = "c00000000000000000000000t";
    let before = json!({"base_url": stub.url(), "api_key": "old", "team_id": team, "ssh_key_path": "k"});
    home.file(CONFIG, &before.to_string());
    let done = home.podbay(&["skypilot", "install"]);
    assert_eq!(done.code, 0, "{done:?}");
    let after = json!({"base_url": stub.url(), "api_key": "pbk_test", "team_id": team, "ssh_key_path": "k"});
    assert_eq!(config(&home), after);
    assert!(!home.path(".prime/config.json.before-podbay").exists());
    assert_eq!(home.podbay(&["skypilot", "uninstall"]).code, 0);
    assert_eq!(config(&home), json!({"team_id": team, "ssh_key_path": "k"}));
    stub.requests();
}

#[test]
fn another_servers_key_is_not_lost() {
    let mut script = vec![ok("GET /skypilot/vms.csv", json!(CSV))];
    script.extend(installs(2));
    let stub = Stub::start(script);
    let home = Home::at(&stub);
    let before = json!({"api_key": "theirs", "team_id": "t", "user_id": "u"}).to_string();
    home.file(CONFIG, &before);
    let text = "error: this cannot be taken back, and nobody can be asked\nhint: say --yes if you are sure\n";
    expect(&home.podbay(&["skypilot", "install"]), 2, "", text);
    assert!(!home.path(CATALOG).exists(), "nothing was written");

    for _ in 0..2 {
        assert_eq!(home.podbay(&["skypilot", "install", "--yes"]).code, 0);
        let after = json!({"api_key": "pbk_test", "base_url": stub.url(), "team_id": null, "user_id": "u"});
        assert_eq!(config(&home), after);
    }
    let text = format!("removed HOME/{CATALOG}\nput back HOME/{CONFIG}\n");
    expect(&home.podbay(&["skypilot", "uninstall"]), 0, "", &text);
    assert_eq!(fs::read_to_string(home.path(CONFIG)).unwrap(), before);
    let text = format!("left HOME/{CONFIG} as it is: it is not for URL\n");
    expect(&home.podbay(&["skypilot", "uninstall"]), 0, "", &text);
    stub.requests();
}

#[test]
fn a_key_that_may_more_than_is_needed_is_pointed_out() {
    let wide = json!({"instances": {"read": true, "write": true}, "billing": {"read": true, "write": false}});
    let stub = Stub::start(vec![
        ok("GET /skypilot/vms.csv", json!(CSV)),
        ok("GET /api/v1/user/whoami", whoami(wide)),
    ]);
    let home = Home::at(&stub);
    let elsewhere = home.path("elsewhere").display().to_string();
    let done = home.podbay(&["skypilot", "install", "--home", &elsewhere]);
    assert!(done.err.contains("SkyPilot copies this key to every cluster that it makes"), "{}", done.err);
    assert!(home.path("elsewhere").join(CATALOG).exists() && !home.path(CATALOG).exists());
    stub.requests();
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let stub = Stub::start(vec![
        refuse("GET /skypilot/vms.csv", 404, json!({"detail": "Not found"})),
        ok("GET /skypilot/vms.csv", json!({"data": []})),
        ok("GET /skypilot/vms.csv", json!(CSV)),
    ]);
    let home = Home::at(&stub);
    expect(&home.podbay(&["skypilot", "install"]), 5, "", "error: Not found (HTTP 404)\n");
    let done = home.podbay(&["skypilot", "install"]);
    assert!(done.code == 3 && done.err.contains("no catalog"), "{done:?}");
    home.file(CONFIG, "[]");
    let done = home.podbay(&["skypilot", "install"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.err.starts_with("error: HOME/.prime/config.json is no JSON object"), "{}", done.err);
    assert!(!home.path(CATALOG).exists());
    stub.requests();
}

const APPROVE: &str = "POST /api/v1/auth_challenge/approve";

fn key() -> Value {
    json!({"id": "abcdefghijkl", "name": "prime login 7K2M-Q9TD-40XB", "scopes": {"instances": "read"},
        "createdAt": "2026-08-20T10:00:00.000000Z", "expiresAt": null, "revokedAt": null, "lastUsedAt": null})
}

#[test]
fn a_login_is_approved_or_refused_by_its_code() {
    let gone = json!({"message": "body.challenge: no login waits with this code", "detail": [],
        "errors": [{"param": "body.challenge", "details": "no login waits with this code"}]});
    let stub = Stub::start(vec![
        ok(APPROVE, key()),
        ok(APPROVE, key()),
        ok("POST /api/v1/auth_challenge/refuse", json!({})),
        refuse(APPROVE, 422, gone),
    ]);
    let home = Home::at(&stub);
    let said = "approved; the program has its key within seconds\n";
    let shown =
        "id       abcdefghijkl\nname     prime login 7K2M-Q9TD-40XB\nscopes   instances=read\nexpires  -\n";
    expect(&home.podbay(&["login-approve", "7k2m q9td 4oxb"]), 0, shown, said);
    expect(&home.podbay(&["login-approve", "7K2MQ9TD40XB", "--scope", "instances=read"]), 0, shown, said);
    let refused = "refused; nobody gets a key\n";
    expect(&home.podbay(&["login-approve", "7K2M-Q9TD-40XB", "--refuse"]), 0, "", refused);
    let text = "error: the server refused what was asked (HTTP 422)\n  \
                body.challenge: no login waits with this code\n";
    expect(&home.podbay(&["login-approve", "7K2M-Q9TD-40XB"]), 1, "", text);
    let done = home.podbay(&["login-approve", "7K2M"]);
    assert!(done.code == 2 && done.err.contains("as in 7K2M-Q9TD-40XB"), "{}", done.err);
    let requests = stub.requests();
    assert_eq!(requests[0].body, json!({"challenge": "7K2M-Q9TD-40XB", "scopes": null, "expiresAt": null}));
    assert_eq!(requests[1].body["scopes"]["instances"], "read");
    assert_eq!(requests[1].body["scopes"]["disks"], "none");
}

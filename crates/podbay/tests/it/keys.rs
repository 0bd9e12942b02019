//! `podbay ssh-keys`, `api-keys`, `whoami`, `doctor` and `completions`.

use crate::run::{Home, expect};
use crate::stub::{Exchange, Stub, ok, refuse};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PUBLIC: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9cu7QEXn9OIeZJab ada@lovelace";
const SSH_KEYS: &str = "GET /api/v1/ssh_keys?offset=0&limit=1000";

fn ssh_key() -> Value {
    json!({"id": "aaaabbbbccccddddaaaabbbbccccdddd", "userId": "u", "name": "ada@lovelace", "publicKey": PUBLIC,
        "isPrimary": true, "isUserKey": true, "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T10:00:00.000000Z"})
}

fn page(rows: &[Value]) -> Value {
    json!({"total_count": rows.len(), "offset": 0, "limit": 1000, "data": rows, "status": null})
}

const TABLE: &str = "\
ID                                NAME          PRIMARY  KEY                        ADDED
aaaabbbbccccddddaaaabbbbccccdddd  ada@lovelace  yes      ssh-ed25519 …QEXn9OIeZJab  2026-08-20 10:00:00Z
";

#[test]
fn the_usual_key_is_found_and_named_after_its_comment() {
    let stub = Stub::start(vec![ok("POST /api/v1/ssh_keys", ssh_key()), ok(SSH_KEYS, page(&[ssh_key()]))]);
    let home = Home::at(&stub);
    home.file(".ssh/id_rsa.pub", "ssh-rsa AAAA other");
    home.file(".ssh/id_ed25519.pub", &format!("{PUBLIC}\n"));
    let done = home.podbay(&["ssh-keys", "add"]);
    assert_eq!((done.code, done.err.as_str()), (0, "added\n"));
    assert!(done.out.contains("aaaabbbbccccdddd"), "{}", done.out);
    expect(&home.podbay(&["ssh-keys", "list"]), 0, &done.out, "");
    assert_eq!(stub.requests()[0].body, json!({"name": "ada@lovelace", "publicKey": PUBLIC}));
}

#[test]
fn the_list_of_ssh_keys_is_a_table() {
    let stub = Stub::start(vec![ok(SSH_KEYS, page(&[ssh_key()]))]);
    expect(&Home::at(&stub).podbay(&["ssh-keys", "list"]), 0, TABLE, "");
    stub.requests();
}

#[test]
fn a_private_key_never_leaves_the_machine() {
    let stub = Stub::start(vec![]);
    let home = Home::at(&stub);
    home.file("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nxyz\n");
    let path = home.path("id").display().to_string();
    let text = "error: HOME/id is a private key; nothing was sent\n\
                hint: name the public one: the file beside it that ends in .pub\n";
    expect(&home.podbay(&["ssh-keys", "add", &path]), 2, "", text);
    let text = "error: there is no public key in HOME/.ssh\n\
                hint: make one with `ssh-keygen -t ed25519`, or name the file\n";
    expect(&home.podbay(&["ssh-keys", "add"]), 2, "", text);
    stub.requests();
}

#[test]
fn ssh_keys_from_stdin_deleted_and_made_primary() {
    let id = "aaaabbbbccccddddaaaabbbbccccdddd";
    let updated = json!({"message": "done", "updated_fields": {"isPrimary": true}});
    let stub = Stub::start(vec![
        refuse("POST /api/v1/ssh_keys", 409, json!({"detail": "this SSH key is registered already"})),
        ok(SSH_KEYS, page(&[ssh_key()])),
        ok("PATCH /api/v1/ssh_keys/aaaabbbbccccddddaaaabbbbccccdddd", updated),
        ok(SSH_KEYS, page(&[ssh_key()])),
        ok("DELETE /api/v1/ssh_keys/aaaabbbbccccddddaaaabbbbccccdddd", json!({})),
    ]);
    let home = Home::at(&stub);
    let text = "error: this SSH key is registered already (HTTP 409)\n";
    expect(&home.feed(&["ssh-keys", "add", "-", "--name", "n"], PUBLIC), 6, "", text);
    let text = format!("ada@lovelace ({id}) is the primary key now\n");
    expect(&home.podbay(&["ssh-keys", "set-primary", "aaaabb"]), 0, "", &text);
    let text = format!("deleted SSH key ada@lovelace ({id})\n");
    expect(&home.podbay(&["ssh-keys", "delete", "ada@lovelace", "--yes"]), 0, "", &text);
    assert_eq!(stub.requests()[2].body, json!({"isPrimary": true}));
}

fn api_key() -> Value {
    json!({"id": "abcdefghijkl", "name": "ci", "scopes": {"availability": "none", "instances": "write"},
        "createdAt": "2026-08-20T10:00:00.000000Z", "expiresAt": null, "revokedAt": null, "lastUsedAt": null})
}

fn made() -> Exchange {
    let mut answer = api_key();
    answer["key"] = json!("pbk_abcdefghijkl_secret");
    ok("POST /api/v1/api_keys", answer)
}

#[test]
fn a_new_api_key_is_shown_once_or_kept_in_a_private_file() {
    let stub = Stub::start(vec![made(), made()]);
    let home = Home::at(&stub);
    let create = ["api-keys", "create", "ci", "--scope", "instances=write"];
    let done = home.podbay(&create);
    expect(&done, 0, "pbk_abcdefghijkl_secret\n", "keep this key: it is shown this one time\n");
    let path = home.path("key").display().to_string();
    let done = home.podbay(&[&create[..], &["--save", &path]].concat());
    assert_eq!((done.code, done.err.as_str()), (0, "the key is in HOME/key\n"));
    assert!(!done.out.contains("secret"), "{}", done.out);
    assert_eq!(fs::read_to_string(&path).unwrap(), "pbk_abcdefghijkl_secret\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A file that is there is never written over, and then no key is made.
    assert_eq!(home.podbay(&[&create[..], &["--save", &path]].concat()).code, 2);
    let expected = json!({"name": "ci", "scopes": {"availability": "none", "instances": "write",
        "ssh_keys": "none", "disks": "none", "teams": "none", "billing": "none"}, "expiresAt": null});
    assert_eq!(stub.requests()[0].body, expected);
}

#[test]
fn a_key_that_was_refused_leaves_no_file() {
    let stub = Stub::start(vec![refuse("POST /api/v1/api_keys", 403, json!({"detail": "no"}))]);
    let home = Home::at(&stub);
    let path = home.path("key").display().to_string();
    assert_eq!(home.podbay(&["api-keys", "create", "ci", "--full", "--save", &path]).code, 4);
    assert!(!home.path("key").exists());
    stub.requests();
    assert_eq!(home.podbay(&["api-keys", "create", "ci"]).code, 2, "what it may do must be said");
    assert_eq!(home.podbay(&["api-keys", "create", "ci", "--scope", "root=write"]).code, 2);
}

#[test]
fn api_keys_are_listed_and_revoked() {
    let mut old = api_key();
    old["id"] = json!("zzzzzzzzzzzz");
    old["revokedAt"] = json!("2026-08-20T11:00:00.000000Z");
    let list = json!({"data": [api_key(), old], "status": null});
    let stub = Stub::start(vec![
        ok("GET /api/v1/api_keys", list.clone()),
        ok("GET /api/v1/api_keys", list),
        ok("DELETE /api/v1/api_keys/abcdefghijkl", json!({})),
    ]);
    let home = Home::at(&stub);
    let table = "\
ID            NAME  SCOPES           STATE                         LAST USED  MADE
abcdefghijkl  ci    instances=write  valid                         -          2026-08-20 10:00:00Z
zzzzzzzzzzzz  ci    instances=write  revoked 2026-08-20 11:00:00Z  -          2026-08-20 10:00:00Z
";
    expect(&home.podbay(&["api-keys", "list"]), 0, table, "");
    // Of the two with that name only one can still be revoked.
    expect(&home.podbay(&["api-keys", "revoke", "ci", "-y"]), 0, "", "revoked API key ci (abcdefghijkl)\n");
    stub.requests();
}

fn user(scope: Value) -> Value {
    json!({"data": {"id": "c1", "role": "ADMIN", "createdAt": "2026-08-20T10:00:00.000000Z", "name": "Ada",
        "slug": null, "email": "ada@example.org", "image": null, "emailVerified": null, "hasBetaAccess": false,
        "isBanned": false, "skipPrepay": true, "blacklist": [], "scope": scope}, "status": null})
}

#[test]
fn whoami_tells_the_key_and_what_it_may_do() {
    let scope = json!({"instances": {"read": true, "write": true}, "ssh_keys": {"read": true, "write": false}, "disks": null});
    let stub = Stub::start(vec![ok("GET /api/v1/user/whoami", user(scope))]);
    let text = "\
user    Ada
email   ada@example.org
id      c1
role    ADMIN
since   2026-08-20 10:00:00Z
server  URL
key     PODBAY_API_KEY

The key may:
disks      nothing
instances  read and write
ssh_keys   read
";
    expect(&Home::at(&stub).podbay(&["whoami"]), 0, text, "");
    stub.requests();
}

fn full() -> Value {
    let write = json!({"read": true, "write": true});
    json!({"availability": write, "instances": write, "ssh_keys": write})
}

const AUDIT: &str = "GET /api/v1/audit";

fn audit(trouble: Value, findings: &[Value]) -> Value {
    json!({"at": "2026-08-20T10:00:00.000000Z", "count": 3, "trouble": trouble, "findings": findings})
}

#[test]
fn the_doctor_finds_everything_in_order() {
    let stub = Stub::start(vec![
        ok("GET /healthz", json!({"status": "ok"})),
        ok("GET /readyz", json!({"status": "ready"})),
        ok("GET /api/v1/user/whoami", user(full())),
        ok(SSH_KEYS, page(&[ssh_key()])),
        ok(AUDIT, audit(Value::Null, &[])),
    ]);
    let home = Home::at(&stub).program("ssh", "#!/bin/sh\necho OpenSSH_10 >&2\n");
    home.file(".ssh/id_ed25519.pub", PUBLIC);
    let text = "\
ok    address   URL (from --url or PODBAY_URL) answers
ok    ready     the server can make pods
ok    key       valid (from PODBAY_API_KEY); it belongs to Ada
ok    scopes    enough to order pods and log in
ok    ssh       OpenSSH_10
ok    ssh key   ada@lovelace is registered and is on this machine
ok    audit     rows, engine and bills agree
";
    expect(&home.podbay(&["doctor"]), 0, text, "");
    stub.requests();
}

#[test]
fn the_doctor_says_what_to_do() {
    let stub = Stub::start(vec![
        ok("GET /healthz", json!({"status": "ok"})),
        refuse("GET /readyz", 503, json!({"detail": "the container engine does not answer"})),
        ok("GET /api/v1/user/whoami", user(json!({"ssh_keys": {"read": true, "write": false}}))),
        ok(SSH_KEYS, page(&[])),
        ok(
            AUDIT,
            audit(
                json!("no answer"),
                &[json!({"invariant": "B1", "of": "a1", "text": "it is billed twice"})],
            ),
        ),
    ]);
    let home = Home::at(&stub).program("ssh", "#!/bin/sh\necho OpenSSH_10 >&2\n");
    let text = "\
ok    address   URL (from --url or PODBAY_URL) answers
BAD   ready     HTTP 503: the container engine does not answer
                → look at the server's log: database and engine must answer
ok    key       valid (from PODBAY_API_KEY); it belongs to Ada
warn  scopes    the key lacks availability=read, instances=write, ssh_keys=write
                → some commands will be refused; a wider key is made with `podbay api-keys create`
ok    ssh       OpenSSH_10
BAD   ssh key   no SSH key is registered: you cannot log in to any pod
                → add one with `podbay ssh-keys add`; pods that run let it in at once
BAD   audit     B1 a1: it is billed twice
                → docs/invariants.md says what that means; look at the server's log, too
warn  audit     the engine could not be looked at: no answer
                → only the rows were compared; look at the container engine
";
    expect(&home.podbay(&["doctor"]), 1, text, "error: 3 of 8 checks failed\n");
    stub.requests();
}

#[test]
fn completions_are_made_without_a_server_or_a_key() {
    let done = Home::new().variable("PODBAY_API_KEY", "").podbay(&["completions", "bash"]);
    assert!(done.code == 0 && done.out.contains("_podbay()") && done.err.is_empty());
}

//! `podbay teams`, `join`, `wallet` and `users`.

use crate::run::{Home, expect};
use crate::stub::{Stub, ok, refuse};
use serde_json::{Value, json};

const TEAM: &str = "cteam000000000000000000aa";
const ADA: &str = "cada0000000000000000000aa";
const BOB: &str = "cbob0000000000000000000aa";
const TEAMS: &str = "GET /api/v1/user/teams?offset=0&limit=1000";
const MEMBERS: &str = "GET /api/v1/teams/cteam000000000000000000aa/members?offset=0&limit=1000";
const INVITATIONS: &str = "POST /api/v1/teams/cteam000000000000000000aa/invitations";
const AT: &str = "2026-08-20T10:00:00.000000Z";

fn team() -> Value {
    json!({"teamId": TEAM, "name": "crew", "slug": null, "role": "ADMIN", "createdAt": AT})
}

fn member(id: &str, name: &str, role: &str) -> Value {
    json!({"userId": id, "userName": name, "userEmail": format!("{name}@example.org"), "role": role, "joinedAt": AT})
}

fn page(rows: &[Value]) -> Value {
    json!({"total_count": rows.len(), "offset": 0, "limit": 1000, "data": rows, "status": null})
}

const TABLE: &str = "\
ID                         NAME  SLUG  ROLE   JOINED
cteam000000000000000000aa  crew  -     ADMIN  2026-08-20 10:00:00Z
";

#[test]
fn teams_are_made_listed_and_deleted() {
    let stub = Stub::start(vec![
        ok("POST /api/v1/teams", team()),
        ok(TEAMS, page(&[team()])),
        ok(TEAMS, page(&[])),
        ok(TEAMS, page(&[team()])),
        refuse(
            "DELETE /api/v1/teams/cteam000000000000000000aa",
            409,
            json!({"detail": "this team still owns pods"}),
        ),
    ]);
    let home = Home::at(&stub);
    expect(&home.podbay(&["teams", "create", "crew"]), 0, TABLE, "made\n");
    expect(&home.podbay(&["teams", "list"]), 0, TABLE, "");
    let text = "you are in no team; make one with `podbay teams create`\n";
    expect(&home.podbay(&["teams", "list"]), 0, "", text);
    let text = "error: this team still owns pods (HTTP 409)\n";
    expect(&home.podbay(&["teams", "delete", "crew", "-y"]), 6, "", text);
    assert_eq!(stub.requests()[0].body, json!({"name": "crew", "slug": null}));
}

#[test]
fn members_are_listed_raised_and_removed() {
    let both = || page(&[member(ADA, "ada", "ADMIN"), member(BOB, "bob", "MEMBER")]);
    let stub = Stub::start(vec![
        ok(TEAMS, page(&[team()])),
        ok(MEMBERS, both()),
        ok(TEAMS, page(&[team()])),
        ok(MEMBERS, both()),
        ok(
            "PATCH /api/v1/teams/cteam000000000000000000aa/members/cbob0000000000000000000aa",
            member(BOB, "bob", "ADMIN"),
        ),
        ok(TEAMS, page(&[team()])),
        ok("DELETE /api/v1/teams/cteam000000000000000000aa/members/cbob0000000000000000000aa", json!({})),
    ]);
    let home = Home::at(&stub);
    let table = "\
ID                         NAME  EMAIL            ROLE    JOINED
cada0000000000000000000aa  ada   ada@example.org  ADMIN   2026-08-20 10:00:00Z
cbob0000000000000000000aa  bob   bob@example.org  MEMBER  2026-08-20 10:00:00Z
";
    expect(&home.podbay(&["teams", "members", "crew"]), 0, table, "");
    let done = home.podbay(&["teams", "set-role", "crew", "bob", "admin"]);
    assert!(done.code == 0 && done.out.contains("ADMIN"), "{}", done.out);
    let text = "removed cbob0000000000000000000aa from team crew\n";
    expect(&home.podbay(&["teams", "remove", TEAM, BOB, "-y"]), 0, "", text);
    assert_eq!(stub.requests()[4].body, json!({"role": "ADMIN"}));
    assert_eq!(home.podbay(&["teams", "set-role", "crew", "bob", "boss"]).code, 2);
}

fn invited() -> Value {
    json!({"id": "0123456789abcdef0123456789abcdef", "teamId": TEAM, "role": "MEMBER", "email": null, "invitedBy": ADA,
        "createdAt": AT, "expiresAt": "2026-08-21T10:00:00.000000Z", "code": "c0de",
        "path": "/api/v1/invitations/c0de/accept"})
}

#[test]
fn an_invitation_is_a_link() {
    let stub = Stub::start(vec![ok(TEAMS, page(&[team()])), ok(INVITATIONS, invited())]);
    let done = Home::at(&stub).podbay(&["teams", "invite", "crew", "--hours", "24"]);
    let said = "\
this link lets one person into team crew, until 2026-08-21 10:00:00Z:
they join with: podbay join LINK --name NAME --email ADDRESS
or, with a key of this server: podbay join LINK
";
    expect(&done, 0, "URL/api/v1/invitations/c0de/accept\n", said);
    assert_eq!(stub.requests()[1].body, json!({"role": "MEMBER", "email": null, "expiresInHours": 24}));
}

fn joined(key: Value) -> Value {
    json!({"team": team(), "userId": BOB, "key": key})
}

const ACCEPT: &str = "POST /api/v1/invitations/c0de/accept";

#[test]
fn who_joins_with_a_name_gets_a_key_and_sends_none() {
    let stub = Stub::start(vec![
        ok(ACCEPT, joined(json!("pbk_new"))),
        ok(ACCEPT, joined(Value::Null)),
        refuse(ACCEPT, 404, json!({"detail": "Not found"})),
    ]);
    let home = Home::at(&stub);
    let link = format!("{}/api/v1/invitations/c0de/accept", stub.url());
    let said = "joined team crew (cteam000000000000000000aa)\nkeep this key: it is shown this one time\n";
    let elsewhere = Home::new();
    let done = elsewhere.podbay(&["join", &link, "--name", "bob", "--email", "bob@example.org"]);
    expect(&done, 0, "pbk_new\n", said);
    expect(&home.podbay(&["join", "c0de"]), 0, "", "joined team crew (cteam000000000000000000aa)\n");
    let text =
        "error: Not found (HTTP 404)\nhint: the invitation is used, expired or revoked; ask for another\n";
    expect(&home.podbay(&["join", &link]), 5, "", text);
    let requests = stub.requests();
    assert_eq!((&requests[0].key, &requests[1].key), (&None, &Some("Bearer pbk_test".to_owned())));
    assert_eq!(requests[0].body, json!({"name": "bob", "email": "bob@example.org"}));
    let done = elsewhere.podbay(&["join", "http://192.0.2.1/api/v1/invitations/c0de/accept"]);
    assert_eq!(done.code, 2, "a key is not sent to wherever a link points: {}", done.err);
}

#[test]
fn a_wallet_is_its_balance_and_its_bill() {
    let line = json!({"id": "r", "created_at": AT, "updated_at": AT, "last_billed_at": AT, "amount_usd": 0.052,
        "currency": "USD", "resource_type": "compute", "resource_id": "0123"});
    let wallet = json!({"wallet_id": "cwallet", "team_id": TEAM, "balance_usd": 9.974, "currency": "USD",
        "total_billings": 7, "recent_billings": [line]});
    let credit = json!({"id": "x", "userId": BOB, "teamId": null, "amountUsd": 5.0, "note": "", "createdAt": AT,
        "balanceUsd": 7.5});
    let user =
        json!({"id": BOB, "name": "bob", "email": "b@c", "slug": null, "role": "USER", "createdAt": AT});
    let stub = Stub::start(vec![
        ok("GET /api/v1/billing/wallet?offset=0&limit=1&teamId=cteam000000000000000000aa", wallet),
        ok("GET /api/v1/users?offset=0&limit=1000", page(&[user])),
        ok("POST /api/v1/billing/credits", credit),
    ]);
    let home = Home::at(&stub);
    let text = "\
wallet   cwallet
team     cteam000000000000000000aa
balance  $9.974
billed   7 resources

RESOURCE  TYPE     AMOUNT  FROM                  UNTIL
0123      compute  $0.052  2026-08-20 10:00:00Z  2026-08-20 10:00:00Z
";
    expect(&home.podbay(&["wallet", "--team", TEAM, "--limit", "1"]), 0, text, "");
    expect(
        &home.podbay(&["wallet", "credit", "5", "--user", "bob"]),
        0,
        "balance  $7.50\n",
        "credited $5.00\n",
    );
    assert_eq!(
        stub.requests()[2].body,
        json!({"userId": BOB, "teamId": null, "amountUsd": 5.0, "note": null})
    );
}

#[test]
fn a_user_is_made_with_a_key() {
    let mut user =
        json!({"id": BOB, "name": "bob", "email": "b@c", "slug": null, "role": "USER", "createdAt": AT});
    user["key"] = json!("pbk_new");
    let stub = Stub::start(vec![ok("POST /api/v1/users", user)]);
    let said = "made user bob (cbob0000000000000000000aa)\nkeep this key: it is shown this one time\n";
    expect(&Home::at(&stub).podbay(&["users", "create", "bob", "--email", "b@c"]), 0, "pbk_new\n", said);
    stub.requests();
}

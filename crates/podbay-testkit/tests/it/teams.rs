//! Teams: how one gets in, what one sees there, and whose SSH keys are where.

use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

/// A team of `admin`; its id.
async fn team(admin: &Client) -> String {
    let made = admin.post("/api/v1/teams", &json!({ "name": "crew" })).await.ok();
    made["teamId"].as_str().unwrap().to_owned()
}

/// An order for a team, with these keys beside it.
fn order(team: &str, more: Value) -> Value {
    let mut order = TestServer::order();
    order["team"] = json!({ "teamId": team });
    for (key, value) in more.as_object().into_iter().flatten() {
        order[key] = value.clone();
    }
    order
}

async fn ordered(client: &Client, order: &Value) -> String {
    client.post("/api/v1/pods", order).await.ok()["id"].as_str().unwrap().to_owned()
}

/// `param: details` of each error of a 422.
async fn refused(client: &Client, path: &str, body: &Value) -> Vec<String> {
    let reply = client.post(path, body).await;
    assert_eq!(reply.status, 422, "{}", reply.json);
    let errors = reply.json["errors"].as_array().unwrap().iter();
    errors
        .map(|error| format!("{}: {}", error["param"].as_str().unwrap(), error["details"].as_str().unwrap()))
        .collect()
}

/// Ids of a list, in its order.
async fn ids(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.ok();
    let ids: Vec<String> =
        page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(page["total_count"], ids.len(), "{path}: the count is exact");
    ids
}

#[tokio::test]
async fn an_invitation_makes_a_user_once() {
    let server = TestServer::new().await;
    let (ada, nobody) = (server.user("ada").await, server.anonymous());
    let team = team(&ada).await;
    let invitations = format!("/api/v1/teams/{team}/invitations");
    let body = json!({ "role": "ADMIN", "email": "bob@example.org", "expiresInHours": 2 });
    let mut invited = ada.post(&invitations, &body).await.ok();
    let (code, path) = (invited["code"].take(), invited["path"].take());
    let (code, path) = (code.as_str().unwrap(), path.as_str().unwrap().to_owned());
    assert_eq!(path, format!("/api/v1/invitations/{code}/accept"));
    assert!(code.len() == 64 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
    let listed = ada.get(&invitations).await.ok();
    invited.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(listed["data"], json!([invited]), "the list has all but the code");

    assert_eq!(
        refused(&nobody, &path, &json!({})).await,
        ["body.name: field required, unless a key says who accepts"]
    );
    assert_eq!(
        refused(&nobody, &path, &json!({ "name": "bob", "email": "bob" })).await,
        ["body.email: must be a mail address, as in ada@example.org"]
    );
    let taken = nobody.post(&path, &json!({ "name": "ada" })).await.error(409);
    assert_eq!(taken, "this user name is taken; choose another");
    let wrong = format!("/api/v1/invitations/{}/accept", "0".repeat(64));
    assert_eq!(nobody.post(&wrong, &json!({ "name": "bob" })).await.error(404), "Not found");

    let joined = nobody.post(&path, &json!({ "name": "bob" })).await.ok();
    assert_eq!(joined["team"]["role"], "ADMIN");
    assert_eq!(joined["team"]["teamId"], team.as_str());
    let bob = nobody.with_key(joined["key"].as_str().unwrap());
    let me = bob.get("/api/v1/user/whoami").await.ok();
    assert_eq!((&me["data"]["name"], &me["data"]["email"]), (&json!("bob"), &json!("bob@example.org")));
    assert_eq!((&me["data"]["id"], &me["data"]["role"]), (&joined["userId"], &json!("USER")));
    assert_eq!(nobody.post(&path, &json!({ "name": "eve" })).await.error(404), "Not found", "used");
    assert_eq!(ada.get(&invitations).await.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_key_joins_with_its_own_user() {
    let server = TestServer::new().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let team = team(&ada).await;
    let invitations = format!("/api/v1/teams/{team}/invitations");
    let path = |invited: &Value| invited["path"].as_str().unwrap().to_owned();
    let first = path(&ada.post(&invitations, &json!({})).await.ok());
    assert_eq!(bob.with_key("garbage").post(&first, &json!({})).await.error(401), "Invalid token");
    let reader = json!({ "name": "r", "scopes": { "teams": "read" } });
    let reader = bob.with_key(bob.post("/api/v1/api_keys", &reader).await.ok()["key"].as_str().unwrap());
    let text = reader.post(&first, &json!({})).await.error(403);
    assert_eq!(text, "This API key lacks the permission Teams → Read and Write; use a key that has it");
    let joined = bob.post(&first, &json!({})).await.ok();
    assert_eq!((&joined["key"], &joined["team"]["role"]), (&Value::Null, &json!("MEMBER")));
    let second = path(&ada.post(&invitations, &json!({})).await.ok());
    assert_eq!(bob.post(&second, &json!({})).await.error(409), "you are a member of this team already");
    let eve = server.user("eve").await;
    eve.post(&second, &json!({})).await.ok();

    // Revoked, and expired.
    let invited = ada.post(&invitations, &json!({ "expiresInHours": 1 })).await.ok();
    let third = path(&invited);
    ada.delete(&format!("{invitations}/{}", invited["id"].as_str().unwrap())).await.ok();
    let dan = server.user("dan").await;
    assert_eq!(dan.post(&third, &json!({})).await.error(404), "Not found");
    let fourth = path(&ada.post(&invitations, &json!({ "expiresInHours": 1 })).await.ok());
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(dan.post(&fourth, &json!({})).await.error(404), "Not found");
    assert_eq!(
        refused(&ada, &invitations, &json!({ "role": "OWNER", "expiresInHours": 0, "more": 1 })).await,
        [
            "body.role: must be one of ADMIN, MEMBER",
            "body.expiresInHours: must be at least 1",
            "body.more: extra fields not permitted"
        ]
    );
}

#[tokio::test]
async fn lists_of_teams_and_members_have_what_clients_index() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let made = ada.post("/api/v1/teams", &json!({ "name": "crew", "slug": "the-crew" })).await.ok();
    let team = made["teamId"].as_str().unwrap();
    assert!(team.len() == 25 && team.starts_with('c'), "the CLI wants a CUID: {team}");
    let page = ada.get("/api/v1/user/teams/?offset=0&limit=10").await.ok();
    let now = server.clock.now().to_string();
    let row =
        json!({ "teamId": team, "name": "crew", "slug": "the-crew", "role": "ADMIN", "createdAt": now });
    assert_eq!(page, json!({ "total_count": 1, "offset": 0, "limit": 10, "data": [row], "status": null }));
    let (bob, id) = server.member(&ada, team, "bob", "MEMBER").await;
    let members = format!("/api/v1/teams/{team}/members");
    let page = bob.get(&members).await.ok();
    assert_eq!(page["total_count"], 2);
    let row = json!({ "userId": id, "userName": "bob", "userEmail": "bob@example.org", "role": "MEMBER", "joinedAt": now });
    assert!(page["data"].as_array().unwrap().contains(&row), "{page}");
    assert_eq!(ada.get("/api/v1/user/whoami?teamId=").await.status, 200);
    assert_eq!(bob.get(&format!("/api/v1/user/whoami?teamId={team}")).await.ok()["data"]["id"], id.as_str());
    let eve = server.user("eve").await;
    for path in [format!("/api/v1/user/whoami?teamId={team}"), "/api/v1/user/whoami?teamId=x".into(), members]
    {
        assert_eq!(eve.get(&path).await.error(404), "Not found", "{path}");
    }
    assert_eq!(eve.get("/api/v1/user/teams").await.ok()["data"], json!([]));
    assert_eq!(
        eve.post("/api/v1/teams", &json!({ "name": "x", "slug": "the-crew" })).await.error(409),
        "this slug is taken; choose another"
    );
    assert_eq!(
        refused(&eve, "/api/v1/teams", &json!({ "name": " ", "slug": "No" })).await,
        ["body.name: must not be empty", "body.slug: must be 3 to 30 lower-case letters, digits and dashes"]
    );
}

#[tokio::test]
async fn a_team_always_has_an_admin_and_ends_empty() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let team = team(&ada).await;
    let path = format!("/api/v1/teams/{team}");
    let (bob, bob_id) = server.member(&ada, &team, "bob", "MEMBER").await;
    let me = ada.get("/api/v1/user/whoami").await.ok();
    let ada_path = format!("{path}/members/{}", me["data"]["id"].as_str().unwrap());
    let bob_path = format!("{path}/members/{bob_id}");
    let last = "a team needs an ADMIN: make another member one first, or delete the team";
    assert_eq!(ada.delete(&ada_path).await.error(409), last);
    assert_eq!(ada.patch(&ada_path, &json!({ "role": "MEMBER" })).await.error(409), last);
    let only = "only an ADMIN of the team may do this";
    assert_eq!(bob.patch(&bob_path, &json!({ "role": "ADMIN" })).await.error(403), only);
    assert_eq!(bob.delete(&ada_path).await.error(403), only);
    assert_eq!(ada.patch(&bob_path, &json!({ "role": "ADMIN" })).await.ok()["role"], "ADMIN");
    ada.delete(&ada_path).await.ok();
    assert_eq!(ada.get(&format!("{path}/members")).await.error(404), "Not found");
    let renamed = bob.patch(&path, &json!({ "name": "new", "slug": "new-slug" })).await.ok();
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("new"), &json!("new-slug")));
    assert_eq!(bob.patch(&path, &json!({})).await.ok(), renamed, "what is not given stays");

    let pod = ordered(&bob, &order(&team, json!({}))).await;
    server.settle().await;
    assert_eq!(bob.delete(&path).await.error(409), "this team still owns pods or disks; delete them first");
    bob.delete(&format!("/api/v1/pods/{pod}")).await.ok();
    server.settle().await;
    bob.delete(&path).await.ok();
    assert_eq!(bob.get("/api/v1/user/teams").await.ok()["total_count"], 0);
    assert_eq!(bob.get("/api/v1/pods/history").await.ok()["total_count"], 0);
}

#[tokio::test]
async fn what_is_wrong_with_an_order_for_a_team_is_named() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let team = team(&ada).await;
    let eve_id = eve.get("/api/v1/user/whoami").await.ok()["data"]["id"].clone();
    let personal = |more: Value| {
        let mut order = order("", more);
        order["team"] = Value::Null;
        order
    };
    let only = "only a team's pod can be shared; name the team in team.teamId";
    let cases = [
        (&ada, order("x", json!({})), "body.team.teamId: no such team".to_owned()),
        (
            &ada,
            order(&format!("c{}", "0".repeat(24)), json!({})),
            "body.team.teamId: no such team".to_owned(),
        ),
        (&eve, order(&team, json!({})), "body.team.teamId: no such team".to_owned()),
        (&ada, personal(json!({ "shared_with_team": true })), format!("body.shared_with_team: {only}")),
        (&ada, personal(json!({ "teamMemberIds": [eve_id] })), format!("body.team_member_ids: {only}")),
        (
            &ada,
            order(&team, json!({ "sharedWithTeam": true, "teamMemberIds": [eve_id] })),
            "body.team_member_ids: say either shared_with_team or team_member_ids, not both".to_owned(),
        ),
        (
            &ada,
            order(&team, json!({ "team_member_ids": [eve_id] })),
            "body.team_member_ids.0: is no member of this team".to_owned(),
        ),
        (
            &ada,
            order(&team, json!({ "team_member_ids": ["nobody"] })),
            "body.team_member_ids.0: is no member of this team".to_owned(),
        ),
    ];
    for (client, order, expected) in cases {
        assert_eq!(refused(client, "/api/v1/pods", &order).await, [expected], "{order}");
    }
    let offers = ada.get("/api/v1/availability/gpus?cloud_id=cpu-1x2").await.ok();
    assert_eq!(offers["items"][0]["stockStatus"], "Available");
    assert_eq!(ids(&ada, "/api/v1/pods").await, Vec::<String>::new(), "a refused order leaves nothing");
    let mut fine = personal(json!({ "team_member_ids": [], "shared_with_team": false }));
    fine["team"] = Value::Null;
    ada.post("/api/v1/pods", &fine).await.ok();
}

#[tokio::test]
async fn lists_show_what_is_personal_and_what_is_of_ones_teams() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let team = team(&ada).await;
    let (bob, bob_id) = server.member(&ada, &team, "bob", "MEMBER").await;
    let mut made = Vec::new();
    for (client, order) in [
        (&ada, TestServer::order()),
        (&bob, order(&team, json!({}))),
        (&bob, TestServer::order()),
        (&eve, TestServer::order()),
        (&ada, order(&team, json!({}))),
    ] {
        server.clock.advance(Duration::from_millis(5));
        made.push(ordered(client, &order).await);
    }
    server.settle().await;
    let pods = |numbers: &[usize]| numbers.iter().map(|number| made[*number].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&ada, "/api/v1/pods").await, pods(&[4, 1, 0]), "newest first");
    assert_eq!(ids(&bob, "/api/v1/pods").await, pods(&[4, 2, 1]));
    assert_eq!(ids(&eve, "/api/v1/pods").await, pods(&[3]));
    let page = ada.get("/api/v1/pods?offset=1&limit=1").await.ok();
    assert_eq!((&page["data"][0]["id"], &page["total_count"]), (&json!(made[1]), &json!(3)));
    assert_eq!(page["data"][0]["teamId"], team.as_str());
    let all = ada.get("/api/v1/pods/status").await.ok();
    let shown: Vec<&Value> = all["data"].as_array().unwrap().iter().map(|row| &row["podId"]).collect();
    assert_eq!(shown, [&json!(made[4]), &json!(made[1]), &json!(made[0])]);
    let query = made.iter().map(|id| format!("pod_ids={id}")).collect::<Vec<_>>().join("&");
    let some = bob.get(&format!("/api/v1/pods/status?{query}")).await.ok();
    assert_eq!(some["data"].as_array().unwrap().len(), 3);
    let wallets = |client: Client, id: String| async move {
        client.get(&format!("/api/v1/pods/{id}")).await.ok()["walletId"].as_str().unwrap().to_owned()
    };
    let mine = wallets(ada.clone(), made[0].clone()).await;
    let teams = wallets(ada.clone(), made[4].clone()).await;
    assert_eq!(teams, wallets(bob.clone(), made[1].clone()).await, "one wallet for the whole team");
    assert!(mine != teams && mine.len() == 25 && mine.starts_with('c'), "{mine}");

    bob.delete(&format!("/api/v1/pods/{}", made[1])).await.ok();
    server.settle().await;
    let history = ada.get("/api/v1/pods/history").await.ok();
    assert_eq!(history["data"][0]["id"], made[1].as_str());
    assert_eq!(history["data"][0]["provisionedBy"], "bob", "who made it, whoever asks");
    let events = ada.get(&format!("/api/v1/pods/{}/events", made[1])).await.ok();
    assert!(events.to_string().contains("bob deleted the pod"), "{events}");

    ada.delete(&format!("/api/v1/teams/{team}/members/{bob_id}")).await.ok();
    assert_eq!(ids(&bob, "/api/v1/pods").await, pods(&[2]), "at once, kept replies included");
    assert_eq!(ids(&bob, "/api/v1/pods/history").await, pods(&[]), "nor what bob made there");
    for path in ["", "/log", "/events"] {
        assert_eq!(bob.get(&format!("/api/v1/pods/{}{path}", made[4])).await.error(404), "Not found");
    }
    assert_eq!(bob.get(&format!("/api/v1/pods/{}/events", made[1])).await.error(404), "Not found");
}

#[tokio::test]
async fn a_member_deletes_what_is_theirs_and_an_admin_everything() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let team = team(&ada).await;
    let (bob, _) = server.member(&ada, &team, "bob", "MEMBER").await;
    let (of_ada, of_bob) =
        (ordered(&ada, &order(&team, json!({}))).await, ordered(&bob, &order(&team, json!({}))).await);
    let text = bob.delete(&format!("/api/v1/pods/{of_ada}")).await.error(403);
    assert_eq!(text, "only the one who made this and an ADMIN of the team may delete it");
    ada.delete(&format!("/api/v1/pods/{of_bob}")).await.ok();
    server.settle().await;
    assert_eq!(ids(&bob, "/api/v1/pods").await, [of_ada]);
}

/// Numbers of the keys that a pod lets in.
fn keys(server: &TestServer, pod: &str) -> Vec<u8> {
    let machine = server.world.machines_of(&podbay_core::PodId::parse(pod).unwrap()).remove(0);
    let file = server.world.file(&machine.spec.name, "authorized_keys").unwrap();
    let text = String::from_utf8(file).unwrap();
    let mut numbers: Vec<u8> =
        text.lines().map(|line| line.rsplit('-').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

async fn key_add(client: &Client, number: u8) -> String {
    let body = json!({ "name": "k", "publicKey": TestServer::ssh_public_key(number) });
    client.post("/api/v1/ssh_keys", &body).await.ok()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ssh_keys_follow_sharing_membership_and_the_keys_themselves() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let team = team(&ada).await;
    let (bob, bob_id) = server.member(&ada, &team, "bob", "MEMBER").await;
    let (cid, cid_id) = server.member(&ada, &team, "cid", "MEMBER").await;
    for (client, number) in [(&ada, 1), (&bob, 2), (&cid, 3)] {
        key_add(client, number).await;
    }
    let personal = ordered(&ada, &TestServer::order()).await;
    let own = ordered(&bob, &order(&team, json!({}))).await;
    let all = ordered(&bob, &order(&team, json!({ "sharedWithTeam": true }))).await;
    let some = ordered(&ada, &order(&team, json!({ "teamMemberIds": [cid_id, cid_id] }))).await;
    server.settle().await;
    let now = || [&personal, &own, &all, &some].map(|pod| keys(&server, pod));
    assert_eq!(now(), [vec![1], vec![2], vec![1, 2, 3], vec![1, 3]]);
    let events = ada.get(&format!("/api/v1/pods/{some}/events")).await.ok();
    let told = format!("these members of the team are let in: {cid_id}");
    assert!(events.to_string().contains(&told), "{events}");

    let second = key_add(&cid, 4).await;
    server.settle().await;
    assert_eq!(now(), [vec![1], vec![2], vec![1, 2, 3, 4], vec![1, 3, 4]], "a new key of a member");
    cid.delete(&format!("/api/v1/ssh_keys/{second}")).await.ok();
    server.settle().await;
    assert_eq!(now(), [vec![1], vec![2], vec![1, 2, 3], vec![1, 3]]);

    let (dan, _) = server.member(&ada, &team, "dan", "MEMBER").await;
    key_add(&dan, 5).await;
    let eve = server.user("eve").await;
    key_add(&eve, 6).await;
    server.settle().await;
    assert_eq!(now(), [vec![1], vec![2], vec![1, 2, 3, 5], vec![1, 3]], "one who joined");
    let invited = ada.post(&format!("/api/v1/teams/{team}/invitations"), &json!({})).await.ok();
    eve.post(invited["path"].as_str().unwrap(), &json!({})).await.ok();
    server.settle().await;
    assert_eq!(keys(&server, &all), [1, 2, 3, 5, 6], "with the keys that were there before");

    for id in [&bob_id, &cid_id] {
        ada.delete(&format!("/api/v1/teams/{team}/members/{id}")).await.ok();
    }
    server.settle().await;
    assert_eq!(now(), [vec![1], vec![], vec![1, 5, 6], vec![1]], "those who left, makers included");
}

#[tokio::test]
async fn a_key_that_an_order_names_is_the_only_one_of_its_makers() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let team = team(&ada).await;
    let (bob, _) = server.member(&ada, &team, "bob", "MEMBER").await;
    key_add(&ada, 1).await;
    let chosen = key_add(&ada, 2).await;
    let of_bob = key_add(&bob, 3).await;
    let mut personal = TestServer::order();
    personal["pod"]["sshKeyId"] = json!(chosen);
    let mut shared = order(&team, json!({ "sharedWithTeam": true }));
    shared["pod"]["sshKeyId"] = json!(chosen);
    let (personal, shared) = (ordered(&ada, &personal).await, ordered(&ada, &shared).await);
    server.settle().await;
    let now = || [&personal, &shared].map(|pod| keys(&server, pod));
    assert_eq!(now(), [vec![2], vec![2, 3]]);
    key_add(&ada, 4).await;
    key_add(&bob, 5).await;
    server.settle().await;
    assert_eq!(now(), [vec![2], vec![2, 3, 5]], "another key of the maker's is for other pods");
    ada.delete(&format!("/api/v1/ssh_keys/{chosen}")).await.ok();
    server.settle().await;
    assert_eq!(now(), [vec![], vec![3, 5]], "and does not take the place of a deleted one");
    let mut wrong = TestServer::order();
    wrong["pod"]["sshKeyId"] = json!(of_bob);
    let text = ada.post("/api/v1/pods", &wrong).await.error(422);
    assert_eq!(text, "body.pod.sshKeyId: no such SSH key in this account");
}

#[tokio::test]
async fn keys_that_could_not_be_written_are_written_later_and_hold_up_no_other() {
    use podbay_provider::fake::{Call, Fault};
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let pods = [ordered(&ada, &TestServer::order()).await, ordered(&ada, &TestServer::order()).await];
    server.settle().await;
    server.world.fault(Call::FilesPut, Fault::NotSent);
    key_add(&ada, 1).await;
    let first = podbay_server::tasks::keys::distribute(&server.app).await;
    assert_eq!((first.done, first.left), (1, 1));
    assert_eq!(pods.each_ref().map(|pod| keys(&server, pod).len()).iter().sum::<usize>(), 1);
    let second = podbay_server::tasks::keys::distribute(&server.app).await;
    assert_eq!((second.done, second.left), (1, 0));
    assert_eq!(pods.each_ref().map(|pod| keys(&server, pod)), [[1], [1]]);
}

#[tokio::test]
async fn users_are_made_by_the_owner_and_named_by_themselves() {
    let server = TestServer::new().await;
    let (owner, ada) = (server.owner().await, server.user("ada").await);
    let denied = "only the owner of this server may do this";
    let body = json!({ "name": "bob", "email": "bob@example.org" });
    assert_eq!(ada.post("/api/v1/users", &body).await.error(403), denied);
    assert_eq!(ada.get("/api/v1/users").await.error(403), denied);
    let made = owner.post("/api/v1/users", &body).await.ok();
    assert_eq!(
        owner.post("/api/v1/users", &body).await.error(409),
        "this user name is taken; choose another"
    );
    // Cyrillic letters, all of them; and two letters that look like one.
    for (name, like) in [("\u{455}\u{440}\u{430}\u{441}\u{435}", "space"), ("rnodern", "modern")] {
        let _ = owner.post("/api/v1/users", &json!({ "name": like, "email": "a@example.org" })).await;
        let refused = owner.post("/api/v1/users", &json!({ "name": name, "email": "a@example.org" })).await;
        let text = format!("this user name looks like {like}, which is taken; choose another");
        assert_eq!(refused.error(409), text);
    }
    let bob = owner.with_key(made["key"].as_str().unwrap());
    let page = owner.get("/api/v1/users?offset=1&limit=1").await.ok();
    assert_eq!((&page["total_count"], page["data"].as_array().unwrap().len()), (&json!(5), 1));
    let named = bob.patch("/api/v1/user/slug", &json!({ "slug": "bob-the-2nd" })).await.ok();
    assert_eq!((&named["data"]["slug"], &named["data"]["id"]), (&json!("bob-the-2nd"), &made["id"]));
    let taken = ada.patch("/api/v1/user/slug", &json!({ "slug": "bob-the-2nd" })).await.error(409);
    assert_eq!(taken, "this slug is taken; choose another");
    for slug in [json!("ab"), json!("a".repeat(31)), json!("Ada"), json!("a_b"), json!(null), json!(7)] {
        assert_eq!(ada.patch("/api/v1/user/slug", &json!({ "slug": slug })).await.status, 422, "{slug}");
    }
    assert_eq!(ada.get("/api/v1/user/whoami").await.ok()["data"]["slug"], Value::Null);
}

//! The client against a scripted server: what it sends, when it tries again, how it fails.

use futures_util::TryStreamExt;
use podbay_api::client::{Client, DiskOfferFilter, Error, HistoryQuery, OfferFilter, Retry, SortOrder};
use podbay_api::paths;
use podbay_api::pods::CreatePod;
use podbay_api::ssh_keys::AddSshKey;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

/// One request as it came: first line, headers in lower case, body.
type Seen = Arc<Mutex<Vec<(String, Vec<String>, String)>>>;

/// A server that gives these answers, one per connection, and then goes away.
fn serve(answers: Vec<(u16, &'static str, String)>) -> (Client, Seen) {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/api/v1/", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for (status, header, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let first = lines.remove(0);
            let headers: Vec<String> = lines.iter().map(|line| line.to_ascii_lowercase()).collect();
            let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut sent = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut sent).unwrap();
            log.lock().unwrap().push((first, headers, String::from_utf8(sent).unwrap()));
            let mut answer =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            answer.push_str(header);
            answer.push_str("\r\n");
            answer.push_str(&body);
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    let second = Duration::from_secs(1);
    let retry = Retry { attempts_max: 3, wait_min: Duration::ZERO, wait_max: second, total_max: second };
    (Client::new(&base, Some(" pbk_x \n")).unwrap().with_retry(retry), seen)
}

fn ok(body: serde_json::Value) -> (u16, &'static str, String) {
    (200, "", body.to_string())
}

fn firsts(seen: &Seen) -> Vec<String> {
    seen.lock().unwrap().iter().map(|(first, ..)| first.trim_end_matches(" HTTP/1.1").to_owned()).collect()
}

fn page(total: u64, data: serde_json::Value) -> (u16, &'static str, String) {
    ok(json!({"total_count": total, "offset": 0, "limit": 1000, "data": data, "status": null}))
}

fn key(id: &str) -> serde_json::Value {
    json!({"id": id, "userId": "u", "name": "n", "publicKey": "p", "isPrimary": false, "isUserKey": true,
        "createdAt": "t", "updatedAt": "t"})
}

#[tokio::test]
async fn a_call_carries_the_key_and_names_the_program() {
    let (client, seen) = serve(vec![ok(json!({"data": [], "status": null}))]);
    assert!(client.api_keys().await.unwrap().is_empty());
    let (first, headers, _) = seen.lock().unwrap()[0].clone();
    assert_eq!(first, "GET /api/v1/api_keys HTTP/1.1");
    assert!(headers.contains(&"authorization: bearer pbk_x".to_owned()), "{headers:?}");
    assert!(headers.contains(&format!("user-agent: podbay/{}", env!("CARGO_PKG_VERSION"))), "{headers:?}");
}

#[tokio::test]
async fn ids_are_escaped_and_arrays_are_repeated() {
    let nothing = json!({"detail": "Not found"}).to_string();
    let (client, seen) = serve(vec![
        (404, "", nothing),
        ok(json!({"data": null, "status": null})),
        ok(json!({"items": [], "totalCount": 0})),
        page(0, json!([])),
        ok(json!({})),
    ]);
    assert_eq!(client.pod("a/b?c").await.unwrap_err().status(), Some(404));
    assert!(matches!(client.pod("..").await, Err(Error::Setup(_))));
    assert!(client.pod_statuses(&["a", "b&c"]).await.unwrap().is_empty());
    let filter = OfferFilter {
        regions: vec!["eu_west".into(), "canada".into()],
        gpu_count: Some(2),
        ..OfferFilter::default()
    };
    assert!(client.offers_all(&filter).await.unwrap().is_empty());
    client.pod_history(&HistoryQuery::default()).await.unwrap();
    client.offer_map(&OfferFilter::default(), 2, 500).await.unwrap();
    assert_eq!(
        firsts(&seen),
        [
            "GET /api/v1/pods/a%2Fb%3Fc",
            "GET /api/v1/pods/status?pod_ids=a&pod_ids=b%26c",
            "GET /api/v1/availability/gpus?gpu_count=2&regions=eu_west&regions=canada&page=1&page_size=100",
            "GET /api/v1/pods/history?sort_by=terminatedAt&sort_order=desc&offset=0&limit=100",
            "GET /api/v1/availability/?page=2&page_size=500",
        ]
    );
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let (client, seen) = serve(vec![page(3, json!([key("1"), key("2")])), page(3, json!([key("3")]))]);
    let ids: Vec<String> = client.ssh_keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert!(firsts(&seen)[1].contains("offset=2"));
    let (client, seen) = serve(vec![page(9, json!([key("1")])), page(9, json!([]))]);
    assert_eq!(
        client.ssh_keys().await.unwrap().len(),
        1,
        "a count that is too large ends with the first empty page"
    );
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_an_order_keeps_its_key() {
    let busy = || (503, "retry-after: 0\r\n", json!({"detail": "later"}).to_string());
    let (client, seen) = serve(vec![busy(), (429, "", String::new()), page(0, json!([]))]);
    assert_eq!(client.pods(0, 5).await.unwrap().total_count, 0);
    assert_eq!(firsts(&seen), vec!["GET /api/v1/pods?offset=0&limit=5"; 3]);

    let (client, seen) = serve(vec![busy(), busy(), busy()]);
    let error = client.pod_delete("p").await.unwrap_err();
    assert_eq!((error.status(), error.to_string()), (Some(503), "later (HTTP 503)".into()));
    assert_eq!(seen.lock().unwrap().len(), 3);

    let added = AddSshKey { name: "n".into(), public_key: "p".into() };
    let (client, seen) = serve(vec![busy(), ok(key("1")), ok(key("2")), ok(key("3"))]);
    for _ in 0..2 {
        client.ssh_key_add(&added).await.unwrap();
    }
    client.once("mine").ssh_key_add(&added).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let keys: Vec<&str> = seen
        .iter()
        .map(|(_, headers, body)| {
            assert_eq!(body, r#"{"name":"n","publicKey":"p"}"#);
            headers.iter().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap()
        })
        .collect();
    let is_hex = |key: &str| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hex(keys[0]) && is_hex(keys[2]), "{keys:?}");
    assert_eq!(keys[0], keys[1], "the repeated call has the same key");
    assert_ne!(keys[1], keys[2], "another call has another one");
    assert_eq!(keys[3], "mine");

    let (client, seen) = serve(vec![(429, "retry-after: 3600\r\n", String::new())]);
    assert_eq!(client.pods(0, 5).await.unwrap_err().to_string(), "Too Many Requests (HTTP 429)");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_fields_reach_the_caller() {
    let body = json!({"errors": [{"param": "body.pod.cloudId", "details": "field required"}]}).to_string();
    let (client, _) = serve(vec![(422, "", body)]);
    let order = json!({"pod": {"cloudId": "c", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1},
        "provider": {"type": "primecompute"}});
    let Err(Error::Status { status: 422, problem }) =
        client.pod_create(&CreatePod::parse(&order).unwrap()).await
    else {
        panic!()
    };
    assert_eq!(problem.fields[0].loc, ["body", "pod", "cloudId"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_and_one_that_is_another() {
    let (client, _) = serve(vec![
        (200, "", "<html>".into()),
        (200, "date: Thu, 20 Aug 2026 10:00:00 GMT\r\n", "ok\n".into()),
    ]);
    let error = client.pods(0, 1).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    let probe = client.probe(paths::HEALTHZ).await.unwrap();
    assert_eq!((probe.status, probe.text.as_str()), (200, "ok"));
    assert_eq!(probe.date.as_deref(), Some("Thu, 20 Aug 2026 10:00:00 GMT"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{closed}"), None).unwrap();
    let error = client.pods(0, 1).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(error.to_string().starts_with(&format!("cannot reach http://{closed}: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_wallet_is_asked_for_by_team_and_an_invitation_is_accepted_by_its_code() {
    let wallet = json!({"wallet_id": "w", "team_id": null, "balance_usd": 1.0, "currency": "USD", "total_billings": 0,
        "recent_billings": []});
    let team = json!({"teamId": "c1", "name": "n", "slug": null, "role": "MEMBER", "createdAt": "t"});
    let (client, seen) = serve(vec![
        ok(wallet.clone()),
        ok(wallet),
        ok(json!({"team": team, "userId": "u", "key": null})),
        page(1, json!([team])),
    ]);
    client.wallet(None, 0, 20).await.unwrap();
    client.wallet(Some("c1"), 5, 7).await.unwrap();
    client.invitation_accept("a/b", &podbay_api::teams::AcceptInvitation::default()).await.unwrap();
    assert_eq!(client.teams().await.unwrap()[0].team_id, "c1");
    assert_eq!(
        firsts(&seen),
        [
            "GET /api/v1/billing/wallet?offset=0&limit=20",
            "GET /api/v1/billing/wallet?offset=5&limit=7&teamId=c1",
            "POST /api/v1/invitations/a%2Fb/accept",
            "GET /api/v1/user/teams?offset=0&limit=1000",
        ]
    );
}

#[tokio::test]
async fn a_stream_asks_for_pages_as_they_are_needed() {
    let offers = |count: u64| ok(json!({"items": [], "totalCount": count}));
    let (client, seen) = serve(vec![
        page(3, json!([key("1"), key("2")])),
        page(0, json!([])),
        page(0, json!([])),
        offers(7),
        ok(json!({"openapi": "3.1.0"})),
    ]);
    let mut first = std::pin::pin!(client.pods_stream());
    // These rows are no pods: the second page is never asked for.
    assert!(matches!(first.try_next().await, Err(Error::Malformed { .. })));
    assert!(client.pods_all().await.unwrap().is_empty());
    let query = HistoryQuery { sort_order: SortOrder::Ascending, ..HistoryQuery::default() };
    let ended: Vec<_> = client.pod_history_stream(&query).try_collect().await.unwrap();
    assert!(ended.is_empty());
    assert!(client.offers_all(&OfferFilter::default()).await.unwrap().is_empty());
    assert_eq!(client.contract().await.unwrap()["openapi"], "3.1.0");
    assert_eq!(
        firsts(&seen),
        [
            "GET /api/v1/pods?offset=0&limit=1000",
            "GET /api/v1/pods?offset=0&limit=1000",
            "GET /api/v1/pods/history?sort_by=terminatedAt&sort_order=asc&offset=0&limit=1000",
            "GET /api/v1/availability/gpus?page=1&page_size=100",
            "GET /openapi.json",
        ]
    );
}

#[tokio::test]
async fn streams_go_on_where_a_page_ends() {
    let member = |id: &str| json!({"userId": id, "userName": null, "userEmail": null, "role": "MEMBER", "joinedAt": "t"});
    let (client, seen) = serve(vec![
        page(3, json!([key("1"), key("2")])),
        page(3, json!([key("3")])),
        page(2, json!([member("u1")])),
        page(2, json!([member("u2")])),
    ]);
    let keys: Vec<_> = client.ssh_keys_stream().map_ok(|key| key.id).try_collect().await.unwrap();
    assert_eq!(keys, ["1", "2", "3"]);
    let id = "c1".to_owned();
    let members: Vec<_> =
        client.team_members_stream(&id).map_ok(|member| member.user_id).try_collect().await.unwrap();
    assert_eq!(members, ["u1", "u2"]);
    assert_eq!(
        firsts(&seen),
        [
            "GET /api/v1/ssh_keys?offset=0&limit=1000",
            "GET /api/v1/ssh_keys?offset=2&limit=1000",
            "GET /api/v1/teams/c1/members?offset=0&limit=1000",
            "GET /api/v1/teams/c1/members?offset=1&limit=1000",
        ]
    );
}

#[tokio::test]
async fn streams_of_offers_bills_and_events_count_in_their_own_ways() {
    let offer = |place: &str| {
        json!({"cloudId": "disk", "provider": "primecompute", "dataCenter": place, "country": null, "region": null,
            "spec": {}, "stockStatus": "Available", "security": "secure_cloud", "isMultinode": true})
    };
    let line = |id: &str| {
        json!({"id": id, "created_at": "t", "updated_at": "t", "last_billed_at": null, "amount_usd": 1.0,
            "currency": "USD", "resource_type": "compute", "resource_id": null})
    };
    let wallet = |lines: serde_json::Value| {
        ok(
            json!({"wallet_id": "w", "team_id": null, "balance_usd": 1.0, "currency": "USD", "total_billings": 2,
            "recent_billings": lines}),
        )
    };
    let events = |seqs: &[i64]| {
        let event = |seq: &i64| json!({"seq": seq, "at": "t", "kind": "k", "text": "x"});
        ok(json!({"data": seqs.iter().map(event).collect::<Vec<_>>(), "status": null}))
    };
    let (client, seen) = serve(vec![
        ok(json!({"items": [offer("a")], "totalCount": 2})),
        ok(json!({"items": [offer("b")], "totalCount": 2})),
        wallet(json!([line("1")])),
        wallet(json!([line("2")])),
        events(&[5, 6]),
        events(&[9]),
        events(&[]),
        events(&[3]),
    ]);
    let near = DiskOfferFilter { regions: vec!["canada".into()], ..DiskOfferFilter::default() };
    let places: Vec<_> = client
        .disk_offers_stream(&near)
        .map_ok(|offer| offer.data_center.unwrap())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(places, ["a", "b"]);
    let lines: Vec<_> = client.bill_stream(Some("c1")).map_ok(|line| line.id).try_collect().await.unwrap();
    assert_eq!(lines, ["1", "2"]);
    let seqs: Vec<_> =
        client.pod_events_stream("p", 4).map_ok(|event| event.seq).try_collect().await.unwrap();
    assert_eq!(seqs, [5, 6, 9]);
    let stuck: Vec<_> =
        client.disk_events_stream("d", 3).map_ok(|event| event.seq).try_collect().await.unwrap();
    assert_eq!(stuck, [3], "a server that never goes on does not hold us");
    assert_eq!(
        firsts(&seen),
        [
            "GET /api/v1/availability/disks?regions=canada&page=1&page_size=100",
            "GET /api/v1/availability/disks?regions=canada&page=2&page_size=100",
            "GET /api/v1/billing/wallet?offset=0&limit=100&teamId=c1",
            "GET /api/v1/billing/wallet?offset=1&limit=100&teamId=c1",
            "GET /api/v1/pods/p/events?after=4&limit=1000",
            "GET /api/v1/pods/p/events?after=6&limit=1000",
            "GET /api/v1/pods/p/events?after=9&limit=1000",
            "GET /api/v1/disks/d/events?after=3&limit=1000",
        ]
    );
}

//! Bad input gets a clear error, exactly this one, and nothing is lost.

use axum::body::Body;
use axum::http::{Method, Request, header};
use podbay_testkit::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

/// The order with one field of `pod` replaced.
fn with(field: &str, value: Value) -> Value {
    let mut order = TestServer::order();
    order["pod"][field] = value;
    order
}

/// `param: details` of each error of a 422, which must say the same in all its three forms.
async fn refused(server: &TestServer, body: &Value) -> Vec<String> {
    let client = server.user("ada").await;
    let reply = client.post("/api/v1/pods", body).await;
    assert_eq!(reply.status, 422, "{}", reply.json);
    let errors: Vec<String> = reply.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{}: {}", error["param"].as_str().unwrap(), error["details"].as_str().unwrap()))
        .collect();
    let detail: Vec<String> = reply.json["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let loc: Vec<&str> =
                error["loc"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
            format!("{}: {}", loc.join("."), error["msg"].as_str().unwrap())
        })
        .collect();
    assert_eq!(errors, detail);
    assert_eq!(client.get("/api/v1/pods").await.ok()["total_count"], 0, "a refused order leaves nothing");
    errors
}

#[tokio::test]
async fn each_wrong_field_of_an_order_is_named() {
    let server = TestServer::new().await;
    let cases = [
        (with("gpuCount", json!(0)), "body.pod.gpuCount: must be at least 1"),
        (with("gpuCount", json!(1_000_000_000)), "body.pod.gpuCount: must be at most 1024"),
        (with("gpuCount", json!(1.5)), "body.pod.gpuCount: must be a whole number"),
        (with("gpuCount", json!(8)), "body.pod.gpuCount: the offer cpu-1x2 has gpuCount 1"),
        (with("diskSize", json!(-5)), "body.pod.diskSize: must be at least 1"),
        (with("memory", json!(-1)), "body.pod.memory: must be at least 1"),
        (with("memory", json!(64)), "body.pod.memory: the offer cpu-1x2 has 2 GB"),
        (with("name", json!("x".repeat(10_000))), "body.pod.name: must have at most 255 characters"),
        (with("name", json!("a\u{0}b")), "body.pod.name: must have no control characters"),
        (with("name", json!("a\u{1b}[31m")), "body.pod.name: must have no control characters"),
        (
            with("name", json!("pod\u{202e}txt.exe")),
            "body.pod.name: must have no invisible characters, and none that change the direction of text",
        ),
        (
            with("name", json!("po\u{200b}d")),
            "body.pod.name: must have no invisible characters, and none that change the direction of text",
        ),
        (with("memory", json!(18_446_744_073_709_551_615_u64)), "body.pod.memory: must be at most 1000000"),
        (with("surprise", json!(1)), "body.pod.surprise: extra fields not permitted"),
        (
            with("cloudId", json!("moon")),
            "body.pod.cloudId: no such offer; GET /api/v1/availability/gpus lists them",
        ),
        (with("gpuType", json!("H100_80GB")), "body.pod.gpuType: the offer cpu-1x2 has CPU_NODE"),
        (
            with("image", json!("flux")),
            "body.pod.image: this image is not offered here; offered are: ubuntu_22_cuda_12, ubuntu_26",
        ),
        (
            with("prepaidForHr", json!(24)),
            "body.pod.prepaidForHr: no offer here is paid in advance (prepaidTime is null); leave it out",
        ),
        (with("prepaidForHr", json!(0)), "body.pod.prepaidForHr: must be more than 0"),
        (with("sshKeyId", json!("nope")), "body.pod.sshKeyId: no such SSH key in this account"),
        (
            with("envVars", json!({ "1A": "x" })),
            "body.pod.envVars.1A: the name of a variable has letters, digits and underscores, and begins with no digit",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(refused(&server, &body).await, [expected]);
    }
    let mut order = TestServer::order();
    order["provider"] = json!({});
    assert_eq!(refused(&server, &order).await, ["body.provider.type: field required"]);
    let many = json!({ "pod": { "gpuCount": "x" }, "provider": 1 });
    assert!(refused(&server, &many).await.len() >= 5, "all mistakes are told at once");
}

#[tokio::test]
async fn what_clients_send_beside_the_specification_is_taken() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["unknown"] = json!({ "top": "level" });
    order["sharedWithTeam"] = json!(false);
    for (field, value) in [
        ("maxPrice", json!(0)),
        ("maxPrice", json!(null)),
        ("image", json!(null)),
        ("prepaidForHr", json!(null)),
        ("sshKeyId", json!(null)),
        ("socket", json!("SXM5")),
        ("diskSize", json!(256)),
        ("gpuCount", json!(1.0)),
        ("envVars", json!({ "A": "1" })),
        ("envVars", json!([{ "key": "A", "value": "1" }])),
    ] {
        let mut order = order.clone();
        order["pod"][field] = value.clone();
        let pod = ada.post("/api/v1/pods", &order).await.ok();
        assert_eq!(pod["resources"]["disk"], 10, "{field} = {value}: the disk is clamped to the offer's");
        server.clear().await;
    }
}

#[tokio::test]
async fn bodies_that_are_no_order_are_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    for (body, expected) in [
        ("", "body: no valid JSON: EOF while parsing a value at line 1 column 0"),
        ("{", "body: no valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "body: write a JSON object"),
        ("\"x\"", "body: write a JSON object"),
    ] {
        let reply = ada.send(Method::POST, "/api/v1/pods", body.as_bytes().to_vec()).await;
        assert_eq!(reply.error(422), expected);
    }
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    assert!(ada.send(Method::POST, "/api/v1/pods", deep).await.error(422).contains("recursion limit"));
    let deep = format!("{{\"pod\": {}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let reply = ada.send(Method::POST, "/api/v1/pods", deep.into_bytes()).await;
    assert!(reply.error(422).contains("recursion limit"));
    let large = format!("{{\"pod\": \"{}\"}}", "x".repeat(1024 * 1024));
    let reply = ada.send(Method::POST, "/api/v1/pods", large.into_bytes()).await;
    assert_eq!(reply.error(413), "the body is larger than 1048576 bytes");
}

#[tokio::test]
async fn page_parameters_are_checked_and_clamped() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    ada.post("/api/v1/pods", &TestServer::order()).await.ok();
    for path in ["/api/v1/pods", "/api/v1/pods/history", "/api/v1/disks", "/api/v1/ssh_keys"] {
        for bad in ["limit=-1", "limit=x", "offset=-3", "limit=1.5"] {
            let name = bad.split('=').next().unwrap();
            let text = ada.get(&format!("{path}?{bad}")).await.error(422);
            assert_eq!(text, format!("query.{name}: write a whole number, 0 or more"), "{path}?{bad}");
        }
        let page = ada.get(&format!("{path}?limit=1000000000")).await.ok();
        assert_eq!(page["limit"], 1000, "{path}");
        assert_eq!(ada.get(&format!("{path}?unknown=1")).await.ok()["offset"], 0);
    }
    let page = ada.get("/api/v1/pods?limit=0").await.ok();
    assert_eq!((&page["total_count"], page["data"].as_array().unwrap().len()), (&json!(1), 0));
    let page = ada.get("/api/v1/pods?offset=99999999999999").await.ok();
    assert_eq!(page["offset"], 99_999_999_999_999_u64);
    assert_eq!((&page["total_count"], page["data"].as_array().unwrap().len()), (&json!(1), 0));
}

#[tokio::test]
async fn more_ids_than_one_call_may_name_are_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let query = |count: usize| {
        let ids: Vec<String> = (0..count).map(|id| format!("pod_ids={id:032x}")).collect();
        format!("/api/v1/pods/status?{}", ids.join("&"))
    };
    let text = ada.get(&query(1500)).await.error(422);
    assert_eq!(text, "query.pod_ids: at most 1000 ids in one call; this has 1500");
    assert_eq!(ada.get(&query(1000)).await.ok()["data"], json!([]));
    assert_eq!(ada.get("/api/v1/pods/status?pod_ids=%00&pod_ids=../x").await.ok()["data"], json!([]));

    // Ten thousand do not fit into an address at all: the connection answers before any route.
    let request = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", query(10_000));
    let reply = over_a_connection(&server, request).await;
    assert!(reply.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{reply}");
    let too_long = "the address and the headers of a request may have 65536 bytes together, and 100 headers";
    assert_eq!(reply.split_once("\r\n\r\n").unwrap().1, json!({ "detail": too_long }).to_string());
}

/// What a connection gives for these bytes until its end.
async fn over_a_connection(server: &TestServer, request: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let serving =
        tokio::spawn(podbay_server::connections::serve(server.app.clone(), listener, std::future::pending()));
    // All of it is taken, so that the answer is not lost to a reset.
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    serving.abort();
    reply
}

#[tokio::test]
async fn what_is_no_request_is_answered_like_every_other_error() {
    let server = TestServer::new().await;
    let no_request = json!({ "detail": "this is no valid HTTP/1.1 request" });
    let too_long = "the address and the headers of a request may have 65536 bytes together, and 100 headers";
    let too_long = json!({ "detail": too_long });
    let many = (0..101).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    for (request, status, body) in [
        ("hello\r\n\r\n".to_owned(), "400 Bad Request", &no_request),
        ("GET /healthz HTTP/7.5\r\n\r\n".to_owned(), "400 Bad Request", &no_request),
        (format!("GET /healthz HTTP/1.1\r\n{many}\r\n"), "431 Request Header Fields Too Large", &too_long),
        (
            format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(3_000_000)),
            "431 Request Header Fields Too Large",
            &too_long,
        ),
    ] {
        let reply = over_a_connection(&server, request).await;
        let (head, said) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{reply}");
        assert!(head.contains("content-type: application/json"), "{reply}");
        assert!(head.contains(&format!("content-length: {}", said.len())), "{reply}");
        assert_eq!(said, body.to_string());
    }
}

#[tokio::test]
async fn an_ssh_key_that_is_no_key_is_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let add = async |key: &str| ada.post("/api/v1/ssh_keys", &json!({ "name": "k", "publicKey": key })).await;
    let no_key = "body.publicKey: no OpenSSH public key: one line such as `ssh-ed25519 AAAA… comment`";
    assert_eq!(add("hello").await.error(422), no_key);
    assert_eq!(add(&"x".repeat(9000)).await.error(422), "body.publicKey: must have at most 8192 bytes");
    let good = TestServer::ssh_public_key(1);
    assert_eq!(add(&format!("{good}\n{good}")).await.error(422), no_key);
    add(&good).await.ok();
    assert_eq!(add(&good).await.error(409), "this SSH key is registered already");
    assert_eq!(ada.get("/api/v1/ssh_keys").await.ok()["total_count"], 1);
}

#[tokio::test]
async fn wrong_methods_and_paths_have_json_errors() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    assert_eq!(ada.send(Method::PUT, "/api/v1/pods", Vec::new()).await.error(405), "Method Not Allowed");
    assert_eq!(ada.get("/api/v1/nothing").await.error(404), "Not found");
    assert_eq!(ada.get("/").await.error(404), "Not found");
    for id in [
        "%ff",
        "%00",
        "..",
        "%2e%2e",
        "%2e%2e%2fetc",
        "%2Fetc%2Fpasswd",
        "x%2f..%2fy",
        "a%20b",
        "%EF%BC%8F",
        "🦀",
    ] {
        let id = id.replace('🦀', "%F0%9F%A6%80");
        assert_eq!(ada.get(&format!("/api/v1/pods/{id}")).await.error(404), "Not found", "{id}");
        assert_eq!(ada.delete(&format!("/api/v1/ssh_keys/{id}")).await.error(404), "Not found", "{id}");
    }
}

#[tokio::test]
async fn a_key_that_is_given_twice_is_refused_wherever_it_is() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    for (body, expected) in [
        (r#"{"pod": {}, "pod": {}}"#, "body: no valid JSON: the key \"pod\" is given twice at line 1"),
        (
            r#"{"pod": {"cloudId": "a", "cloudId": "b"}}"#,
            "body: no valid JSON: the key \"cloudId\" is given twice at line 1",
        ),
        (
            r#"{"pod": {"envVars": [{"key": "A", "\u006bey": "B"}]}}"#,
            "body: no valid JSON: the key \"key\" is given twice at line 1",
        ),
    ] {
        let reply = ada.send(Method::POST, "/api/v1/pods", body.as_bytes().to_vec()).await;
        assert_eq!(reply.error(422).split(" column").next(), Some(expected));
    }
}

#[tokio::test]
async fn numbers_that_no_machine_has_are_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let order = TestServer::order().to_string();
    for (number, expected) in [
        ("99999999999999999999999999", "body.pod.gpuCount: must be at most 1024"),
        ("1e300", "body.pod.gpuCount: must be at most 1024"),
        ("-99999999999999999999999999", "body.pod.gpuCount: must be at least 1"),
        ("1e400", "body: no valid JSON: number out of range at line 1 column 51"),
    ] {
        let body = order.replace("\"gpuCount\":1", &format!("\"gpuCount\":{number}"));
        let text = ada.send(Method::POST, "/api/v1/pods", body.into_bytes()).await.error(422);
        let shown = text.split(" at line").next();
        assert_eq!(shown, expected.split(" at line").next(), "{number}");
    }
    let text = ada.get("/api/v1/pods?offset=99999999999999999999999999").await.error(422);
    assert_eq!(text, "query.offset: write a whole number, 0 or more");
    for offset in [i64::MAX as u64, u64::MAX] {
        let page = ada.get(&format!("/api/v1/pods?offset={offset}")).await.ok();
        assert_eq!(page["data"], json!([]), "{offset}");
    }
}

#[tokio::test]
async fn a_body_that_is_called_something_else_is_refused() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let body = TestServer::order().to_string().into_bytes();
    let send = async |media_type: &str| {
        ada.with_header("content-type", media_type).send(Method::POST, "/api/v1/pods", body.clone()).await
    };
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    {
        let text = send(media_type).await.error(422);
        assert_eq!(text, "body: send JSON, with the header Content-Type: application/json", "{media_type}");
    }
    for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
    {
        send(media_type).await.ok();
    }
    // A body that does not say what it is counts as JSON.
    let request =
        Request::post("/api/v1/pods").header(header::AUTHORIZATION, format!("Bearer {}", ada.key()));
    let request = request.body(Body::from(body.clone())).unwrap();
    let router = podbay_server::http::router(server.app.clone());
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn query_parameters_with_a_published_range_or_list_are_held_to_it() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    for (query, expected) in [
        ("page_size=101", "query.page_size: write a whole number from 1 to 100"),
        ("page_size=", "query.page_size: write a whole number from 1 to 100"),
        ("page=0", "query.page: write a whole number, 1 or more"),
        ("gpu_count=", "query.gpu_count: write a whole number, 1 or more"),
        ("security=", "query.security: unknown value; known are: secure_cloud, community_cloud"),
    ] {
        assert_eq!(ada.get(&format!("/api/v1/availability/gpus?{query}")).await.error(422), expected);
    }
    assert!(
        ada.get("/api/v1/availability?regions=canada&regions=moon")
            .await
            .error(422)
            .contains("query.regions")
    );
    ada.get("/api/v1/availability?page_size=500&regions=canada&cloud_id=&color=red").await.ok();
}

/// Names of the query parameters of an operation.
fn parameters(operation: &Value) -> Vec<&str> {
    let list = operation["parameters"].as_array().unwrap().iter();
    list.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn parameters_that_a_route_does_not_know_are_ignored() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let document = podbay_server::http::contract().json;
    let operations = document["paths"].as_object().unwrap().values().filter(|item| item["get"].is_object());
    let mut known: Vec<&str> = operations.flat_map(|item| parameters(&item["get"])).collect();
    known.sort_unstable();
    known.dedup();
    for (nth, route) in podbay_server::http::routes().into_iter().enumerate() {
        if route.method != Method::GET {
            continue;
        }
        let own = parameters(&document["paths"][route.path]["get"]);
        let foreign = known.iter().filter(|name| !own.contains(*name));
        let query: Vec<String> =
            foreign.copied().chain(["color", "%00", "a[b]"]).map(|name| format!("{name}=-1%00x")).collect();
        let path = crate::matrix::own(&server, &owner, route.path, nth).await;
        let plain = owner.get(&path).await;
        let with = owner.get(&format!("{path}?{}&&=&color", query.join("&"))).await;
        assert_eq!(with.status, plain.status, "{path}");
        // These two count how often there was an audit.
        if !["/api/v1/audit", "/metrics"].contains(&route.path) {
            assert_eq!(with.text, plain.text, "{path}");
        }
        server.clear().await;
    }
}

#[tokio::test]
async fn names_that_nobody_can_tell_from_others_are_refused() {
    let server = TestServer::new().await;
    let owner = server.owner().await;
    let disk = owner.post("/api/v1/disks", &TestServer::disk_order(1)).await.ok();
    let renamed = format!("/api/v1/disks/{}", disk["id"].as_str().unwrap());
    let key = TestServer::ssh_public_key(1);
    let requests = |name: &str| {
        let mut disk = TestServer::disk_order(1);
        disk["disk"]["name"] = json!(name);
        [
            (Method::POST, "/api/v1/pods", with("name", json!(name)), "body.pod.name"),
            (Method::POST, "/api/v1/disks", disk, "body.disk.name"),
            (Method::PATCH, &renamed, json!({ "name": name }), "body.name"),
            (Method::POST, "/api/v1/users", json!({ "name": name, "email": "a@example.org" }), "body.name"),
            (Method::POST, "/api/v1/teams", json!({ "name": name }), "body.name"),
            (Method::POST, "/api/v1/ssh_keys", json!({ "name": name, "publicKey": key }), "body.name"),
            (
                Method::POST,
                "/api/v1/templates",
                json!({ "name": name, "image": "localhost/web" }),
                "body.name",
            ),
            (Method::POST, "/api/v1/api_keys", json!({ "name": name, "scopes": {} }), "body.name"),
        ]
    };
    let unseen = "must have no invisible characters, and none that change the direction of text";
    let mixed = "must not mix letters of alphabets that look alike, such as Latin and Cyrillic, in one word";
    for (name, text) in [
        ("p\u{430}ypal", mixed),
        ("my \u{3b1}dmin", mixed),
        ("\u{410}dmin-2", mixed),
        ("a\u{34f}da", unseen),
        ("ada\u{2800}", unseen),
        ("ada\u{fe0f}", unseen),
        ("ada\u{e0100}", unseen),
        ("a\u{17b4}da", unseen),
        ("ada\u{e0041}", unseen),
    ] {
        for (method, path, body, field) in requests(name) {
            let reply = owner.send(method, path, body.to_string().into_bytes()).await;
            assert_eq!(reply.error(422), format!("{field}: {text}"), "{path}: {name:?}");
        }
    }
    for name in ["Паша", "A-команда", "学習 Pod", "Ωμέγα 3 café ✓"] {
        for (method, path, body, _) in requests(name) {
            let reply = owner.send(method, path, body.to_string().into_bytes()).await;
            assert!(matches!(reply.status.as_u16(), 200 | 409), "{path}: {name}: {}", reply.json);
        }
    }
    server.clear().await;
}

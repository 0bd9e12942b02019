//! Templates, credentials of registries, questions about images, notebooks.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use podbay_provider::fake::Image;
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

const TEMPLATES: &str = "/api/v1/templates";
const CREDENTIALS: &str = "/api/v1/template/registry-credentials";
const CHECK: &str = "/api/v1/template/check-docker-image";

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

/// An order of a pod of that template.
fn order(template: &str) -> Value {
    let mut order = TestServer::order();
    order["pod"]["image"] = json!("custom_template");
    order["pod"]["customTemplateId"] = json!(template);
    order
}

async fn pod(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/v1/pods/{id}")).await.ok()
}

/// The agent's configuration in the machine of a pod's first attempt.
fn config(server: &TestServer, pod: &str, file: &str) -> Option<Value> {
    let bytes = server.world.file(&format!("podbay-{pod}-1"), file)?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_template_is_made_changed_listed_and_deleted() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let full = json!({
        "name": "web", "image": "docker.io/library/nginx:1.29", "command": ["nginx", "-g", "daemon off;"],
        "envVars": { "A": "1" },
        "ports": [{ "number": 80, "usedBy": "WEB_SERVER", "description": "the page" }, { "number": 53, "protocol": "UDP" }],
    });
    let made = ada.post(TEMPLATES, &full).await.ok();
    let made_id = id(&made);
    assert!(made_id.len() == 25 && made_id.starts_with('c'), "{made_id}");
    let owner = ada.get("/api/v1/user/whoami").await.ok()["data"]["id"].clone();
    let time = made["createdAt"].clone();
    assert_eq!(
        made,
        json!({
            "id": made_id, "userId": owner, "teamId": null, "name": "web",
            "image": "docker.io/library/nginx:1.29", "command": ["nginx", "-g", "daemon off;"],
            "envVars": [{ "key": "A", "value": "1" }],
            "ports": [
                { "number": 80, "protocol": "TCP", "usedBy": "WEB_SERVER", "description": "the page" },
                { "number": 53, "protocol": "UDP", "usedBy": null, "description": null },
            ],
            "registryCredentialsId": null, "createdAt": time, "updatedAt": time,
        })
    );
    let path = format!("{TEMPLATES}/{made_id}");
    assert_eq!(ada.get(&path).await.ok(), made);
    let listed = ada.get(TEMPLATES).await.ok();
    assert_eq!((&listed["total_count"], &listed["data"][0]), (&json!(1), &made));

    server.clock.advance(Duration::from_secs(1));
    let changed = ada.patch(&path, &json!({ "command": null, "ports": [] })).await.ok();
    assert_eq!(
        (&changed["name"], &changed["command"], &changed["ports"]),
        (&json!("web"), &Value::Null, &json!([]))
    );
    assert_eq!(changed["envVars"], made["envVars"], "what is not named stays");
    assert_ne!(changed["updatedAt"], made["updatedAt"]);
    assert_eq!(ada.patch(&path, &json!({})).await.ok()["name"], "web");

    assert_eq!(ada.delete(&path).await.ok(), json!({}));
    assert_eq!(ada.delete(&path).await.error(404), "Not found");
    assert_eq!(ada.patch(&path, &json!({ "name": "x" })).await.error(404), "Not found");
    assert_eq!(ada.get(TEMPLATES).await.ok()["total_count"], 0);
}

#[tokio::test]
async fn a_template_that_makes_no_sense_is_refused_with_the_reason() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "name": "t", "image": "ubuntu" });
        body[field] = value;
        body
    };
    let cases = [
        (json!({}), "body.name: field required"),
        (
            with("image", json!("Ubuntu")),
            "body.image: \"Ubuntu\" is no image reference: a name has lower-case letters, \
          digits, and single separators between them",
        ),
        (
            with("image", json!("169.254.169.254/x")),
            "body.image: 169.254.169.254 is not asked: its address \
          169.254.169.254 is not on the public internet; the server's owner can allow it with `registry_allow`",
        ),
        (with("command", json!("sleep 1")), "body.command: must be a list"),
        (with("command", json!(["a\u{0}b"])), "body.command.0: must not contain the zero character"),
        (
            with("ports", json!([{ "number": 22 }])),
            "body.ports.0: 22 is the port of SSH, and is always published",
        ),
        (with("ports", json!([{ "number": 0 }])), "body.ports.0: must be at least 1"),
        (with("ports", json!([{ "number": 70_000 }])), "body.ports.0: must be at most 65535"),
        (with("ports", json!([{ "protocol": "TCP" }])), "body.ports.0: needs a number"),
        (with("ports", json!([{ "number": 1, "x": 1 }])), "body.ports.0: has the unknown field x"),
        (with("ports", json!([{ "number": 1 }, { "number": 1 }])), "body.ports.1: is given twice"),
        (with("ports", json!(vec![json!({ "number": 1 }); 17])), "body.ports: at most 16 are allowed"),
        (
            with("envVars", json!({ "1A": "x" })),
            "body.envVars.1A: the name of a variable has letters, digits and \
          underscores, and begins with no digit",
        ),
        (with("surprise", json!(1)), "body.surprise: extra fields not permitted"),
        (
            with("registryCredentialsId", json!("c1")),
            "body.registryCredentialsId: no such registry credentials in \
          this account",
        ),
    ];
    for (body, expected) in cases {
        let text = ada.post(TEMPLATES, &body).await.error(422);
        assert!(text.starts_with(expected), "{text}\n{expected}");
    }
    assert_eq!(ada.get(TEMPLATES).await.ok()["total_count"], 0);
}

#[tokio::test]
async fn credentials_are_kept_sealed_and_never_shown() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let body = json!({ "name": "lab", "server": "https://index.docker.io/v1/", "username": "ada", "password": "s3cret" });
    let made = ada.post(CREDENTIALS, &body).await.ok();
    let time = made["createdAt"].clone();
    let owner = ada.get("/api/v1/user/whoami").await.ok()["data"]["id"].clone();
    let shown = json!({
        "id": made["id"], "name": "lab", "server": "docker.io", "createdAt": time, "updatedAt": time,
        "userId": owner, "teamId": null,
    });
    assert_eq!(made, shown);
    assert_eq!(ada.get(CREDENTIALS).await.ok(), json!({ "credentials": [shown] }));
    assert_eq!(eve.get(CREDENTIALS).await.ok(), json!({ "credentials": [] }));
    let mut wrong = body.clone();
    wrong["password"] = json!("a\nb");
    let text = ada.post(CREDENTIALS, &wrong).await.error(422);
    assert_eq!(text, "body.password: must have no control characters, no line feed either");

    let files = std::fs::read_dir(server.folder()).unwrap();
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(6).any(|window| window == b"s3cret");
        assert!(!found, "the password is in {}", file.display());
    }
    let fitting = json!({ "name": "t", "image": "ada/private", "registryCredentialsId": made["id"] });
    let elsewhere = json!({ "name": "t", "image": "ghcr.io/x/y", "registryCredentialsId": made["id"] });
    let text = ada.post(TEMPLATES, &elsewhere).await.error(422);
    assert_eq!(text, "body.registryCredentialsId: these are for docker.io, and the image is at ghcr.io");
    let text = eve.post(TEMPLATES, &fitting).await.error(422);
    assert_eq!(text, "body.registryCredentialsId: no such registry credentials in this account");
    let template = ada.post(TEMPLATES, &fitting).await.ok();
    let text = ada.patch(&format!("{TEMPLATES}/{}", id(&template)), &json!({ "image": "ghcr.io/x/y" })).await;
    assert_eq!(
        text.error(422),
        "body.registryCredentialsId: these are for docker.io, and the image is at ghcr.io"
    );
    let path = format!("{CREDENTIALS}/{}", id(&made));
    assert_eq!(eve.delete(&path).await.error(404), "Not found");
    assert_eq!(ada.delete(&path).await.ok(), json!({}));
    let text = ada.post("/api/v1/pods", &order(&id(&template))).await.error(422);
    let expected = "the template's registry credentials were deleted; change the template first";
    assert_eq!(text, format!("body.pod.customTemplateId: {expected}"));
}

#[tokio::test]
async fn a_pod_has_what_its_template_had_when_it_was_ordered() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let template = ada
        .post(
            TEMPLATES,
            &json!({
                "name": "web", "image": "localhost/web", "command": ["serve", "--all"],
                "envVars": { "A": "template", "B": "template" },
                "ports": [
                    { "number": 7000, "usedBy": "WEB_SERVER", "description": "the page" },
                    { "number": 8080, "description": "exposed, too" },
                ],
            }),
        )
        .await
        .ok();
    let mut order = order(&id(&template));
    order["pod"]["envVars"] = json!({ "B": "order", "C": "order" });
    let made = ada.post("/api/v1/pods", &order).await.ok();
    assert_eq!(
        (&made["environmentType"], &made["customTemplateId"]),
        (&json!("custom_template"), &template["id"])
    );
    let pod_id = id(&made);
    let path = format!("{TEMPLATES}/{}", id(&template));
    ada.patch(&path, &json!({ "image": "localhost/podbay/base:latest", "command": ["other"] })).await.ok();
    ada.delete(&path).await.ok();
    server.settle().await;

    let shown = pod(&ada, &pod_id).await;
    assert_eq!((&shown["status"], &shown["customTemplateId"]), (&json!("ACTIVE"), &template["id"]));
    let ports: Vec<Value> = shown["primePortMapping"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| json!([port["internal"], port["protocol"], port["usedBy"], port["description"]]))
        .collect();
    assert_eq!(
        ports,
        [
            json!(["22", "TCP", "SSH", ""]),
            json!(["7000", "TCP", "WEB_SERVER", "the page"]),
            json!(["8080", "TCP", null, "exposed, too"]),
            json!(["9090", "UDP", null, ""]),
        ]
    );
    assert_eq!(config(&server, &pod_id, "config.json").unwrap()["command"], json!(["serve", "--all"]));
    let machine = server.world.machine(&format!("podbay-{pod_id}-1")).unwrap();
    assert_eq!(machine.spec.image_reference, "localhost/web");
    let env: Vec<&(String, String)> = machine.spec.env.iter().filter(|(name, _)| name.len() == 1).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(env, [&pair("A", "template"), &pair("B", "order"), &pair("C", "order")]);
}

#[tokio::test]
async fn an_order_names_a_template_of_ones_own_or_is_refused() {
    let server = TestServer::new().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let template = id(&ada.post(TEMPLATES, &json!({ "name": "t", "image": "localhost/web" })).await.ok());
    let refused = async |client: &Client, order: &Value| client.post("/api/v1/pods", order).await.error(422);
    let unknown = "body.pod.customTemplateId: no such template in this account";
    assert_eq!(refused(&eve, &order(&template)).await, unknown);
    assert_eq!(refused(&ada, &order("nope")).await, unknown);
    let mut without = order("");
    let text = "body.pod.customTemplateId: field required with the image custom_template; \
                GET /api/v1/templates lists yours";
    assert_eq!(refused(&ada, &without).await, text);
    without["pod"]["customTemplateId"] = Value::Null;
    assert_eq!(refused(&ada, &without).await, text);
    let mut both = order(&template);
    both["pod"]["image"] = json!("ubuntu_22_cuda_12");
    let text = "body.pod.customTemplateId: goes with the image custom_template, or with none";
    assert_eq!(refused(&ada, &both).await, text);
    both["pod"]["image"] = Value::Null;
    assert_eq!(ada.post("/api/v1/pods", &both).await.ok()["environmentType"], "custom_template");
}

#[tokio::test]
async fn a_private_image_is_fetched_with_the_templates_credentials_only() {
    let server = TestServer::with(|config| {
        // The owner's own, which are for the images that the owner offers.
        config.registries = vec![
            serde_json::from_value(
                json!({ "server": "registry.lab", "username": "ada", "password": "s3cret" }),
            )
            .unwrap(),
        ];
    })
    .await;
    server.world.image("registry.lab/app", Image::default().private("ada", "s3cret"));
    let ada = server.user("ada").await;
    let end = async |template: &Value| {
        let made = ada.post("/api/v1/pods", &order(&id(template))).await.ok();
        server.settle().await;
        let shown = pod(&ada, &id(&made)).await;
        (shown["status"].clone(), shown["installationFailure"].clone())
    };
    let bare = ada.post(TEMPLATES, &json!({ "name": "bare", "image": "registry.lab/app" })).await.ok();
    let (status, failure) = end(&bare).await;
    assert_eq!(status, "ERROR");
    assert_eq!(failure, "the registry does not give registry.lab/app to these credentials");

    let body = json!({ "name": "lab", "server": "registry.lab", "username": "ada", "password": "s3cret" });
    let credentials = ada.post(CREDENTIALS, &body).await.ok();
    let path = format!("{TEMPLATES}/{}", id(&bare));
    let named = ada.patch(&path, &json!({ "registryCredentialsId": credentials["id"] })).await.ok();
    // Ordered, and the credentials deleted before the fetch.
    let made = ada.post("/api/v1/pods", &order(&id(&named))).await.ok();
    ada.delete(&format!("{CREDENTIALS}/{}", id(&credentials))).await.ok();
    server.settle().await;
    let shown = pod(&ada, &id(&made)).await;
    let text = "the registry credentials of the pod's template were deleted";
    assert_eq!((&shown["status"], &shown["installationFailure"]), (&json!("ERROR"), &json!(text)));

    let credentials = ada.post(CREDENTIALS, &body).await.ok();
    let named = ada.patch(&path, &json!({ "registryCredentialsId": credentials["id"] })).await.ok();
    assert_eq!(end(&named).await, (json!("ACTIVE"), Value::Null));
}

/// A registry that has `ada/app` for everybody and `ada/secret` for `ada`, both for two platforms.
async fn registry() -> u16 {
    async fn manifest(
        headers: HeaderMap,
        path: axum::extract::Path<String>,
    ) -> (StatusCode, HeaderMap, String) {
        // "ada:s3cret"
        let known = headers.get("authorization").is_some_and(|value| value == "Basic YWRhOnMzY3JldA==");
        let mut answer = HeaderMap::new();
        let status = match path.0.as_str() {
            "ada/app/manifests/latest" => StatusCode::OK,
            "ada/secret/manifests/latest" if known => StatusCode::OK,
            "ada/secret/manifests/latest" => {
                answer.insert("www-authenticate", "Basic realm=\"lab\"".parse().unwrap());
                StatusCode::UNAUTHORIZED
            }
            _ => StatusCode::NOT_FOUND,
        };
        answer.insert("docker-content-digest", "sha256:abcd".parse().unwrap());
        let platform =
            |architecture: &str| json!({ "platform": { "os": "linux", "architecture": architecture } });
        (status, answer, json!({ "manifests": [platform("amd64"), platform("arm64")] }).to_string())
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/v2/{*path}", axum::routing::get(manifest));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

#[tokio::test]
async fn a_registry_is_asked_for_an_image() {
    let port = registry().await;
    let server =
        TestServer::with(|config| config.registry_allow = vec![format!("http://127.0.0.1:{port}")]).await;
    let ada = server.user("ada").await;
    let at = format!("127.0.0.1:{port}");
    let body = json!({ "name": "lab", "server": at, "username": "ada", "password": "s3cret" });
    let credentials = id(&ada.post(CREDENTIALS, &body).await.ok());
    let check = async |image: &str, credentials: Option<&str>| {
        ada.post(CHECK, &json!({ "image": image, "registry_credentials_id": credentials })).await
    };
    let found = |image: &str| {
        json!({
            "valid": true, "image": format!("{at}/{image}:latest"), "detail": null, "digest": "sha256:abcd",
            "platforms": ["linux/amd64", "linux/arm64"],
        })
    };
    assert_eq!(check(&format!("{at}/ada/app"), None).await.ok(), found("ada/app"));
    assert_eq!(check(&format!("{at}/ada/secret"), Some(&credentials)).await.ok(), found("ada/secret"));
    let missing = |image: &str, detail: &str| {
        json!({
            "valid": false, "image": image, "detail": detail, "digest": null, "platforms": [],
        })
    };
    assert_eq!(
        check(&format!("{at}/ada/secret"), None).await.ok(),
        missing(
            &format!("{at}/ada/secret:latest"),
            "the registry does not give this image to callers without \
                 credentials: it does not exist, or wants other credentials"
        ),
    );
    let text = "the registry has no such image or tag";
    assert_eq!(
        check(&format!("{at}/ada/none"), None).await.ok(),
        missing(&format!("{at}/ada/none:latest"), text)
    );
    assert_eq!(
        check("127.0.0.1:1/x", None).await.ok()["detail"],
        "https://127.0.0.1:1 is not asked: the owner allows this host on another port or scheme",
    );
    assert_eq!(
        check("10.0.0.1/x", None).await.ok()["detail"],
        "10.0.0.1 is not asked: its address 10.0.0.1 is not on the public internet; the server's owner can allow it \
         with `registry_allow`",
    );
    let local = check("localhost/web", None).await.ok();
    assert_eq!((&local["valid"], &local["platforms"]), (&json!(true), &json!([])));
    let none = check("localhost/none", None).await.ok();
    assert_eq!(
        (&none["valid"], &none["detail"]),
        (&json!(false), &json!("there is no image localhost/none"))
    );

    server.world.facts(|facts| facts.architecture = "s390x".into());
    podbay_server::lifecycle::facts_refresh(&server.app).await.unwrap();
    let foreign = check(&format!("{at}/ada/app"), None).await.ok();
    let text = "the image is for linux/amd64, linux/arm64, and pods here are linux/s390x";
    assert_eq!((&foreign["valid"], &foreign["detail"]), (&json!(false), &json!(text)));

    for (body, expected) in [
        (json!({}), "body.image: field required"),
        (json!({ "image": "" }), "body.image: must not be empty"),
        (
            json!({ "image": "a b" }),
            "body.image: \"a b\" is no image reference: a name has lower-case letters, digits, \
          and single separators between them",
        ),
        (
            json!({ "image": "x", "registry_credentials_id": "c" }),
            "body.registry_credentials_id: no such registry \
          credentials in this account",
        ),
        (
            json!({ "image": "x", "registry_credentials_id": credentials }),
            &format!("body.registry_credentials_id: these are for {at}, and the image is at docker.io"),
        ),
    ] {
        assert_eq!(ada.post(CHECK, &body).await.error(422), expected);
    }
}

#[tokio::test]
async fn a_notebook_is_started_where_the_image_has_one() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["pod"]["jupyterPassword"] = json!("open sesame");
    let made = ada.post("/api/v1/pods", &order).await.ok();
    let pod_id = id(&made);
    server.settle().await;
    let shown = pod(&ada, &pod_id).await;
    assert!(!shown.to_string().contains("sesame"));
    let port = &shown["primePortMapping"][1];
    assert_eq!((&port["internal"], &port["usedBy"]), (&json!("8888"), &json!("JUPYTER_NOTEBOOK")));
    let service = &config(&server, &pod_id, "config.json").unwrap()["service"];
    assert_eq!((&service["name"], &service["command"][0]), (&json!("Jupyter"), &json!("jupyter-lab")));
    assert!(!service.to_string().contains("argon2"), "no hash on a command line");
    let hash =
        config(&server, &pod_id, "jupyter_server_config.json").unwrap()["ServerApp"]["password"].clone();
    assert!(hash.as_str().unwrap().starts_with("argon2:$argon2id$v=19$"), "{hash}");
    let row = server.row(&pod_id).await;
    assert_eq!(json!(row.spec.jupyter), hash);
    assert!(!format!("{row:?}").contains("sesame"));

    let plain = id(&ada.post("/api/v1/pods", &TestServer::order()).await.ok());
    server.settle().await;
    assert_eq!(config(&server, &plain, "config.json").unwrap()["service"], Value::Null);
    assert_eq!(config(&server, &plain, "jupyter_server_config.json"), None);

    // What the agent ends with where there is no Jupyter.
    server.world.image("localhost/podbay/base:latest", Image::default().exiting(117));
    let made = id(&ada.post("/api/v1/pods", &order).await.ok());
    server.advance(Duration::from_secs(5)).await;
    let shown = pod(&ada, &made).await;
    let text = "the image has no Jupyter (no program `jupyter-lab` in its PATH): choose an image with JupyterLab in \
                it, or order without jupyterPassword";
    assert_eq!((&shown["status"], &shown["installationFailure"]), (&json!("ERROR"), &json!(text)));
    assert_eq!(server.world.machines_of(&podbay_core::PodId::parse(&made).unwrap()).len(), 0);
}

#[tokio::test]
async fn a_restart_is_seen_in_the_events_and_billed_by_what_ran() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let mut order = TestServer::order();
    order["pod"]["autoRestart"] = json!(true);
    let made = id(&ada.post("/api/v1/pods", &order).await.ok());
    server.settle().await;
    server.advance(Duration::from_secs(1800)).await;
    server.world.machine_end(&format!("podbay-{made}-1"), 1, false);
    // Nobody notices for half an hour, which costs nothing.
    server.clock.advance(Duration::from_secs(1800));
    server.sweep().await;
    server.advance(Duration::from_secs(1800)).await;
    assert_eq!(pod(&ada, &made).await["status"], "ACTIVE");
    let events = ada.get(&format!("/api/v1/pods/{made}/events")).await.ok();
    let last = events["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["kind"], "machine.restarted");
    assert_eq!(last["text"], "the machine had ended and runs again; restart 1 of 5");
    ada.delete(&format!("/api/v1/pods/{made}")).await.ok();
    server.settle().await;
    let history = ada.get("/api/v1/pods/history").await.ok();
    assert_eq!(
        history["data"][0]["totalBilledPrice"],
        json!(0.026),
        "one hour of running, not one and a half"
    );
}

//! A program logs in: it asks, a person approves, and only the program can read the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podbay_core::limits::{LOGIN_LIFE, LOGINS_WAITING_MAX};
use podbay_testkit::{Client, TestServer};
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Oaep, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

/// Of no use anywhere: made for this test.
const PRIVATE_KEY: &str = include_str!("fixtures/login-key.pem");
const PUBLIC_KEY: &str = include_str!("fixtures/login-key.pub.pem");
const GENERATE: &str = "/api/v1/auth_challenge/generate";
const APPROVE: &str = "/api/v1/auth_challenge/approve";
const REFUSE: &str = "/api/v1/auth_challenge/refuse";
const NOBODY_WAITS: &str =
    "body.challenge: no login waits with this code; codes are valid for 10 minutes, begin a new one";

struct Begun {
    code: String,
    path: String,
    program: Client,
}

impl Begun {
    async fn status(&self) -> Value {
        self.program.get(&self.path).await.ok()
    }

    async fn is_gone(&self) -> bool {
        let reply = self.program.get(&self.path).await;
        reply.status == 404 && reply.json == json!({ "detail": "Not found" })
    }
}

async fn begin(server: &TestServer) -> Begun {
    let program = server.anonymous();
    let begun = program.post(GENERATE, &json!({ "encryptionPublicKey": PUBLIC_KEY })).await.ok();
    let code = begun["challenge"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/auth_challenge/status?challenge={code}");
    let program = program.with_key(begun["status_auth_token"].as_str().unwrap());
    Begun { code, path, program }
}

fn opened(result: &Value) -> String {
    let sealed = STANDARD.decode(result.as_str().unwrap()).unwrap();
    let key = RsaPrivateKey::from_pkcs8_pem(PRIVATE_KEY).unwrap();
    String::from_utf8(key.decrypt(Oaep::<Sha256>::new(), &sealed).unwrap()).unwrap()
}

#[tokio::test]
async fn an_approved_program_gets_a_key_that_only_it_can_read() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let begun = begin(&server).await;
    assert_eq!(begun.status().await, json!({ "result": null }));

    let typed = begun.code.to_lowercase().replace('-', "");
    let record = ada.post(APPROVE, &json!({ "challenge": typed })).await.ok();
    assert_eq!(record["name"], format!("prime login {}", begun.code));
    assert!(record.get("key").is_none());
    let status = begun.status().await;
    assert_eq!(begun.status().await, status, "an answer that was lost can be fetched again");

    let key = opened(&status["result"]);
    let program = server.anonymous().with_key(&key);
    let whoami = program.get("/api/v1/user/whoami").await.ok();
    assert_eq!(whoami["data"]["name"], "ada");
    program.get("/api/v1/api_keys").await.ok();
    assert_eq!(key.split('_').nth(1).unwrap(), record["id"].as_str().unwrap());

    let files = std::fs::read_dir(server.folder()).unwrap();
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let is_there = bytes.windows(key.len()).any(|window| window == key.as_bytes());
        assert!(!is_there, "the key is in {}", path.display());
    }
    server.clock.advance(LOGIN_LIFE);
    assert!(begun.is_gone().await);
    program.get("/api/v1/user/whoami").await.ok();
}

#[tokio::test]
async fn the_one_who_approves_says_what_the_key_may_do() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let begun = begin(&server).await;
    let expires = server.clock.now().plus(Duration::from_secs(3600)).to_string();
    let scopes = json!({ "instances": "read" });
    let approval = json!({ "challenge": begun.code, "scopes": scopes, "expiresAt": expires });
    let record = ada.post(APPROVE, &approval).await.ok();
    assert_eq!((&record["scopes"]["instances"], &record["expiresAt"]), (&json!("read"), &json!(expires)));

    let program = server.anonymous().with_key(&opened(&begun.status().await["result"]));
    program.get("/api/v1/pods").await.ok();
    assert_eq!(program.post("/api/v1/pods", &TestServer::order()).await.status, 403);
    let other = begin(&server).await;
    assert_eq!(program.post(APPROVE, &json!({ "challenge": other.code })).await.status, 403);
    server.clock.advance(Duration::from_secs(3601));
    assert_eq!(program.get("/api/v1/pods").await.status, 401);
}

#[tokio::test]
async fn a_login_is_approved_once_and_refused_for_good() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let begun = begin(&server).await;
    let body = json!({ "challenge": begun.code });
    ada.post(APPROVE, &body).await.ok();
    assert_eq!(ada.post(APPROVE, &body).await.error(409), "this login has been approved already");
    assert_eq!(ada.post(REFUSE, &body).await.error(422), NOBODY_WAITS);
    let keys = ada.get("/api/v1/api_keys").await.ok()["data"].as_array().unwrap().len();
    assert_eq!(keys, 2, "the first one and that of the login");

    let begun = begin(&server).await;
    let body = json!({ "challenge": begun.code });
    assert_eq!(ada.post(REFUSE, &body).await.ok(), json!({}));
    assert!(begun.is_gone().await);
    assert_eq!(ada.post(APPROVE, &body).await.error(422), NOBODY_WAITS);
    assert_eq!(ada.post(REFUSE, &body).await.error(422), NOBODY_WAITS);
}

#[tokio::test]
async fn codes_expire_and_belong_to_their_token() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let (one, two) = (begin(&server).await, begin(&server).await);
    assert_ne!(one.code, two.code);
    for (program, path) in [
        (&two.program, one.path.as_str()),
        (&ada, &one.path),
        (&server.anonymous(), &one.path),
        (&one.program, "/api/v1/auth_challenge/status"),
        (&one.program, "/api/v1/auth_challenge/status?challenge=0000-0000-0000"),
        (&one.program, "/api/v1/auth_challenge/status?challenge=%00"),
    ] {
        assert_eq!(program.get(path).await.error(404), "Not found");
    }
    server.clock.advance(LOGIN_LIFE - Duration::from_millis(1));
    assert_eq!(one.status().await, json!({ "result": null }));
    server.clock.advance(Duration::from_millis(1));
    assert!(one.is_gone().await);
    assert_eq!(ada.post(APPROVE, &json!({ "challenge": one.code })).await.error(422), NOBODY_WAITS);
    assert_eq!(
        ada.get("/api/v1/api_keys").await.ok()["data"].as_array().unwrap().len(),
        1,
        "no key was left"
    );
}

#[tokio::test]
async fn a_flood_forgets_the_oldest_that_wait_and_none_that_is_approved() {
    let server = TestServer::new().await;
    let ada = server.user("ada").await;
    let approved = begin(&server).await;
    ada.post(APPROVE, &json!({ "challenge": approved.code })).await.ok();
    let oldest = begin(&server).await;
    server.clock.advance(Duration::from_millis(1));
    let next = begin(&server).await;
    server.clock.advance(Duration::from_millis(1));
    for _ in 2..LOGINS_WAITING_MAX {
        begin(&server).await;
    }
    assert_eq!(oldest.status().await, json!({ "result": null }), "so many may wait");
    begin(&server).await;
    assert!(oldest.is_gone().await);
    assert_eq!(next.status().await, json!({ "result": null }));
    assert!(approved.status().await["result"].is_string());
}

#[tokio::test]
async fn what_is_no_usable_key_or_no_code_is_refused() {
    let server = TestServer::new().await;
    let nobody = server.anonymous();
    let no_key =
        "body.encryptionPublicKey: write an RSA public key of 2048 to 8192 bits in PEM (`BEGIN PUBLIC KEY`)";
    let short = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDrjv+OXU984xCY7qmgaqs6HfUb
JlALS2+Gq9g1Cm/xkaEfvSSZxQ5ovMaMhLihhrrHE6ND/DYH1+NLoZF8eByYbZFb
ny6+Kz/GBHby+FtIl2+TyDhJLEO/sQDDUyRGiJux2s6LWrhT3BfunTKm0Gd2wsMo
1qd8dK0RWFzq8yFD/QIDAQAB
-----END PUBLIC KEY-----
";
    let elliptic = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvS3mz1I1Xly5qogEKTuf2ibZ9x2M
HZKJlbS1BIuqp8v0xgG/cO3uAHmMe5fbYKYzxxfe3nd+umzIv6R97mYVvw==
-----END PUBLIC KEY-----
";
    let cases = [
        (json!({}), "body.encryptionPublicKey: field required"),
        (json!({ "encryptionPublicKey": 7 }), "body.encryptionPublicKey: must be a string"),
        (
            json!({ "encryptionPublicKey": "x".repeat(5000) }),
            "body.encryptionPublicKey: must have at most 4096 bytes",
        ),
        (json!({ "encryptionPublicKey": "x" }), no_key),
        (json!({ "encryptionPublicKey": short }), no_key),
        (json!({ "encryptionPublicKey": elliptic }), no_key),
        (json!({ "encryptionPublicKey": PRIVATE_KEY }), no_key),
        (json!({ "encryptionPublicKey": PUBLIC_KEY, "limits": 1 }), "body.limits: must be an object"),
    ];
    for (body, expected) in cases {
        assert_eq!(nobody.post(GENERATE, &body).await.error(422), expected);
    }
    let limits = json!({ "encryptionPublicKey": PUBLIC_KEY, "limits": { "maxConcurrentSandboxes": 1 } });
    nobody.post(GENERATE, &limits).await.ok();

    let ada = server.user("ada").await;
    let no_code = "body.challenge: no code of a login; one looks like 7K2M-Q9TD-40XB";
    for (body, expected) in [
        (json!({}), "body.challenge: field required"),
        (json!({ "challenge": "x" }), no_code),
        (json!({ "challenge": "0000-0000-0000" }), NOBODY_WAITS),
        (json!({ "challenge": "0000-0000-0000", "name": "n" }), "body.name: extra fields not permitted"),
    ] {
        assert_eq!(ada.post(APPROVE, &body).await.error(422), expected);
    }
    let begun = begin(&server).await;
    for (extra, expected) in [
        (json!({ "scopes": { "instances": "all" } }), "body.scopes.instances: must be none, read or write"),
        (json!({ "expiresAt": "1999-01-01T00:00:00Z" }), "body.expiresAt: this time has passed"),
    ] {
        let mut body = extra;
        body["challenge"] = json!(begun.code);
        assert_eq!(ada.post(APPROVE, &body).await.error(422), expected);
    }
    assert_eq!(begun.status().await, json!({ "result": null }), "it still waits");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = TestServer::new().await;
    let reply = server.anonymous().get("/dashboard/tokens/challenge?code=0000-0000-0000").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "text/html; charset=utf-8");
    let policy = reply.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for attribute in ["src=", "href=", " onclick", " onsubmit", " style=", "http:", "https:", "{S"] {
        assert!(!reply.text.contains(attribute), "{attribute}");
    }
    for scope in podbay_core::permission::Scope::ALL {
        assert!(reply.text.contains(&format!("data-scope=\"{}\"", scope.name())), "{}", scope.name());
    }
    for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
        let text = reply.text.split(&format!("<{tag}>")).nth(1).unwrap();
        let text = text.split(&format!("</{tag}>")).next().unwrap();
        let digest = STANDARD.encode(<Sha256 as sha2::Digest>::digest(text.as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{digest}'")), "{tag}: {policy}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_no_defect() {
    let mut server = TestServer::new().await;
    let begun = begin(&server).await;
    server.restart_with(|settings| settings.read_only = true).await;
    let nobody = server.anonymous();
    let calls = [
        (GENERATE, json!({ "encryptionPublicKey": PUBLIC_KEY })),
        ("/api/v1/invitations/x/accept", json!({ "name": "eve", "email": "eve@example.org" })),
    ];
    let reply = nobody.once("k").post(GENERATE, &calls[0].1).await;
    assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (503, &"1".parse().unwrap()));
    let program = nobody.with_key(begun.program.key());
    assert_eq!(program.get(&begun.path).await.ok(), json!({ "result": null }), "what only reads goes on");
    server.app.store.close().await;
    for (path, body) in &calls {
        assert_eq!(nobody.post(path, body).await.status, 503, "{path}");
    }
    assert_eq!(program.get(&begun.path).await.status, 503);
}

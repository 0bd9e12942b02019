//! Questions to registries, asked of two of our own: one that wants a name and a password, one that
//! gives tokens.

use crate::registry::{self, PASSWORD, USER};
use podbay_provider::Credentials;
use podbay_provider::reference::Reference;
use podbay_provider::registry::{Found, Guard, Miss, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn asker(port: u16) -> Registry {
    Registry::new(Guard::new([format!("http://127.0.0.1:{port}").as_str()]).unwrap())
}

async fn look(asker: &Registry, reference: &str, password: Option<&str>) -> Result<Found, Miss> {
    let credentials =
        password.map(|password| Credentials { username: USER.into(), password: password.into() });
    asker.look(&Reference::parse(reference).unwrap(), credentials.as_ref()).await
}

/// Answers each request with what `answer` makes of its first line and its `Authorization`.
async fn serve(answer: impl Fn(u16, &str, &str) -> String + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let named = head.lines().find_map(|line| line.strip_prefix("authorization: "));
            let reply = answer(port, head.lines().next().unwrap_or_default(), named.unwrap_or_default());
            // A client that has gone is no concern of ours.
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    port
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

const INDEX: &str = r#"{"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}},
    {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    {"platform": {"os": "unknown", "architecture": "unknown"}}]}"#;

#[tokio::test]
async fn a_registry_with_names_and_passwords_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let port = registry::serve(folder.path()).await;
    let asker = asker(port);
    let name = |repository: &str| format!("127.0.0.1:{port}/{repository}");
    let here = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    let open = look(&asker, &name("open/app"), None).await.unwrap();
    assert_eq!(open.platforms, [here], "the platform of a single image is in its configuration");
    let foreign = look(&asker, &name("foreign/app"), None).await.unwrap();
    assert_eq!(foreign.platforms, ["linux/s390x"]);
    assert_eq!(look(&asker, &name("open/app:none"), None).await, Err(Miss::Missing));
    assert!(look(&asker, &name("closed/app"), Some(PASSWORD)).await.is_ok());
    assert!(matches!(look(&asker, &name("closed/app"), None).await, Err(Miss::Denied(_))));
    assert!(matches!(look(&asker, &name("closed/app"), Some("wrong")).await, Err(Miss::Denied(_))));
    let broken = look(&asker, &name("broken/app"), None).await;
    assert_eq!(broken, Err(Miss::Trouble("answered HTTP 503".into())));
}

#[tokio::test]
async fn a_registry_that_gives_tokens_is_asked() {
    // "someone:p?~>>?ss~~?w>rd"
    const LOGIN: &str = "Basic c29tZW9uZTpwP34+Pj9zc35+P3c+cmQ=";
    let port = serve(|port, line, authorization| {
        if line.starts_with("GET /token?") {
            let asked = line.contains("service=lab") && line.contains("scope=repository%3Aa%2Fb%3Apull");
            let login = authorization == LOGIN;
            return match (asked, login || authorization.is_empty()) {
                (true, true) => {
                    reply("200 OK", "", &format!("{{\"token\": \"t-{}\"}}", if login { "in" } else { "out" }))
                }
                _ => reply("401 Unauthorized", "", "{}"),
            };
        }
        match authorization {
            "Bearer t-in" => reply("200 OK", "Docker-Content-Digest: sha256:ab\r\n", INDEX),
            "Bearer t-out" => reply("401 Unauthorized", "", "{}"),
            _ => reply(
                "401 Unauthorized",
                &format!(
                    "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"lab\"\r\n"
                ),
                "{}",
            ),
        }
    })
    .await;
    let answer = look(&asker(port), &format!("127.0.0.1:{port}/a/b"), Some(PASSWORD)).await;
    let found = Found {
        digest: Some("sha256:ab".into()),
        platforms: vec!["linux/amd64".into(), "linux/arm64/v8".into()],
    };
    assert_eq!(answer, Ok(found));
    let refused = look(&asker(port), &format!("127.0.0.1:{port}/a/b"), None).await;
    assert!(matches!(refused, Err(Miss::Denied("callers without credentials"))), "{refused:?}");
    assert!(matches!(
        look(&asker(port), &format!("127.0.0.1:{port}/a/b"), Some("wrong")).await,
        Err(Miss::Denied(_))
    ));
}

#[tokio::test]
async fn a_registry_cannot_send_the_question_elsewhere() {
    let inner = serve(|_, _, _| reply("200 OK", "", INDEX)).await;
    let redirecting = serve(move |_, _, _| {
        reply("307 Temporary Redirect", &format!("Location: http://127.0.0.1:{inner}/v2/a/b\r\n"), "")
    })
    .await;
    let answer = look(&asker(redirecting), &format!("127.0.0.1:{redirecting}/a/b"), None).await;
    let Err(Miss::Forbidden(text)) = answer else { panic!("{answer:?}") };
    assert!(text.contains(&format!("127.0.0.1:{inner} is not asked")), "{text}");

    for realm in ["http://127.0.0.1:1/token", "https://169.254.169.254/latest", "https://localhost/token"] {
        let port = serve(move |_, _, _| {
            reply("401 Unauthorized", &format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n"), "")
        })
        .await;
        let answer = look(&asker(port), &format!("127.0.0.1:{port}/a/b"), Some(PASSWORD)).await;
        assert!(matches!(answer, Err(Miss::Forbidden(_))), "{realm}: {answer:?}");
    }
    for reference in [format!("127.0.0.1:{inner}/a"), "localhost:5000/a".into(), "10.0.0.1/a".into()] {
        let answer = look(&Registry::new(Guard::default()), &reference, None).await;
        assert!(matches!(answer, Err(Miss::Forbidden(_))), "{reference}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_no_registry_is_told_and_not_repeated() {
    let port = serve(|_, _, _| reply("200 OK", "Content-Type: text/html\r\n", "<html>secret</html>")).await;
    let answer = look(&asker(port), &format!("127.0.0.1:{port}/a/b"), None).await;
    let text = "answered something else than a registry does (text/html)";
    assert_eq!(answer, Err(Miss::Trouble(text.into())));
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(4 << 20));
    let port = serve(move |_, _, _| reply("200 OK", "", &large)).await;
    let answer = look(&asker(port), &format!("127.0.0.1:{port}/a/b"), None).await;
    assert_eq!(answer, Err(Miss::Trouble("answered more than 4194304 bytes".into())));
    let answer = look(&asker(1), "127.0.0.1:1/a/b", None).await;
    assert!(
        matches!(&answer, Err(Miss::Trouble(text)) if text.starts_with("cannot be reached")),
        "{answer:?}"
    );
}

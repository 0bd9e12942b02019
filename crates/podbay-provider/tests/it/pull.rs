//! Fetching images, from a registry of our own.

use crate::engine::Site;
use crate::registry::{self, PASSWORD, USER};
use podbay_core::pod::{CallError, FailureCode, ImageFact};
use podbay_provider::engine::Engine;
use podbay_provider::{Answer, Credentials, ImageRequest, Provider, PullProgress};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// A Podman that fetches without TLS from this machine, as Docker does by itself.
struct Podman {
    service: Child,
    folder: PathBuf,
}

impl Podman {
    /// In a folder of its own: it has to outlive the site that uses it.
    fn start(port: u16) -> Self {
        let folder = Site::folder("pull-podman");
        let config = folder.join("registries.conf");
        fs::write(&config, format!("[[registry]]\nlocation = \"127.0.0.1:{port}\"\ninsecure = true\n"))
            .unwrap();
        let service = Command::new("podman")
            .args(["system", "service", "--time", "0", &format!("unix://{}/pull.sock", folder.display())])
            .env("CONTAINERS_REGISTRIES_CONF", config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { service, folder }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what was fetched, whatever the test came to.
struct Images {
    url: String,
    port: u16,
}

impl Drop for Images {
    fn drop(&mut self) {
        for repository in ["open/app", "closed/app"] {
            let path = format!("/v1.41/images/127.0.0.1:{}/{repository}:latest?force=true", self.port);
            let asked = UnixStream::connect(self.url.trim_start_matches("unix://")).and_then(|mut stream| {
                stream.write_all(format!("DELETE {path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes())?;
                stream.read_to_end(&mut Vec::new())
            });
            println!("{path}: {asked:?}");
        }
    }
}

async fn fetch(
    engine: &Engine,
    reference: &str,
    password: Option<&str>,
) -> (Answer<ImageFact>, Vec<PullProgress>) {
    let credentials =
        password.map(|password| Credentials { username: USER.into(), password: password.into() });
    let seen = Mutex::new(Vec::new());
    let request = ImageRequest { reference: reference.to_owned(), digest: None, credentials };
    let answer = engine.image_ensure(&request, &|progress| seen.lock().unwrap().push(progress)).await;
    (answer, seen.into_inner().unwrap())
}

async fn refusal(engine: &Engine, reference: &str, password: Option<&str>) -> (FailureCode, bool) {
    match fetch(engine, reference, password).await.0 {
        Err(CallError::Refused { code, permanent, text }) => {
            println!("{reference}: {text}");
            (code, permanent)
        }
        other => panic!("{reference}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_fetched() {
    if Site::left_out() {
        return;
    }
    let folder = Site::folder("pull");
    let port = registry::serve(&folder).await;
    let given = std::env::var_os("PODBAY_TEST_ENGINE_URL").map(|url| url.to_string_lossy().into_owned());
    let podman = given.is_none().then(|| Podman::start(port));
    let own = podman.as_ref().map(|podman| format!("unix://{}/pull.sock", podman.folder.display()));
    let url = given.or(own).unwrap();
    let images = Images { url: url.clone(), port };
    let site = Site::at(folder, Some(url)).await;
    site.run(move |engine| async move {
        let name = |repository: &str| format!("127.0.0.1:{port}/{repository}");
        // Registries that ask for a log-in are the rule; a public one gives a token to everybody.
        let (answer, progress) = fetch(&engine, &name("open/app"), Some(PASSWORD)).await;
        let fact = answer.expect("fetched");
        assert_eq!((fact.command.as_slice(), fact.exposed.len()), (["run".to_owned()].as_slice(), 1));
        assert!(fact.digest.contains("open/app@sha256:"), "{fact:?}");
        assert!(progress.len() > 1 && progress.last().unwrap().bytes > 3_000_000, "{progress:?}");
        assert!(
            progress.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes && pair[0].total <= pair[1].total)
        );
        let (again, progress) = fetch(&engine, &name("open/app"), None).await;
        assert_eq!((again.expect("it is there now"), progress.len()), (fact.clone(), 0));
        // What a tag was resolved to before is what is meant, whatever the tag names now.
        let pinned = |digest: &str| ImageRequest {
            reference: name("closed/app"),
            digest: Some(digest.to_owned()),
            credentials: Some(Credentials { username: USER.into(), password: PASSWORD.into() }),
        };
        let other = name(&format!("closed/app@sha256:{}", "0".repeat(64)));
        let missing = engine.image_ensure(&pinned(&other), &|_| ()).await;
        assert!(
            matches!(
                missing,
                Err(CallError::Refused { code: FailureCode::ImageNotFound, permanent: true, .. })
            ),
            "{missing:?}"
        );
        let replaced = engine.image_ensure(&pinned(&format!("sha256:{}", "0".repeat(64))), &|_| ()).await;
        assert!(format!("{replaced:?}").contains("was replaced"), "{replaced:?}");
        let mut same = pinned(&fact.digest);
        same.reference = name("open/app:none");
        assert_eq!(engine.image_ensure(&same, &|_| ()).await, Ok(fact));

        assert_eq!(refusal(&engine, &name("closed/app"), None).await, (FailureCode::ImageDenied, true));
        assert_eq!(
            refusal(&engine, &name("closed/app"), Some("wrong")).await,
            (FailureCode::ImageDenied, true)
        );
        fetch(&engine, &name("closed/app"), Some(PASSWORD)).await.0.expect("fetched with credentials");
        assert_eq!(
            refusal(&engine, &name("open/app:none"), Some(PASSWORD)).await,
            (FailureCode::ImageNotFound, true)
        );
        assert_eq!(
            refusal(&engine, &name("none/app"), Some(PASSWORD)).await,
            (FailureCode::ImageNotFound, true)
        );
        assert_eq!(
            refusal(&engine, &name("foreign/app"), Some(PASSWORD)).await,
            (FailureCode::ImagePlatform, true)
        );
        assert_eq!(
            refusal(&engine, &name("broken/app"), Some(PASSWORD)).await,
            (FailureCode::ImagePull, false)
        );
        assert_eq!(refusal(&engine, "127.0.0.1:1/x", None).await, (FailureCode::ImagePull, false));
    })
    .await;
    drop((images, podman));
}

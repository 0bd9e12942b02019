//! Starts the real program in a folder of its own, and kills it.

use podbay_api::client::Client;
use podbay_store::{Settings, Store, Tx};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whether tests against a real engine were asked for; says so if not.
pub fn engine_wanted() -> bool {
    let wanted = std::env::var_os("PODBAY_TEST_ENGINE").is_some();
    if !wanted {
        eprintln!("left out: needs an engine; set PODBAY_TEST_ENGINE=1");
    }
    wanted
}

/// What the engine's own program says. The variable names it; any other value means Podman.
fn engine(arguments: &[&str]) -> String {
    let docker = std::env::var_os("PODBAY_TEST_ENGINE").is_some_and(|name| name == "docker");
    let program = if docker { "docker" } else { "podman" };
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How the engine lists containers.
const CONTAINERS: [&str; 4] = ["ps", "--all", "--quiet", "--no-trunc"];

/// A server process and its folder.
pub struct Real {
    folder: TempDir,
    child: Option<Child>,
    url: String,
    said: Option<JoinHandle<String>>,
}

impl Real {
    /// A server with an empty folder.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A server with an empty folder and more configuration.
    pub fn start_with(config: &str) -> Self {
        // Fails only if another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[engine]\nvcpus = 64\nmemory_gb = 256\ndisk_gb = 1000\n{config}");
        std::fs::write(folder.path().join("podbay.toml"), config).unwrap();
        let mut real = Self { folder, child: None, url: String::new(), said: None };
        real.up();
        real
    }

    /// Starts the program again on the same folder.
    pub fn up(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_podbay"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.path().join("podbay.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        self.url = loop {
            let start = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "the server ended at its start:\n{said}");
            if let Some((_, url)) = said[start..].split_once("is listening on ") {
                break url.trim().to_owned();
            }
        };
        // Perhaps nobody wants the rest, but the pipe must not fill.
        self.said = Some(std::thread::spawn(move || {
            log.read_to_string(&mut said).unwrap();
            said
        }));
        self.child = Some(child);
    }

    /// Ends it as an owner would; all that it has said on stderr.
    pub fn stop(&mut self) -> String {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "the end is a clean one");
        self.said.take().unwrap().join().unwrap()
    }

    /// kill -9; all that it has said on stderr.
    pub fn kill(&mut self) -> String {
        let Some(mut child) = self.child.take() else { return String::new() };
        child.kill().unwrap();
        child.wait().unwrap();
        self.said.take().unwrap().join().unwrap()
    }

    /// kill -9 of the engine's service that the server runs, if it runs one; whether it does.
    pub fn kill_service(&self) -> bool {
        let server = self.child.as_ref().unwrap().id();
        let children = std::fs::read_dir(format!("/proc/{server}/task")).unwrap().flatten();
        let children = children.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<String> = children
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        for child in &children {
            assert!(Command::new("kill").args(["-9", child]).status().unwrap().success());
        }
        !children.is_empty()
    }

    /// The folder that the server keeps everything in.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The owner's client.
    pub fn client(&self) -> Client {
        let key = std::fs::read_to_string(self.data().join("admin.key")).unwrap();
        Client::new(&self.url, Some(key.trim())).unwrap()
    }

    /// The database, beside the running server.
    pub async fn rows(&self) -> Tx {
        let url = self.data().join("podbay.db").display().to_string();
        Store::open(&Settings::at(url)).await.unwrap().reader().await.unwrap()
    }

    /// Containers of this installation, by the engine's own program.
    pub async fn containers(&self) -> Vec<Value> {
        self.ours(&CONTAINERS, &["inspect"]).await
    }

    /// Their ids alone: while the server works, one may be gone before it can be looked at.
    pub async fn container_ids(&self) -> Vec<String> {
        self.listed(&CONTAINERS).await
    }

    /// Volumes of this installation, by the engine's own program.
    pub async fn volumes(&self) -> Vec<Value> {
        self.ours(&["volume", "ls", "--quiet"], &["volume", "inspect"]).await
    }

    async fn ours(&self, list: &[&str], inspect: &[&str]) -> Vec<Value> {
        let ids = self.listed(list).await;
        if ids.is_empty() {
            return Vec::new();
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        serde_json::from_str(&engine(&[inspect, &ids[..]].concat())).unwrap()
    }

    async fn listed(&self, list: &[&str]) -> Vec<String> {
        let fresh = podbay_core::InstallId::from_bits(0);
        let url = self.data().join("podbay.db").display().to_string();
        let store = Store::open(&Settings::at(url)).await.unwrap();
        let install = store
            .write(move |tx| {
                Box::pin(async move { tx.install_id(&fresh, podbay_core::Timestamp::EPOCH).await })
            })
            .await
            .unwrap();
        let filter = format!("label=podbay.install={install}");
        engine(&[list, &["--filter", &filter]].concat()).split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// Asks again and again, a little slower each time, until the answer is there. Fails after `most`.
pub async fn until<T>(what: &str, most: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < most, "not within {most:?}: {what}");
        // A pause between two looks.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

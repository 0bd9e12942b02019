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

/// The URL of an empty schema of that name on a PostgreSQL, if there is one; says so if not.
pub fn postgres(name: &str) -> Option<String> {
    let Some(server) = std::env::var_os("PODBAY_TEST_POSTGRES") else {
        eprintln!("left out: needs PostgreSQL; set PODBAY_TEST_POSTGRES");
        return None;
    };
    let (server, schema) = (server.into_string().unwrap(), format!("{name}{}", std::process::id()));
    let command = format!("CREATE SCHEMA {schema}");
    let made = Command::new("psql").args([&server, "--quiet", "--command", &command]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let separator = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{separator}options=-c%20search_path%3D{schema}"))
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

/// What is tested.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_podbay");

/// A server process.
struct Server {
    child: Child,
    url: String,
    said: JoinHandle<String>,
}

/// The folder of an installation and its servers: one, or several if the database is PostgreSQL.
pub struct Real {
    folder: TempDir,
    binary: PathBuf,
    servers: Vec<Option<Server>>,
    database: Option<String>,
}

impl Real {
    /// A server with an empty folder.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A server with an empty folder and more configuration.
    pub fn start_with(config: &str) -> Self {
        Self::of(Path::new(PROGRAM), 1, None, config)
    }

    /// Another program than this one, with an empty folder.
    pub fn start_on(binary: &Path) -> Self {
        Self::of(binary, 1, None, "")
    }

    /// From the next start on it is that program.
    pub fn runs(&mut self, program: impl Into<PathBuf>) {
        self.binary = program.into();
    }

    /// So many servers on one empty folder, and on that PostgreSQL.
    pub fn start_all(count: usize, database: Option<String>, config: &str) -> Self {
        Self::of(Path::new(PROGRAM), count, database, config)
    }

    fn of(binary: &Path, count: usize, database: Option<String>, config: &str) -> Self {
        // Fails only if another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let servers = (0..count).map(|_| None).collect();
        let (folder, binary) = (tempfile::tempdir().unwrap(), binary.to_owned());
        let mut real = Self { folder, binary, servers, database };
        real.configure(config);
        (0..count).for_each(|nth| real.up_nth(nth));
        real
    }

    fn configure(&self, more: &str) {
        let named = self.database.iter().map(|url| format!("database = \"{url}\"\n")).collect::<String>();
        let config = format!("{named}[engine]\nvcpus = 64\nmemory_gb = 256\ndisk_gb = 1000\n{more}");
        std::fs::write(self.folder.path().join("podbay.toml"), config).unwrap();
    }

    /// Starts the program again on the same folder, and on another database.
    pub fn move_to(&mut self, database: String) {
        self.database = Some(database);
        self.configure("");
        self.up();
    }

    /// Starts one more server.
    pub fn add(&mut self) {
        self.servers.push(None);
        self.up_nth(self.servers.len() - 1);
    }

    /// Another command of the program, on the folder of the servers.
    pub fn tool(&self, words: &[&str]) -> std::process::Output {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--data-dir").arg(self.data());
        command.arg("--config").arg(self.folder.path().join("podbay.toml")).output().unwrap()
    }

    /// Starts the program again on the same folder.
    pub fn up(&mut self) {
        self.up_nth(0);
    }

    /// Starts one of the servers again.
    pub fn up_nth(&mut self, nth: usize) {
        let mut child = self.program(&self.data()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let start = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "the server ended at its start:\n{said}");
            if let Some((_, url)) = said[start..].split_once("is listening on ") {
                break url.trim().to_owned();
            }
        };
        // Perhaps nobody wants the rest, but the pipe must not fill.
        let said = std::thread::spawn(move || {
            log.read_to_string(&mut said).unwrap();
            said
        });
        self.servers[nth] = Some(Server { child, url, said });
    }

    /// The program, about to serve from that folder.
    pub fn program(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
        command.arg("--config").arg(self.folder.path().join("podbay.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Ends it as an owner would; all that it has said on stderr.
    pub fn stop(&mut self) -> String {
        self.stop_nth(0)
    }

    /// Ends one of the servers as an owner would; all that it has said on stderr.
    pub fn stop_nth(&mut self, nth: usize) -> String {
        self.signal(nth, "-TERM");
        let mut server = self.servers[nth].take().unwrap();
        assert!(server.child.wait().unwrap().success(), "the end is a clean one");
        server.said.join().unwrap()
    }

    /// kill -9; all that it has said on stderr.
    pub fn kill(&mut self) -> String {
        self.kill_nth(0)
    }

    /// kill -9 of one of the servers; all that it has said on stderr.
    pub fn kill_nth(&mut self, nth: usize) -> String {
        let Some(mut server) = self.servers[nth].take() else { return String::new() };
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        server.said.join().unwrap()
    }

    /// Sends one of the servers a signal, as in `-STOP`.
    pub fn signal(&self, nth: usize, signal: &str) {
        let id = self.servers[nth].as_ref().unwrap().child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// kill -9 of the engine's service that the server runs, if it runs one; whether it does.
    pub fn kill_service(&self) -> bool {
        let server = self.servers[0].as_ref().unwrap().child.id();
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
        self.client_of(0)
    }

    /// The owner's client, at one of the servers.
    pub fn client_of(&self, nth: usize) -> Client {
        let key = std::fs::read_to_string(self.data().join("admin.key")).unwrap();
        Client::new(&self.servers[nth].as_ref().unwrap().url, Some(key.trim())).unwrap()
    }

    /// The database, beside the running server.
    pub async fn store(&self) -> Store {
        let file = self.data().join("podbay.db").display().to_string();
        Store::open(&Settings::at(self.database.clone().unwrap_or(file))).await.unwrap()
    }

    /// What is in it.
    pub async fn rows(&self) -> Tx {
        self.store().await.reader().await.unwrap()
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
        let store = self.store().await;
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
        for server in self.servers.iter_mut().flatten() {
            // One that stands still hears of its end when it goes on.
            let _ = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status();
            let _ = Command::new("kill").args(["-CONT", &server.child.id().to_string()]).status();
            let _ = server.child.wait();
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

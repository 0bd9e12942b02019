//! `cargo xtask demo`: from nothing to a pod one is logged in to, every step printed as one would type it.

use crate::engine::Engine;
use crate::http::{self, Reply, plain, rows, text};
use crate::server::{self, Server};
use crate::sh::{self, Context, Failure, Result};
use crate::ssh::{Address, Key};
use crate::{image, paths, setup, table};
use serde_json::{Value, json};
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

struct Demo {
    engine: Engine,
    server: Server,
    key: Key,
    times: Vec<(String, Duration)>,
    begin: Instant,
    /// Whether something had to be installed or built before.
    is_first: bool,
}

/// What a run takes at most that finds everything in place.
const SECOND_RUN_MAX: Duration = Duration::from_secs(60);

pub fn main(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return Err(Failure::with_code("usage: cargo xtask demo", 2));
    }
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut is_first = false;
    let mut timed = |name: &str, step: &mut dyn FnMut() -> Result<bool>| -> Result<()> {
        let begin = Instant::now();
        is_first |= step()?;
        times.push((name.to_owned(), begin.elapsed()));
        Ok(())
    };
    timed("programs", &mut || setup::programs(setup::What::Demo))?;
    let binary = server::binary("release");
    timed("cargo build --release", &mut || {
        let built = || binary.metadata().and_then(|meta| meta.modified()).ok();
        let before = built();
        sh::say("cargo build --release -p podbay");
        sh::run(sh::cargo().current_dir(paths::root()).args(["build", "--release", "-p", "podbay"]))?;
        Ok(built() != before)
    })?;
    let engine = Engine::find()?;
    timed("base image", &mut || image::ensure_base(&engine))?;

    let server = Server::start(&engine, "demo", &binary)?;
    times.push(("server ready".to_owned(), server.ready_in));
    sh::say(format!(
        "podbay serve runs (pid {}) at {}; $KEY is {}",
        server.pid(),
        server.api.base,
        mask(&server.api.key)
    ));
    let key = Key::make(&server.folder)?;
    let mut demo = Demo { engine, server, key, times, begin, is_first };
    let walked = demo.walk();
    if let Err(failure) = walked {
        eprintln!("\n✗ {failure}\n\n{}", demo.server.log_tail());
        let _ = demo.server.stop();
        let left = demo.server.leftovers(&demo.engine).unwrap_or_default();
        demo.engine.remove(&left);
        return Err("the demo failed; what it had started is stopped".into());
    }
    demo.finish()
}

/// Enough of the key to recognise it, too little to use it.
fn mask(key: &str) -> String {
    format!("{}…", key.chars().take(8).collect::<String>())
}

impl Demo {
    fn walk(&mut self) -> Result<()> {
        self.call("GET", "/api/v1/user/whoami", None)?;
        let public = json!({ "name": "demo", "publicKey": self.key.public });
        self.call("POST", "/api/v1/ssh_keys/", Some(&public))?;
        let offer = self.offers()?;
        self.call("GET", "/api/v1/availability/gpu-summary", None)?;

        let ordered = Instant::now();
        let pod = self.call("POST", "/api/v1/pods/", Some(&server::order(&offer, "demo")))?;
        let id = text(&pod, "/id").to_owned();
        let address = self.wait(&id)?;
        self.times.push(("order to ACTIVE".to_owned(), ordered.elapsed()));
        self.call("GET", "/api/v1/pods/?offset=0&limit=10", None)?;
        self.call("GET", &format!("/api/v1/pods/{id}"), None)?;
        self.inside(&address, ordered)?;
        self.call("GET", &format!("/api/v1/pods/{id}/log"), None)?;

        self.call("DELETE", &format!("/api/v1/pods/{id}"), None)?;
        let begin = Instant::now();
        let gone = self.server.pod_gone(&id)?;
        self.times.push(("deleted to gone".to_owned(), begin.elapsed()));
        self.show("GET", &format!("/api/v1/pods/{id}"), None, &gone);
        self.history(&id)
    }

    /// One request, printed as the curl line that does the same, and its reply.
    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let reply = self.server.api.call(method, path, body)?;
        self.show(method, path, body, &reply);
        self.times.push((format!("{method} {}", shorten(path)), reply.time));
        reply.ok(&format!("{method} {path}"))
    }

    fn show(&self, method: &str, path: &str, body: Option<&Value>, reply: &Reply) {
        self.show_request(method, path, body);
        println!("HTTP {} in {}", reply.status, table::duration(reply.time));
        println!("{}", reply.pretty().replace(&self.server.api.key, &mask(&self.server.api.key)));
    }

    fn show_request(&self, method: &str, path: &str, body: Option<&Value>) {
        let verb = if method == "GET" { String::new() } else { format!(" -X {method}") };
        let data = body.map(|body| format!(" -d '{body}'")).unwrap_or_default();
        println!("\n$ curl{verb} -H \"Authorization: Bearer $KEY\"{data} '{}{path}'", self.server.api.base);
    }

    /// All offers as a table, the first also as it came, and the one without GPU to order.
    fn offers(&mut self) -> Result<Value> {
        let path = "/api/v1/availability/gpus";
        self.show_request("GET", path, None);
        let reply = self.server.api.get(path)?;
        println!("HTTP {} in {}", reply.status, table::duration(reply.time));
        self.times.push((format!("GET {}", shorten(path)), reply.time));
        let body = reply.ok("availability/gpus")?;
        let offers = rows(&body, "/items");
        let fields = [
            "/cloudId",
            "/gpuType",
            "/gpuCount",
            "/gpuMemory",
            "/vcpu/defaultCount",
            "/memory/defaultCount",
            "/disk/defaultCount",
            "/stockStatus",
            "/prices/onDemand",
        ];
        let head = ["cloudId", "gpuType", "GPUs", "GB each", "vCPU", "RAM GB", "disk GB", "stock", "$/h"];
        let lines: Vec<Vec<String>> =
            offers.iter().map(|offer| fields.iter().map(|field| plain(offer, field)).collect()).collect();
        print!("{}", table::render(&head, &lines));
        println!("the first of them:\n{}", offers.first().map(http::pretty).unwrap_or_default());
        server::cpu_offer(&self.server.api)
    }

    fn wait(&mut self, id: &str) -> Result<Address> {
        self.show_request("GET", &format!("/api/v1/pods/status?pod_ids={id}"), None);
        let mut bar = Bar::new();
        let row = self.server.pod_ready(id, |row| bar.draw(row));
        bar.close();
        let row = row?;
        println!("{}", http::pretty(&row));
        Address::parse(text(&row, "/sshConnection"))
    }

    fn inside(&mut self, address: &Address, ordered: Instant) -> Result<()> {
        let remote = "uname -a; nproc; free -h";
        println!("\n$ ssh -p {} {} '{remote}'", address.port, address.target);
        let begin = Instant::now();
        print!("{}", sh::capture(&mut self.key.ssh(address, remote))?);
        self.times.push(("ssh".to_owned(), begin.elapsed()));
        self.times.push(("order to the first ssh".to_owned(), ordered.elapsed()));

        let sent = self.server.folder.join("sent.bin");
        let received = self.server.folder.join("received.bin");
        let mut content = vec![0; 1 << 20];
        fs::File::open("/dev/urandom")?.read_exact(&mut content)?;
        fs::write(&sent, &content)?;
        let begin = Instant::now();
        println!("\n$ scp -P {} sent.bin {}:/tmp/file.bin", address.port, address.target);
        sh::capture(&mut self.key.scp(address, &sent.display().to_string(), ":/tmp/file.bin"))?;
        println!("$ scp -P {} {}:/tmp/file.bin received.bin", address.port, address.target);
        sh::capture(&mut self.key.scp(address, ":/tmp/file.bin", &received.display().to_string()))?;
        self.times.push(("scp in and out".to_owned(), begin.elapsed()));
        if fs::read(&received)? != content {
            return Err("the file came back changed".into());
        }
        println!("$ cmp sent.bin received.bin\n1 MiB, the same");
        Ok(())
    }

    fn history(&mut self, id: &str) -> Result<()> {
        let body = self.call("GET", "/api/v1/pods/history", None)?;
        let row = rows(&body, "/data")
            .iter()
            .find(|row| text(row, "/id") == id)
            .context("the history lacks the pod")?;
        let cost =
            row.pointer("/totalBilledPrice").and_then(Value::as_f64).context("the row lacks its cost")?;
        println!("the pod cost {cost:.6} USD at {} USD/h", plain(row, "/priceHr"));
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let stopped = self.server.stop();
        let left = self.server.leftovers(&self.engine)?;
        self.engine.remove(&left);
        if let Err(failure) = stopped {
            return Err(format!("{failure}\n{}", self.server.log_tail()).into());
        }
        if !left.is_empty() {
            return Err(format!("containers were left behind (now removed): {}", left.join(" ")).into());
        }
        self.times.push(("server stopped".to_owned(), stopped?));
        let lines: Vec<Vec<String>> =
            self.times.iter().map(|(name, time)| vec![name.clone(), table::duration(*time)]).collect();
        println!();
        sh::say("summary");
        print!("{}", table::render(&["step", "time"], &lines));
        let engine = Command::new(self.engine.name());
        let total = self.begin.elapsed();
        println!(
            "\n✓ all of it worked in {}; no container is left (label {}={}, {})",
            table::duration(total),
            server::INSTALL_LABEL,
            self.server.install,
            sh::describe(&engine)
        );
        if !self.is_first && total > SECOND_RUN_MAX {
            eprintln!(
                "warning: nothing had to be installed or built, and yet it took more than {} seconds; the longest \
                 steps above say where they went",
                SECOND_RUN_MAX.as_secs()
            );
        }
        Ok(())
    }
}

fn shorten(path: &str) -> String {
    let path = path.trim_start_matches("/api/v1/");
    path.split('/').map(|part| if part.len() == 32 { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}

/// A bar on a terminal, a line per change elsewhere.
struct Bar {
    is_terminal: bool,
    last: String,
}

impl Bar {
    const WIDTH: usize = 40;

    fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), last: String::new() }
    }

    fn draw(&mut self, row: &Value) {
        let progress = row.get("installationProgress").and_then(Value::as_u64).unwrap_or(0).min(100);
        let full = usize::try_from(progress).unwrap_or(0) * Self::WIDTH / 100;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(Self::WIDTH - full));
        let line = format!("{bar} {progress:>3} % {}", text(row, "/status"));
        if line == self.last {
            return;
        }
        if self.is_terminal {
            print!("\r{line}   ");
            let _ = std::io::stdout().flush();
        } else {
            println!("{line}");
        }
        self.last = line;
    }

    fn close(&self) {
        if self.is_terminal {
            println!();
        }
    }
}

//! Requests per second of the three calls every client makes, beside a FastAPI server that does the same work.

use crate::bench::memory::resident_mib;
use crate::http::{Api, rows, text};
use crate::process::{Process, wait_until};
use crate::server::Server;
use crate::sh::{self, Context, Result};
use crate::{paths, postgres, python, table};
use std::process::Command;
use std::time::Duration;

const SECONDS: u64 = 8;
const CONNECTIONS: u64 = 16;
const PACKAGES: [&str; 2] = ["fastapi==0.116.1", "uvicorn[standard]==0.35.0"];

struct Load {
    requests_per_s: f64,
    p50: String,
    p99: String,
}

/// The reference has 100 pods; ours is measured with what it has, which the table says.
pub fn compare(server: &Server) -> Result<()> {
    let reference = Reference::start(server)?;
    let theirs = measure(&reference.api)?;
    let their_memory = resident_mib(reference.process.pid())?;
    drop(reference);
    let ours = measure(&server.api)?;
    let our_memory = resident_mib(server.pid())?;

    let mut lines = Vec::new();
    for ((name, base), (own_name, own)) in theirs.iter().zip(&ours) {
        lines.push(line("FastAPI", name, base, 1.0));
        lines.push(line("podbay", own_name, own, own.requests_per_s / base.requests_per_s.max(1.0)));
    }
    println!("\n{CONNECTIONS} connections, {SECONDS} s each, one process each");
    print!("{}", table::render(&["server", "call", "requests/s", "p50", "p99", "ratio"], &lines));
    println!("  memory under load: FastAPI {their_memory:.0} MiB, podbay {our_memory:.0} MiB");
    Ok(())
}

fn line(server: &str, call: &str, load: &Load, ratio: f64) -> Vec<String> {
    vec![
        server.to_owned(),
        call.to_owned(),
        format!("{:.0}", load.requests_per_s),
        load.p50.clone(),
        load.p99.clone(),
        format!("{ratio:.1}×"),
    ]
}

fn measure(api: &Api) -> Result<Vec<(String, Load)>> {
    let list = api.get("/api/v1/pods/?offset=0&limit=100")?.ok("pods")?;
    let ids: Vec<&str> = rows(&list, "/data").iter().map(|row| text(row, "/id")).collect();
    let query: Vec<String> = ids.iter().map(|id| format!("pod_ids={id}")).collect();
    let mut calls = Vec::new();
    if let Some(first) = ids.first() {
        calls.push(("one pod".to_owned(), format!("/api/v1/pods/{first}")));
    } else {
        // The same check of the key and one row, for a server without pods.
        calls.push(("whoami".to_owned(), "/api/v1/user/whoami".to_owned()));
    }
    calls.push((format!("list of {}", ids.len()), "/api/v1/pods/?offset=0&limit=100".to_owned()));
    calls.push((format!("status of {}", ids.len()), format!("/api/v1/pods/status?{}", query.join("&"))));
    calls.into_iter().map(|(name, path)| Ok((name, load(api, &path)?))).collect()
}

/// The key is one of this run, so that it may be seen in the list of processes.
fn load(api: &Api, path: &str) -> Result<Load> {
    let mut wrk = Command::new("wrk");
    wrk.args(["--latency", "-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{SECONDS}s")]);
    wrk.args(["-H", &format!("Authorization: Bearer {}", api.key)]).arg(format!("{}{path}", api.base));
    let said = sh::capture(&mut wrk)?;
    if said.contains("Non-2xx") {
        return Err(format!("{path}: not every answer was a success\n{said}").into());
    }
    let value = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    Ok(Load {
        requests_per_s: value("Requests/sec:").and_then(|text| text.parse().ok()).context(said.clone())?,
        p50: value("50%").unwrap_or_default().to_owned(),
        p99: value("99%").unwrap_or_default().to_owned(),
    })
}

struct Reference {
    process: Process,
    api: Api,
}

impl Reference {
    fn start(server: &Server) -> Result<Self> {
        let python = python::environment("reference", &PACKAGES)?.join("python");
        let port = postgres::free_port()?;
        let key = "reference-key".to_owned();
        let mut command = sh::guarded(python);
        command.arg(paths::root().join("xtask/bench/reference.py"));
        command.args(["--port", &port.to_string(), "--key", &key, "--database"]);
        let process = Process::start(
            command.arg(server.folder.join("reference.sqlite")),
            &server.folder.join("reference.log"),
        )?;
        let reference = Self { process, api: Api { base: format!("http://127.0.0.1:{port}"), key } };
        let is_up = wait_until(Duration::from_secs(30), Duration::from_millis(100), || {
            reference.api.get("/api/v1/pods/?offset=0&limit=1").is_ok_and(|reply| reply.status == 200)
        });
        if is_up {
            Ok(reference)
        } else {
            Err("the reference server did not start; see reference.log".into())
        }
    }
}

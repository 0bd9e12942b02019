//! A `podbay serve` of this tool's own: fresh data, free port, stopped by its process id.

use crate::engine::Engine;
use crate::http::{Api, Reply, rows, text};
use crate::process::{Process, wait_until};
use crate::sh::{self, Context, Result};
use crate::{image, paths, postgres};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const INSTALL_LABEL: &str = "podbay.install";
/// Where the server writes the value of that label.
const INSTALL_FILE: &str = "data/install";
const READY_MAX: Duration = Duration::from_secs(60);
const POD_READY_MAX: Duration = Duration::from_secs(240);

pub struct Server {
    pub api: Api,
    pub folder: PathBuf,
    pub install: String,
    pub ready_in: Duration,
    process: Process,
}

/// The program as cargo built it.
pub fn binary(profile: &str) -> PathBuf {
    paths::target().join(profile).join("podbay")
}

impl Server {
    /// Starts in `target/podbay/<name>`, which is emptied first; what an earlier run that was cut off left in
    /// the engine is removed before its name is forgotten.
    pub fn start(engine: &Engine, name: &str, binary: &Path) -> Result<Self> {
        Self::start_with(engine, name, binary, image::BASE)
    }

    /// The same, with `image` behind the names that are offered.
    pub fn start_with(engine: &Engine, name: &str, binary: &Path, image: &str) -> Result<Self> {
        let folder = paths::own(name)?;
        if let Ok(install) = fs::read_to_string(folder.join(INSTALL_FILE)) {
            engine.remove(&engine.containers(&format!("{INSTALL_LABEL}={}", install.trim()))?);
        }
        let folder = paths::own_fresh(name)?;
        let config = folder.join("podbay.toml");
        let text = format!(
            "[place]\nregion = \"eu_west\"\ncountry = \"DE\"\ndata_center = \"here\"\n\n\
             [images]\nubuntu_22_cuda_12 = \"{image}\"\nubuntu_26 = \"{image}\"\n"
        );
        fs::write(&config, text).context(config.display())?;
        let data = folder.join("data");
        let port = postgres::free_port()?;
        let listen = format!("127.0.0.1:{port}");

        let mut command = sh::guarded(binary);
        command
            .args(["serve", "--listen", &listen])
            .arg("--data-dir")
            .arg(&data)
            .arg("--config")
            .arg(&config);
        // A person's own settings are for their own server.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PODBAY_"))
        {
            command.env_remove(name);
        }
        let begin = Instant::now();
        let process = Process::start(&mut command, &folder.join("server.log"))?;
        let api = Api { base: format!("http://{listen}"), key: String::new() };
        let mut server = Self { api, folder, install: String::new(), ready_in: Duration::ZERO, process };
        if let Err(failure) = server.become_ready(&data) {
            return Err(format!("{failure}\n{}", server.log_tail()).into());
        }
        server.ready_in = begin.elapsed();
        Ok(server)
    }

    fn become_ready(&mut self, data: &Path) -> Result<()> {
        wait_until(READY_MAX, Duration::from_millis(50), || {
            self.process.ended().is_some() || self.api.get("/readyz").is_ok_and(|reply| reply.status == 200)
        });
        if let Some(status) = self.process.ended() {
            return Err(format!("the server ended at once: {status}").into());
        }
        let ready = self.api.get("/readyz")?;
        if ready.status != 200 {
            return Err(format!("the server is not ready after {READY_MAX:?}: HTTP {}", ready.status).into());
        }
        let file = data.join("admin.key");
        let key = fs::read_to_string(&file).context(file.display())?;
        self.api.key = key.trim().to_owned();
        let file = self.folder.join(INSTALL_FILE);
        self.install = fs::read_to_string(&file).context(file.display())?.trim().to_owned();
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn log_tail(&self) -> String {
        let log = self.folder.join("server.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        format!("the end of {}:\n{}", log.display(), sh::tail(&text, 40))
    }

    pub fn leftovers(&self, engine: &Engine) -> Result<Vec<String>> {
        engine.containers(&format!("{INSTALL_LABEL}={}", self.install))
    }

    /// Polls the status until the pod can be used; `see` is called with every answer.
    pub fn pod_ready(&self, pod: &str, mut see: impl FnMut(&Value)) -> Result<Value> {
        let path = format!("/api/v1/pods/status?pod_ids={pod}");
        let begin = Instant::now();
        while begin.elapsed() < POD_READY_MAX {
            let body = self.api.get(&path)?.ok("pods/status")?;
            let row = rows(&body, "/data").first().context("pods/status does not know the pod")?.clone();
            see(&row);
            let installation = text(&row, "/installationStatus");
            match text(&row, "/status") {
                "ACTIVE" if matches!(installation, "FINISHED" | "") => return Ok(row),
                status @ ("ERROR" | "TERMINATED" | "DELETING" | "STOPPED") => {
                    return Err(
                        format!("the pod became {status}: {}", text(&row, "/installationFailure")).into()
                    );
                }
                _ if installation == "ERROR" => {
                    return Err(
                        format!("the installation failed: {}", text(&row, "/installationFailure")).into()
                    );
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        Err(format!("the pod is not ACTIVE after {POD_READY_MAX:?}").into())
    }

    /// Deleting is accepted at once and done soon after.
    pub fn pod_gone(&self, pod: &str) -> Result<Reply> {
        let path = format!("/api/v1/pods/{pod}");
        let mut last = self.api.get(&path)?;
        wait_until(Duration::from_secs(30), Duration::from_millis(50), || {
            if last.status != 404 {
                last = self.api.get(&path).unwrap_or(Reply {
                    status: 0,
                    body: Value::Null,
                    text: String::new(),
                    time: Duration::ZERO,
                });
            }
            last.status == 404
        });
        if last.status == 404 {
            Ok(last)
        } else {
            Err(format!("the deleted pod answers HTTP {}", last.status).into())
        }
    }

    /// SIGTERM and a clean end; anything else is a fault of the server.
    pub fn stop(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        match self.process.stop("TERM", Duration::from_secs(30)) {
            Some(status) if status.success() => Ok(begin.elapsed()),
            Some(status) => Err(format!("the server ended with {status}").into()),
            None => Err("the server did not end within 30 seconds of SIGTERM".into()),
        }
    }
}

/// The offer for a machine without GPU, and the order that takes it.
pub fn cpu_offer(api: &Api) -> Result<Value> {
    let body = api.get("/api/v1/availability/gpus?gpu_type=CPU_NODE")?.ok("availability/gpus")?;
    rows(&body, "/items").first().cloned().context("no offer of the type CPU_NODE")
}

pub fn order(offer: &Value, name: &str) -> Value {
    let field = |name: &str| offer.get(name).cloned().unwrap_or(Value::Null);
    let socket =
        offer.get("socket").filter(|socket| !socket.is_null()).cloned().unwrap_or_else(|| json!("PCIe"));
    json!({
        "pod": {
            "name": name,
            "cloudId": field("cloudId"),
            "gpuType": field("gpuType"),
            "socket": socket,
            "gpuCount": 1,
            "image": "ubuntu_22_cuda_12",
        },
        "provider": { "type": offer.get("provider").and_then(Value::as_str).unwrap_or("primecompute") },
    })
}

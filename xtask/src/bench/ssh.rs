//! From the order to a shell: a container with OpenSSH started by hand, and a pod ordered over the API,
//! in turn.

use super::report::{Report, Wanted, median, times};
use super::stats::Samples;
use super::wire::Wire;
use crate::engine::Engine;
use crate::http::text;
use crate::process::wait_until;
use crate::server::{self, Server};
use crate::sh::{self, Context, Result};
use crate::ssh::{Address, Key};
use crate::{image, postgres};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

const SSHD: &str = "localhost/podbay/bench-sshd:latest";
const PATIENCE: Duration = Duration::from_secs(60);

pub fn compare(
    engine: &Engine,
    server: &mut Server,
    key: &Key,
    runs: usize,
    report: &mut Report,
) -> Result<()> {
    ensure_sshd_image(engine)?;
    sh::say(format!("time to SSH, {runs} runs each, in turn"));
    let mut wire = Wire::open(&server.api)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first of each finds cold files.
    for run in 0..=runs {
        let by_hand = Container::start(engine, server, key, &format!("ssh-{run}"))?;
        let pod = Pod::order(server, &mut wire, key, &format!("bench-{run}"))?;
        if run > 0 {
            theirs.push(by_hand.ready_in);
            ours.push(pod.ready_in);
        }
        drop(by_hand);
        pod.delete(server, &mut wire)?;
    }
    let pairs = ours.iter().zip(&theirs).map(|(own, other)| own.as_secs_f64() / other.as_secs_f64());
    let ratio = median(pairs.collect::<Vec<_>>());
    let (ours, theirs) = (Samples::new(ours), Samples::new(theirs));
    let of_medians = ours.percentile(50).as_secs_f64() / theirs.percentile(50).as_secs_f64();
    let what = "time to SSH, of podman run + OpenSSH's sshd";
    report.ratio(what, times(&ours), times(&theirs), of_medians, Wanted::AtMost(0.6));
    report.ratio("the same, median of the pairs", String::new(), String::new(), ratio, Wanted::Nothing);
    Ok(())
}

/// The base image with Debian's SSH server in it, made once.
fn ensure_sshd_image(engine: &Engine) -> Result<()> {
    if engine.image_exists(SSHD) {
        return Ok(());
    }
    sh::say("building the reference image with OpenSSH's server");
    let name = format!("podbay-bench-sshd-{}", std::process::id());
    let install = "apt-get update -qq && apt-get install -qq -y openssh-server && \
                   mkdir -p /run/sshd /root/.ssh && chmod 700 /root/.ssh && rm -rf /var/lib/apt/lists/*";
    let mut container = engine.command();
    container.args(["run", "--name", &name, "--network", "host", image::BASE, "sh", "-c", install]);
    let made = sh::capture(&mut container).and_then(|_| {
        sh::capture(engine.command().args(["commit", "-c", "CMD /usr/sbin/sshd -D -e", &name, SSHD]))
    });
    engine.remove(&[name]);
    made.map(drop)
}

/// A container with OpenSSH's server, started by hand; removed when it is dropped.
pub struct Container {
    pub address: Address,
    pub ready_in: Duration,
    engine: Engine,
    name: String,
}

impl Container {
    pub fn start(engine: &Engine, server: &Server, key: &Key, name: &str) -> Result<Self> {
        ensure_sshd_image(engine)?;
        let authorized = server.folder.join("authorized_keys");
        fs::write(&authorized, format!("{}\n", key.public))?;
        let mount = format!("{}:/root/.ssh/authorized_keys:ro", authorized.display());
        let name = format!("podbay-bench-{}-{name}", std::process::id());
        let port = postgres::free_port()?.to_string();
        let publish = format!("127.0.0.1:{port}:22");
        let address = Address { target: "root@127.0.0.1".to_owned(), port };
        let mut container = Self { address, ready_in: Duration::ZERO, engine: engine.clone(), name };
        let mut start = engine.command();
        start.args(["run", "-d", "--name", &container.name, "-p", &publish, "-v", &mount, SSHD]);
        let begin = Instant::now();
        sh::capture(start.args(["/usr/sbin/sshd", "-D", "-e"]))?;
        log_in(key, &container.address)?;
        container.ready_in = begin.elapsed();
        Ok(container)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.engine.remove(std::slice::from_ref(&self.name));
    }
}

/// A pod of ours; `delete` takes it away, and the server's end whatever is left.
pub struct Pod {
    pub id: String,
    pub address: Address,
    pub ready_in: Duration,
}

impl Pod {
    pub fn order(server: &Server, wire: &mut Wire, key: &Key, name: &str) -> Result<Self> {
        let offer = server::cpu_offer(&server.api)?;
        let body = server::order(&offer, name).to_string();
        let begin = Instant::now();
        let pod = wire.call("POST", "/api/v1/pods", &body)?;
        let id = text(&pod, "/id").to_owned();
        let path = format!("/api/v1/pods/status?pod_ids={id}");
        let mut connection = String::new();
        wait_until(PATIENCE, Duration::from_millis(10), || {
            if let Ok(body) = wire.call("GET", &path, "") {
                connection = text(&body, "/data/0/sshConnection").to_owned();
            }
            !connection.is_empty()
        });
        let address = Address::parse(&connection).context("the pod has no address")?;
        log_in(key, &address)?;
        Ok(Self { id, address, ready_in: begin.elapsed() })
    }

    pub fn delete(self, server: &Server, wire: &mut Wire) -> Result<()> {
        wire.call("DELETE", &format!("/api/v1/pods/{}", self.id), "")?;
        server.pod_gone(&self.id).map(drop)
    }
}

/// Makes the key, and gives it to the server for all its pods.
pub fn key(server: &Server) -> Result<Key> {
    let key = Key::make(&server.folder)?;
    let body = json!({ "name": "bench", "publicKey": key.public });
    server.api.call("POST", "/api/v1/ssh_keys/", Some(&body))?.ok("POST ssh_keys")?;
    Ok(key)
}

fn log_in(key: &Key, address: &Address) -> Result<()> {
    let is_in =
        wait_until(PATIENCE, Duration::from_millis(10), || sh::succeeds(&mut key.ssh(address, "true")));
    if is_in { Ok(()) } else { Err("nobody could log in".into()) }
}

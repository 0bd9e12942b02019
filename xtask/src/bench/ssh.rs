//! From the order to a shell: a container with OpenSSH started by hand, and a pod ordered over the API.

use super::stats::{Samples, print_times};
use crate::engine::Engine;
use crate::http::text;
use crate::process::wait_until;
use crate::server::{self, Server};
use crate::sh::{self, Result};
use crate::ssh::{Address, Key};
use crate::{image, postgres};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

const SSHD: &str = "localhost/podbay/bench-sshd:latest";
const PATIENCE: Duration = Duration::from_secs(60);

pub fn compare(engine: &Engine, server: &mut Server, runs: usize) -> Result<()> {
    let key = Key::make(&server.folder)?;
    ensure_sshd_image(engine)?;
    sh::say(format!("time to SSH, {runs} runs each"));
    let reference = by_hand(engine, server, &key, runs)?;
    let body = json!({ "name": "bench", "publicKey": key.public });
    server.api.call("POST", "/api/v1/ssh_keys/", Some(&body))?.ok("POST ssh_keys")?;
    let ours = by_order(server, &key, runs)?;
    print_times(
        "from the order to `ssh POD true` having returned",
        &[("podman run + OpenSSH sshd", reference), ("podbay: POST /pods + agent", ours)],
    );
    Ok(())
}

/// The base image with Debian's SSH server in it, made once.
fn ensure_sshd_image(engine: &Engine) -> Result<()> {
    if engine.image_exists(SSHD) {
        return Ok(());
    }
    sh::say("building the reference image with OpenSSH's server");
    let name = format!("podbay-bench-sshd-{}", std::process::id());
    let install = "apt-get update -qq && apt-get install -qq -y openssh-server && mkdir -p /run/sshd /root/.ssh && \
                   chmod 700 /root/.ssh && rm -rf /var/lib/apt/lists/*";
    let mut container = engine.command();
    container.args(["run", "--name", &name, "--network", "host", image::BASE, "sh", "-c", install]);
    let made = sh::capture(&mut container).and_then(|_| {
        sh::capture(engine.command().args(["commit", "-c", "CMD /usr/sbin/sshd -D -e", &name, SSHD]))
    });
    engine.remove(&[name]);
    made.map(drop)
}

fn by_hand(engine: &Engine, server: &Server, key: &Key, runs: usize) -> Result<Samples> {
    let authorized = server.folder.join("authorized_keys");
    fs::write(&authorized, format!("{}\n", key.public))?;
    let mount = format!("{}:/root/.ssh/authorized_keys:ro", authorized.display());
    let mut times = Vec::new();
    for run in 0..runs {
        let name = format!("podbay-bench-{}-{run}", std::process::id());
        let port = postgres::free_port()?.to_string();
        let publish = format!("127.0.0.1:{port}:22");
        let address = Address { target: "root@127.0.0.1".to_owned(), port };
        let begin = Instant::now();
        let mut start = engine.command();
        start.args([
            "run",
            "-d",
            "--name",
            &name,
            "-p",
            &publish,
            "-v",
            &mount,
            SSHD,
            "/usr/sbin/sshd",
            "-D",
            "-e",
        ]);
        let timed = sh::capture(&mut start).and_then(|_| log_in(key, &address)).map(|()| begin.elapsed());
        engine.remove(&[name]);
        times.push(timed?);
    }
    Ok(Samples::new(times))
}

fn by_order(server: &mut Server, key: &Key, runs: usize) -> Result<Samples> {
    let offer = server::cpu_offer(&server.api)?;
    let mut times = Vec::new();
    for run in 0..runs {
        let body = server::order(&offer, &format!("bench-{run}"));
        let begin = Instant::now();
        let pod = server.api.call("POST", "/api/v1/pods/", Some(&body))?.ok("POST pods")?;
        let id = text(&pod, "/id").to_owned();
        let timed = first_login(server, key, &id).map(|()| begin.elapsed());
        server.api.call("DELETE", &format!("/api/v1/pods/{id}"), None)?.ok("DELETE pods")?;
        times.push(timed?);
        server.pod_gone(&id)?;
    }
    Ok(Samples::new(times))
}

fn first_login(server: &Server, key: &Key, id: &str) -> Result<()> {
    let mut connection = String::new();
    let path = format!("/api/v1/pods/status?pod_ids={id}");
    wait_until(PATIENCE, Duration::from_millis(10), || {
        if let Ok(reply) = server.api.get(&path) {
            connection = text(&reply.body, "/data/0/sshConnection").to_owned();
        }
        !connection.is_empty()
    });
    log_in(key, &Address::parse(&connection)?)
}

fn log_in(key: &Key, address: &Address) -> Result<()> {
    let is_in =
        wait_until(PATIENCE, Duration::from_millis(10), || sh::succeeds(&mut key.ssh(address, "true")));
    if is_in { Ok(()) } else { Err("nobody could log in".into()) }
}

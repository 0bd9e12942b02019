//! The last ring of tests: what a person does with the published command line client, unchanged, against a
//! real server with real containers. Each step is something they type and what they then see.

mod account;
mod availability;
mod browser;
mod disks;
mod help;
mod login;
mod mcp;
mod pods;
mod skypilot;
mod teams;
mod templates;

use crate::engine::Engine;
use crate::process::{Process, wait_until};
use crate::server::{self, Server};
use crate::sh::{self, Context, Failure, Result};
use crate::ssh::Key;
use crate::{image, paths, python};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const CLIENT: &str = "prime==0.18.0";
/// The longest that all of it may take, from the start of the server; what is fetched before is not ours.
const WALK_MAX: Duration = Duration::from_secs(240);

pub struct Walk {
    engine: Engine,
    server: Server,
    key: Key,
    /// Where the client lies, and the client itself, behind what writes down its calls.
    environment: PathBuf,
    client: PathBuf,
    home: PathBuf,
    /// The client's own short id of the offer, the offer, and the pods; "" until a step has found them.
    offer: String,
    cloud_id: String,
    pod: String,
    second: String,
    /// The same for disks.
    disk_offer: String,
    disk: String,
    second_disk: String,
}

pub type Step = (&'static str, fn(&mut Walk) -> Result<()>);

/// One list for each noun, in this order. The pod of `pods` is gone after its last step.
const NOUNS: [&[Step]; 10] = [
    account::STEPS,
    availability::STEPS,
    teams::STEPS,
    templates::STEPS,
    pods::STEPS,
    disks::STEPS,
    login::STEPS,
    mcp::STEPS,
    help::STEPS,
    END,
];

const END: &[Step] = &[("the server stops and leaves no container", stop)];

/// Everything but SkyPilot.
pub fn walk(engine: &Engine) -> Result<()> {
    sh::say(format!("a person's walk with {CLIENT}"));
    run(engine, image::BASE, &NOUNS, Some(WALK_MAX))
}

/// SkyPilot alone; how long that takes is up to the internet.
pub fn skypilot(engine: &Engine) -> Result<()> {
    sh::say("SkyPilot, from the catalog to a task");
    let image = skypilot::image().unwrap_or_else(|| image::BASE.to_owned());
    run(engine, &image, &[skypilot::STEPS, END], None)
}

/// Runs all steps; the time that they took is the last line but one, the count is the last.
fn run(engine: &Engine, image: &str, nouns: &[&[Step]], bound: Option<Duration>) -> Result<()> {
    let total = nouns.iter().map(|steps| steps.len()).sum::<usize>() + usize::from(bound.is_some());
    let mut failed = 0;
    let environment = environments();
    let begin = Instant::now();
    match environment.and_then(|environment| prepare(engine, image, environment)) {
        Ok(mut walk) => {
            for (name, step) in nouns.iter().copied().flatten() {
                match step(&mut walk) {
                    Ok(()) => println!("  ok    {name}"),
                    Err(failure) => {
                        failed += 1;
                        println!("  FAIL  {name}\n{}", indent(&failure.text));
                    }
                }
            }
            if failed > 0 {
                println!("{}", walk.server.log_tail());
            }
            engine.remove(&walk.server.leftovers(engine).unwrap_or_default());
            let took = begin.elapsed();
            let is_late = bound.is_some_and(|bound| took > bound);
            failed += usize::from(is_late);
            let verdict = if is_late { "FAIL" } else { "ok  " };
            let bound = bound.map_or(String::new(), |bound| format!(", of {} s at most", bound.as_secs()));
            println!("  {verdict}  all of it took {:.0} s{bound}", took.as_secs_f64());
        }
        Err(failure) => {
            failed = total;
            println!("  FAIL  nothing could be tried\n{}", indent(&failure.text));
        }
    }
    println!("{} passed, {failed} failed", total - failed);
    if failed == 0 { Ok(()) } else { Err(Failure::new("")) }
}

/// What is fetched and built before the clock starts; the client's own folder.
fn environments() -> Result<PathBuf> {
    let client = python::environment("prime", &[CLIENT])?;
    mcp::environments()?;
    sh::run(sh::cargo().current_dir(paths::root()).args(["build", "--quiet", "-p", "podbay"]))?;
    Ok(client)
}

fn prepare(engine: &Engine, image: &str, environment: PathBuf) -> Result<Walk> {
    let server = Server::start_with(engine, "person", &server::binary("debug"), image)?;
    let home = server.folder.join("home");
    fs::create_dir(&home)?;
    let key = Key::make(&home)?;
    // OpenSSH looks up the home in the user database, so HOME alone does not keep it out of ~/.ssh.
    let real_ssh = sh::find("ssh").context("ssh is not on this machine")?;
    let wrapper = home.join("bin/ssh");
    fs::create_dir(home.join("bin"))?;
    let known_hosts = home.join("known_hosts");
    let script = format!(
        "#!/bin/sh\nexec {} -F /dev/null -o UserKnownHostsFile={} \"$@\"\n",
        real_ssh.display(),
        known_hosts.display()
    );
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let client = help::written_down(&environment.join("prime"), &home)?;
    // The client has no command for keys; a person does this once on the page.
    let body = json!({ "name": "walk", "publicKey": key.public });
    server.api.call("POST", "/api/v1/ssh_keys/", Some(&body))?.ok("POST ssh_keys")?;
    let [offer, cloud_id, pod, second, disk_offer, disk, second_disk] = [const { String::new() }; 7];
    let engine = engine.clone();
    Ok(Walk {
        engine,
        server,
        key,
        environment,
        client,
        home,
        offer,
        cloud_id,
        pod,
        second,
        disk_offer,
        disk,
        second_disk,
    })
}

impl Walk {
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bin = [self.home.join("bin")];
        let paths = std::env::join_paths(bin.into_iter().chain(std::env::split_paths(&path))).unwrap_or(path);
        let mut command = Command::new("timeout");
        command.arg("120").arg(program).env("PATH", paths).env("HOME", &self.home).env("COLUMNS", "240");
        for name in ["PRIME_TEAM_ID", "PRIME_CONTEXT", "PRIME_BASE_URL", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command
            .env("PRIME_API_BASE_URL", &self.server.api.base)
            .env("PRIME_API_KEY", &self.server.api.key)
            .env("PRIME_SSH_KEY_PATH", &self.key.private)
            .env("PRIME_DISABLE_VERSION_CHECK", "1")
            .env("NO_PROXY", "127.0.0.1");
        command
    }

    pub fn prime(&self, args: &[&str]) -> Result<String> {
        sh::capture(self.command(&self.client).args(args))
    }

    pub fn prime_json(&self, args: &[&str]) -> Result<Value> {
        let text = self.prime(&[args, &["--output", "json"]].concat())?;
        serde_json::from_str(&text).context(format!("not JSON: {text}"))
    }

    /// Starts a command that goes on until it is interrupted, waits until it has shown that, and interrupts it.
    pub fn prime_watch(&self, args: &[&str], shown: &str) -> Result<()> {
        let log = self.home.join("watch.log");
        let _ = fs::remove_file(&log);
        let mut process = Process::start(self.command(&self.client).args(args), &log)?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        wait_until(Duration::from_secs(20), Duration::from_millis(50), || {
            said().contains("Ctrl+C") || process.ended().is_some()
        });
        contains(&said(), shown)?;
        // Whether it calls that a success depends on what it does just then.
        let end = process.stop("INT", Duration::from_secs(10));
        end.map(drop).context(format!("it goes on: {}", said()))
    }

    pub fn pod(&self) -> Result<&str> {
        if self.pod.is_empty() { Err("there is no pod to try it with".into()) } else { Ok(&self.pod) }
    }
}

fn stop(walk: &mut Walk) -> Result<()> {
    walk.server.stop()?;
    let left = walk.server.leftovers(&walk.engine)?;
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(" ")).into()) }
}

fn contains(said: &str, part: &str) -> Result<()> {
    let is_there = !part.is_empty() && said.contains(part);
    if is_there { Ok(()) } else { Err(format!("no {part:?} in:\n{said}").into()) }
}

fn same(seen: &str, wanted: &str) -> Result<()> {
    if seen == wanted { Ok(()) } else { Err(format!("{seen:?} instead of {wanted:?}").into()) }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n")
}

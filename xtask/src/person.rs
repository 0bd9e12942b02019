//! The last ring of tests: what a person does with the published command line client, unchanged, against a
//! real server with real containers. Each step is something they type and what they then see.

use crate::engine::Engine;
use crate::http::{rows, text};
use crate::server::{self, Server};
use crate::sh::{self, Context, Failure, Result};
use crate::ssh::Key;
use crate::{paths, python};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const CLIENT: &str = "prime==0.18.0";
const POD_NAME: &str = "walk-1";
/// How the client writes the type CPU_NODE in its lists of offers.
const SHOWN_AS: &str = "CPU NODE";

struct Walk {
    engine: Engine,
    server: Server,
    key: Key,
    client: PathBuf,
    home: PathBuf,
    /// The client's own short id of the offer, and the pod; "" until a step has found them.
    offer: String,
    pod: String,
}

type Step = (&'static str, fn(&mut Walk) -> Result<()>);

const STEPS: [Step; 15] = [
    ("whoami shows who the key belongs to", Walk::whoami),
    ("availability list shows the machine", Walk::availability),
    ("availability gpu-types lists the type", Walk::gpu_types),
    ("pods create --yes asks nothing and makes a pod", Walk::create),
    ("pods list shows it", Walk::list),
    ("pods status becomes ACTIVE with an address", Walk::status),
    ("pods status as a table", Walk::status_table),
    ("pods ssh with commands on its input", Walk::ssh_piped),
    ("pods ssh on a terminal", Walk::ssh_terminal),
    ("pods list as a table", Walk::list_table),
    ("pods terminate --yes", Walk::terminate),
    ("pods list no longer shows it", Walk::list_without),
    ("pods history shows what it was", Walk::history),
    ("pods status of the gone pod says so", Walk::status_gone),
    ("the server stops and leaves no container", Walk::stop),
];

/// Runs all steps; the count is the last line.
pub fn walk(engine: &Engine) -> Result<()> {
    sh::say(format!("a person's walk with {CLIENT}"));
    let mut failed = 0;
    match prepare(engine) {
        Ok(mut walk) => {
            for (name, step) in STEPS {
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
        }
        Err(failure) => {
            failed = STEPS.len();
            println!("  FAIL  nothing could be tried\n{}", indent(&failure.text));
        }
    }
    println!("{} passed, {failed} failed", STEPS.len() - failed);
    if failed == 0 { Ok(()) } else { Err(Failure::new("")) }
}

fn prepare(engine: &Engine) -> Result<Walk> {
    let client = python::environment("prime", &[CLIENT])?.join("prime");
    sh::run(sh::cargo().current_dir(paths::root()).args(["build", "--quiet", "-p", "podbay"]))?;
    let server = Server::start(engine, "person", &server::binary("debug"))?;
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
    // The client has no command for keys; a person does this once on the page.
    let body = json!({ "name": "walk", "publicKey": key.public });
    server.api.call("POST", "/api/v1/ssh_keys/", Some(&body))?.ok("POST ssh_keys")?;
    Ok(Walk { engine: engine.clone(), server, key, client, home, offer: String::new(), pod: String::new() })
}

impl Walk {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
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

    fn prime(&self, args: &[&str]) -> Result<String> {
        sh::capture(self.command(&self.client).args(args))
    }

    fn prime_json(&self, args: &[&str]) -> Result<Value> {
        let text = self.prime(&[args, &["--output", "json"]].concat())?;
        serde_json::from_str(&text).context(format!("not JSON: {text}"))
    }

    fn pod(&self) -> Result<&str> {
        if self.pod.is_empty() { Err("there is no pod to try it with".into()) } else { Ok(&self.pod) }
    }

    fn whoami(&mut self) -> Result<()> {
        let whoami = self.server.api.get("/api/v1/user/whoami")?.ok("whoami")?;
        contains(&self.prime(&["whoami"])?, text(&whoami, "/data/email"))
    }

    fn availability(&mut self) -> Result<()> {
        let list = self.prime_json(&["availability", "list", "--no-group-similar"])?;
        let is_cpu = |row: &&Value| text(row, "/gpu_type") == SHOWN_AS;
        let row =
            rows(&list, "/gpu_resources").iter().find(is_cpu).context(format!("no CPU_NODE: {list}"))?;
        self.offer = text(row, "/id").to_owned();
        if self.offer.is_empty() {
            return Err(format!("an offer without id: {row}").into());
        }
        contains(&self.prime(&["availability", "list"])?, SHOWN_AS)
    }

    fn gpu_types(&mut self) -> Result<()> {
        contains(&self.prime(&["availability", "gpu-types"])?, "CPU_NODE")
    }

    fn create(&mut self) -> Result<()> {
        let args = [
            "pods",
            "create",
            "--id",
            &self.offer,
            "--name",
            POD_NAME,
            "--image",
            "ubuntu_22_cuda_12",
            "--yes",
        ];
        let said = self.prime(&args)?;
        let (_, rest) = said.split_once("Successfully created pod").context(format!("no success: {said}"))?;
        self.pod = rest.split_whitespace().next().unwrap_or_default().to_owned();
        let is_id = !self.pod.is_empty() && self.pod.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_id { Ok(()) } else { Err(format!("no pod id in: {said}").into()) }
    }

    fn list(&mut self) -> Result<()> {
        let list = self.prime_json(&["pods", "list"])?;
        let pod = self.pod()?;
        let row = rows(&list, "/pods")
            .iter()
            .find(|row| text(row, "/id") == pod)
            .context(format!("absent: {list}"))?;
        same(text(row, "/name"), POD_NAME)?;
        same(text(row, "/gpu"), "CPU_NODE x1")
    }

    fn status(&mut self) -> Result<()> {
        let pod = self.pod()?.to_owned();
        self.server.pod_ready(&pod, |_| ())?;
        self.server.learn_install(&self.engine, &pod)?;
        let status = self.prime_json(&["pods", "status", &pod])?;
        same(text(&status, "/status"), "ACTIVE")?;
        same(text(&status, "/installation_status"), "FINISHED")?;
        contains(text(&status, "/ssh"), "@127.0.0.1 -p ")
    }

    fn status_table(&mut self) -> Result<()> {
        let said = self.prime(&["pods", "status", self.pod()?])?;
        [self.pod()?, POD_NAME, "ACTIVE", "SSH"].iter().try_for_each(|part| contains(&said, part))
    }

    fn ssh_piped(&mut self) -> Result<()> {
        let mut command = self.command(&self.client);
        let said =
            sh::feed(command.args(["pods", "ssh", self.pod()?]), b"echo answer-$((40 + 2)); id -un; exit\n")?;
        contains(&said, "answer-42")?;
        contains(&said, "root")
    }

    fn ssh_terminal(&mut self) -> Result<()> {
        let typed = format!("{} pods ssh {}", self.client.display(), self.pod()?);
        let mut command = self.command("script");
        let said =
            sh::feed(command.args(["-qec", &typed, "/dev/null"]), b"tty; echo answer-$((40 + 2))\nexit\n")?;
        contains(&said, "/dev/pts/")?;
        contains(&said, "answer-42")
    }

    fn list_table(&mut self) -> Result<()> {
        let said = self.prime(&["pods", "list"])?;
        [self.pod()?, POD_NAME, "ACTIVE"].iter().try_for_each(|part| contains(&said, part))
    }

    fn terminate(&mut self) -> Result<()> {
        let said = self.prime(&["pods", "terminate", self.pod()?, "--yes"])?;
        contains(&said, "Successfully terminated")?;
        self.server.pod_gone(&self.pod).map(drop)
    }

    fn list_without(&mut self) -> Result<()> {
        let list = self.prime_json(&["pods", "list"])?;
        let pod = self.pod()?;
        let is_there = rows(&list, "/pods").iter().any(|row| text(row, "/id") == pod);
        if is_there { Err(format!("it is still there: {list}").into()) } else { Ok(()) }
    }

    fn history(&mut self) -> Result<()> {
        let list = self.prime_json(&["pods", "history"])?;
        let pod = self.pod()?;
        let found = rows(&list, "/history").iter().find(|row| text(row, "/id") == pod);
        let row = found.context(format!("absent: {list}"))?;
        same(text(row, "/name"), POD_NAME)?;
        if text(row, "/terminated_at").is_empty() || !row["total_cost"].is_number() {
            return Err(format!("no end or no cost: {row}").into());
        }
        contains(&self.prime(&["pods", "history"])?, POD_NAME)
    }

    fn status_gone(&mut self) -> Result<()> {
        match self.prime(&["pods", "status", self.pod()?]) {
            Ok(said) => Err(format!("it was a success: {said}").into()),
            Err(failure) if failure.text.contains("Traceback") => Err(failure),
            Err(_) => Ok(()),
        }
    }

    fn stop(&mut self) -> Result<()> {
        self.server.stop()?;
        let left = self.server.leftovers(&self.engine)?;
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(" ")).into()) }
    }
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

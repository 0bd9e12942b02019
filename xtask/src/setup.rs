//! `cargo xtask setup`: make a fresh Debian 12 able to run the demo, the tests or the measurements.
//!
//! Presence is judged by the program (or file), never by the package database: a machine where podman was
//! built from source is as good as any. When nothing is missing nothing is touched, not even apt's lists.

use crate::engine::{Engine, Kind};
use crate::sh::{self, Context, Failure, Result};
use crate::{image, postgres, small_images};
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Demo,
    Test,
    Bench,
}

/// How to see that something is there.
enum Probe {
    Program(&'static str),
    AnyProgram(&'static [&'static str]),
    AnyFile(&'static [&'static str]),
    PythonVenv,
    Postgres,
}

struct Need {
    what: &'static str,
    probe: Probe,
    packages: &'static [&'static str],
}

const NETWORK_HELPERS: [&str; 5] = [
    "/usr/lib/podman/netavark",
    "/usr/libexec/podman/netavark",
    "/usr/local/libexec/podman/netavark",
    "/usr/lib/cni/bridge",
    "/opt/cni/bin/bridge",
];
const NAME_HELPERS: [&str; 5] = [
    "/usr/lib/podman/aardvark-dns",
    "/usr/libexec/podman/aardvark-dns",
    "/usr/local/libexec/podman/aardvark-dns",
    "/usr/lib/cni/dnsname",
    "/opt/cni/bin/dnsname",
];
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
const DEBIAN_KEYS: [&str; 1] = ["/usr/share/keyrings/debian-archive-keyring.gpg"];

const fn program(name: &'static str, packages: &'static [&'static str]) -> Need {
    Need { what: name, probe: Probe::Program(name), packages }
}

/// Podman and what its Debian package only recommends but containers with ports cannot do without.
fn engine_needs() -> Vec<Need> {
    let runtime = if crate::engine::is_unified_cgroup() {
        Need { what: "runc or crun", probe: Probe::AnyProgram(&["crun", "runc"]), packages: &["runc"] }
    } else {
        // crun refuses hosts that mix both generations of control groups.
        program("runc", &["runc"])
    };
    vec![
        program("podman", &["podman"]),
        runtime,
        program("conmon", &["conmon"]),
        program("iptables", &["iptables"]),
        Need { what: "netavark", probe: Probe::AnyFile(&NETWORK_HELPERS), packages: &["netavark"] },
        Need { what: "aardvark-dns", probe: Probe::AnyFile(&NAME_HELPERS), packages: &["aardvark-dns"] },
    ]
}

fn needs(what: What) -> Vec<Need> {
    let mut all = if Engine::answering() == Some(Kind::Docker) { Vec::new() } else { engine_needs() };
    all.extend([
        program("mmdebstrap", &["mmdebstrap"]),
        Need {
            what: "Debian's archive keys",
            probe: Probe::AnyFile(&DEBIAN_KEYS),
            packages: &["debian-archive-keyring"],
        },
        program("ssh", &["openssh-client"]),
        program("scp", &["openssh-client"]),
        program("ssh-keygen", &["openssh-client"]),
        program("curl", &["curl"]),
        Need { what: "certificates", probe: Probe::AnyFile(&CERTIFICATES), packages: &["ca-certificates"] },
    ]);
    if what != What::Demo {
        all.extend([
            program("python3", &["python3"]),
            Need { what: "python3's venv", probe: Probe::PythonVenv, packages: &["python3-venv"] },
        ]);
    }
    if what == What::Test {
        all.extend([
            program("git", &["git"]),
            program("rsync", &["rsync"]),
            program("script", &["bsdutils"]),
            program("chromedriver", &["chromium", "chromium-driver"]),
            Need { what: "PostgreSQL", probe: Probe::Postgres, packages: &["postgresql"] },
        ]);
    }
    if what == What::Bench {
        all.push(program("wrk", &["wrk"]));
    }
    all
}

impl Probe {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => sh::find(name).is_some(),
            Self::AnyProgram(names) => names.iter().any(|name| sh::find(name).is_some()),
            Self::AnyFile(paths) => paths.iter().any(|path| Path::new(path).exists()),
            Self::PythonVenv => sh::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
            Self::Postgres => postgres::programs().is_some(),
        }
    }
}

pub fn main(args: &[String]) -> Result<()> {
    let what = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--what", "demo"] => What::Demo,
        ["--what", "test"] => What::Test,
        ["--what", "bench"] => What::Bench,
        _ => {
            return Err(Failure::with_code("usage: cargo xtask setup [--what demo|test|bench]", 2));
        }
    };
    programs(what)?;
    let engine = Engine::find()?;
    image::ensure_base(&engine)?;
    if what == What::Test {
        small_images::ensure(&engine)?;
    }
    sh::say("everything is in place");
    Ok(())
}

/// Installs the programs that are missing, or says precisely which ones and how to get them. Whether any were.
pub fn programs(what: What) -> Result<bool> {
    let missing: Vec<Need> = needs(what).into_iter().filter(|need| !need.probe.is_there()).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    let names: Vec<&str> = missing.iter().map(|need| need.what).collect();
    if !sh::is_root() || sh::find("apt-get").is_none() {
        return Err(Failure::with_code(
            format!(
                "missing on this machine: {}\non Debian, as root:  apt-get update && apt-get install \
                 --no-install-recommends {}\nthen run this again",
                names.join(", "),
                packages.join(" ")
            ),
            2,
        ));
    }
    sh::say(format!("missing: {}; installing {}", names.join(", "), packages.join(" ")));
    if packages.contains(&"postgresql") {
        keep_postgresql_quiet()?;
    }
    sh::capture(apt_get().args(["update", "-qq"]))?;
    sh::capture(apt_get().args(["install", "-qq", "-y", "--no-install-recommends"]).args(&packages))?;
    let still: Vec<&str> =
        missing.iter().filter(|need| !need.probe.is_there()).map(|need| need.what).collect();
    if still.is_empty() {
        Ok(true)
    } else {
        Err(Failure::new(format!("still missing: {}", still.join(", "))))
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// Debian's package creates and starts a database of its own on port 5432; the tests bring their own, and a
/// service nobody asked for has no business on this machine.
fn keep_postgresql_quiet() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common");
    let file = folder.join("createcluster.conf");
    if file.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).context(folder.display())?;
    std::fs::write(&file, "create_main_cluster = false\n").context(file.display())
}

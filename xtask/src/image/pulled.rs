//! The userland of the base image from a registry, where one answers: a Debian that is pulled instead of put
//! together, and the packages added in a container of it. The outcome is an archive like that of mmdebstrap.
//!
//! It must never hold anybody up: a registry that refuses, or does not answer in time, is left at once.

use super::{FINISH, LEAVE_OUT, PACKAGES, SUITE, host_sources};
use crate::engine::{Engine, Kind};
use crate::process::{Process, wait_until};
use crate::sh::{self, Context, Result};
use crate::table;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Names another reference; empty: no registry is asked.
pub const VARIABLE: &str = "PODBAY_BASE_IMAGE";
const DEFAULT: &str = "docker.io/library/debian:12";
/// For the answer and for the image itself: building takes a minute or two, so waiting longer gains little.
const PULL_MAX: Duration = Duration::from_secs(10);

/// Writes the archive.
pub fn build(engine: &Engine, archive: &Path) -> Result<()> {
    let configured = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let reference = reference(configured.as_deref()).context(format!("{VARIABLE} is empty"))?;
    let begin = Instant::now();
    let is_here = engine.image_exists(reference);
    if !is_here {
        pull(engine, reference, &archive.with_extension("pull.log"))?;
        sh::say(format!("{reference} pulled in {}; adding packages", table::duration(begin.elapsed())));
    }
    let filled = fill(engine, reference, archive);
    if !is_here {
        sh::succeeds(engine.command().args(["rmi", reference]));
    }
    filled?;
    let size_mib = archive.metadata()?.len() >> 20;
    sh::say(format!("made from {reference}: {size_mib} MiB in {}", table::duration(begin.elapsed())));
    Ok(())
}

fn reference(configured: Option<&str>) -> Option<&str> {
    Some(configured.unwrap_or(DEFAULT)).filter(|reference| !reference.is_empty())
}

/// Fails at the first trouble: Podman would try three times more, and count the seconds in between.
fn pull(engine: &Engine, reference: &str, log: &Path) -> Result<()> {
    let _ = fs::remove_file(log);
    let mut command = engine.command();
    command.args(["pull", "--quiet"]);
    if engine.kind == Kind::Podman && is_on_this_machine(reference) {
        // Docker takes it for granted that such a registry speaks without TLS.
        command.arg("--tls-verify=false");
    }
    let mut process = Process::start(command.arg(reference), log)?;
    let said = || fs::read_to_string(log).unwrap_or_default();
    let mut pulled = false;
    wait_until(PULL_MAX, Duration::from_millis(20), || {
        let ended = process.ended();
        pulled = ended.is_some_and(|status| status.success());
        ended.is_some() || said().contains("retrying in")
    });
    if pulled {
        return Ok(());
    }
    let is_too_slow = process.ended().is_none() && trouble(&said()).is_none();
    process.stop("TERM", Duration::from_secs(2));
    let reason = match trouble(&said()) {
        Some(reason) if !is_too_slow => reason,
        _ => format!("not here within {} seconds", PULL_MAX.as_secs()),
    };
    Err(format!("{reference}: {reason}").into())
}

fn is_on_this_machine(reference: &str) -> bool {
    let registry = reference.split('/').next().unwrap_or_default();
    matches!(registry.split(':').next(), Some("localhost" | "127.0.0.1"))
}

/// The reason in what the engine's program has written: what stands behind the first `Error`, without what
/// Podman says of the steps that led there.
fn trouble(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains("Error"))?;
    let (_, reason) =
        line.rsplit_once("Error: ").or_else(|| line.split_once("Error response from daemon: "))?;
    let reason = reason.trim_end_matches('"').replace("\\\"", "\"");
    let end = reason.rsplit_once("dial tcp").map(|(_, end)| format!("dial tcp{end}"));
    Some(end.unwrap_or(reason))
}

/// Adds the packages in a container, and writes what it then holds.
fn fill(engine: &Engine, reference: &str, archive: &Path) -> Result<()> {
    let mut create = engine.command();
    // The host's own network: what the package tools of the host reach, these reach.
    create.args(["create", "--network", "host", "--user", "0", "--entrypoint", "/bin/sh", reference]);
    let container = sh::capture(create.args(["-c", SCRIPT, "fill"]).args(arguments()))?.trim().to_owned();
    let partial = archive.with_extension("partial");
    let filled = sh::capture(engine.command().args(["start", "--attach", &container]))
        .and_then(|_| {
            sh::capture(engine.command().args(["export", "--output"]).arg(&partial).arg(&container))
        })
        .and_then(|_| fs::rename(&partial, archive).context(archive.display()));
    engine.remove(&[container]);
    filled.map_err(|failure| {
        let log = archive.with_extension("fill.log");
        let _ = fs::write(&log, failure.to_string());
        let text = failure.to_string();
        let reason = text.lines().rev().find(|line| line.starts_with("E: ")).unwrap_or("see the log");
        format!(
            "{reference} is here, but cannot be given the packages: {reason} (all of it: {})",
            log.display()
        )
        .into()
    })
}

/// As mmdebstrap does it. `$1` is the suite, `$2` and `$3` say where the host gets its packages from, `$4` names
/// the packages, `$5` is for dpkg; the rest finishes the tree.
const SCRIPT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
. /etc/os-release
[ "$VERSION_CODENAME" = "$1" ] || { echo "E: it is $PRETTY_NAME, not Debian's $1"; exit 1; }
if [ -n "$2" ]; then
    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
    printf '%s' "$3" > "$2"
fi
echo "$5" > /etc/dpkg/dpkg.cfg.d/99podbay
apt-get -q -o Acquire::Retries=1 -o Acquire::Languages=none -o APT::Update::Error-Mode=any update
apt-get -q -y -o Acquire::Retries=3 --no-install-recommends install $4
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
shift 5
for step; do sh -c "$step" step /; done
"#;

fn arguments() -> Vec<String> {
    let source = host_sources().into_iter().next();
    let text = source.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let path = source.map(|path| path.display().to_string()).unwrap_or_default();
    let mut all = vec![SUITE.to_owned(), path, text, PACKAGES.join(" "), LEAVE_OUT.join("\n")];
    // The last step takes away the host's own names, which a container's engine lays over those of the image.
    let inside = FINISH.split_last().map(|(_, inside)| inside).unwrap_or_default();
    all.extend(inside.iter().map(|step| (*step).to_owned()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_asked_unless_the_variable_is_empty() {
        assert_eq!(reference(None), Some(DEFAULT));
        assert_eq!(reference(Some("localhost:5000/debian:12")), Some("localhost:5000/debian:12"));
        assert_eq!(reference(Some("")), None);
    }

    #[test]
    fn only_a_registry_on_this_machine_may_do_without_tls() {
        assert!(
            is_on_this_machine("localhost:5000/debian:12") && is_on_this_machine("127.0.0.1:5000/debian")
        );
        for reference in [DEFAULT, "127.0.0.1.example.org/debian", "debian", "registry.lab:5000/localhost/x"]
        {
            assert!(!is_on_this_machine(reference), "{reference}");
        }
    }

    #[test]
    fn the_reason_of_a_refused_pull_is_one_line() {
        let cases = [
            (
                "time=\"x\" level=warning msg=\"Failed, retrying in 1s ... (1/3). Error: initializing source \
                 docker://a/b:1: pinging: Get \\\"https://a/v2/\\\": dial tcp 10.0.0.1:443: connect: \
                 connection refused\"\ntime=\"x\" level=warning msg=\"Failed, again. Error: later\"\n",
                "dial tcp 10.0.0.1:443: connect: connection refused",
            ),
            (
                "Trying to pull a/b:1...\nError: reading manifest 1 in a/b: manifest unknown\n",
                "reading manifest 1 in a/b: manifest unknown",
            ),
            (
                "Error response from daemon: manifest for debian:x not found: manifest unknown\n",
                "manifest for debian:x not found: manifest unknown",
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(trouble(text).as_deref(), Some(reason));
        }
        assert_eq!(trouble("Trying to pull docker.io/library/debian:12...\n"), None);
    }
}

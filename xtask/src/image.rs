//! The base image, `localhost/podbay/base:latest`: a Debian 12 userland in which a person (or an
//! orchestration tool that expects a whole machine) finds what they are used to.
//!
//! A registry is asked for the Debian in it; where none answers it is built from the host's own package sources.
//! The archive is kept in `target/podbay`, and its recipe is a label of the image: while both agree with this
//! file nothing is done, and nobody is asked.

mod pulled;

use crate::engine::Engine;
use crate::sh::{self, Context, Result};
use crate::{paths, table};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

pub const BASE: &str = "localhost/podbay/base:latest";
const RECIPE_LABEL: &str = "podbay.recipe";
const SUITE: &str = "bookworm";

/// Beyond Debian's essential packages and apt. `systemctl` is a stand-in that starts services without an
/// init system; `openssh-client` serves scp's old protocol on the far end; `busybox-static` is also where the
/// tests' small images come from.
const PACKAGES: [&str; 26] = [
    "adduser",
    "busybox-static",
    "ca-certificates",
    "curl",
    "file",
    "git",
    "htop",
    "iproute2",
    "iputils-ping",
    "less",
    "lsof",
    "nano",
    "netcat-openbsd",
    "openssh-client",
    "patch",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "rsync",
    "sudo",
    "systemctl",
    "tmux",
    "vim-tiny",
    "wget",
    "xz-utils",
];

/// Nobody reads manuals in a container, and they are a third of the files.
const LEAVE_OUT: [&str; 5] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
];

/// Run on the finished tree, which is `$1`.
const FINISH: [&str; 7] = [
    // Whoever is in the group sudo may become root without a password: the key that let them in is the proof.
    r#"set -e; f="$1/etc/sudoers.d/podbay"
       printf '%%%s ALL=(ALL:ALL) NOPASSWD: ALL\n' sudo root > "$f"; chmod 440 "$f""#,
    // sudo warns at each call where it may not change the limit of core files.
    r#"echo 'Set disable_coredump false' >> "$1/etc/sudo.conf""#,
    // Installing a package asks its systemctl for things only a real init system can do, and a stand-in that
    // complains makes every installation look broken.
    r#"set -e; real=/usr/lib/podbay/systemctl; mkdir -p "$1/usr/lib/podbay"
       chroot "$1" dpkg-divert --quiet --local --rename --divert "$real" --add /usr/bin/systemctl
       { echo '#!/bin/sh'
         echo 'for word; do case $word in --global|preset|preset-all|set-property) exit 0 ;; esac; done'
         echo "exec $real \"\$@\""; } > "$1/usr/bin/systemctl"; chmod 755 "$1/usr/bin/systemctl""#,
    // Questions during an installation are answered with their defaults.
    r#"echo 'debconf debconf/frontend select Noninteractive' | chroot "$1" debconf-set-selections"#,
    r#"echo 'LANG=C.UTF-8' > "$1/etc/default/locale""#,
    r#"printf 'APT::Install-Recommends "false";\n' > "$1/etc/apt/apt.conf.d/90podbay""#,
    // The host's own names stay at home.
    r#"rm -f "$1/etc/resolv.conf" "$1/etc/hostname""#,
];

const PATH_IN_IMAGE: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn changes() -> Vec<String> {
    vec![
        r#"CMD ["/bin/bash"]"#.to_owned(),
        format!("ENV {PATH_IN_IMAGE}"),
        "ENV LANG=C.UTF-8".to_owned(),
        "WORKDIR /root".to_owned(),
        format!("LABEL {RECIPE_LABEL}={}", recipe()),
    ]
}

/// One word for everything above that decides what the image is, and for the registry's image if one is named.
fn recipe() -> String {
    let mut hasher = DefaultHasher::new();
    (SUITE, PACKAGES, LEAVE_OUT, FINISH, PATH_IN_IMAGE).hash(&mut hasher);
    if let Some(named) = std::env::var_os(pulled::VARIABLE) {
        named.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Makes it unless it is there. Whether it had to be made.
pub fn ensure_base(engine: &Engine) -> Result<bool> {
    let recipe = recipe();
    if engine.image_label(BASE, RECIPE_LABEL) == recipe {
        return Ok(false);
    }
    let folder = paths::own("")?;
    let archive = folder.join("base.tar");
    let stamp = folder.join("base.tar.recipe");
    let is_fresh = archive.exists() && std::fs::read_to_string(&stamp).is_ok_and(|text| text == recipe);
    if !is_fresh {
        if let Err(failure) = pulled::build(engine, &archive) {
            sh::say(format!("no base image from a registry ({failure})"));
            build(&archive)?;
        }
        std::fs::write(&stamp, &recipe).context(stamp.display())?;
    }
    let begin = Instant::now();
    engine.import(&archive, BASE, &changes())?;
    sh::say(format!("{BASE} imported into {} in {}", engine.name(), table::duration(begin.elapsed())));
    Ok(true)
}

fn build(archive: &Path) -> Result<()> {
    sh::say("building the base image from Debian packages, one or two minutes, this once");
    let begin = Instant::now();
    let partial = archive.with_extension("partial");
    let log = archive.with_extension("log");
    if let Err(first) = mmdebstrap(&partial, &log) {
        sh::say(format!("that failed ({first}); once more"));
        mmdebstrap(&partial, &log)?;
    }
    std::fs::rename(&partial, archive).context(archive.display())?;
    let size_mib = archive.metadata()?.len() >> 20;
    sh::say(format!("built: {size_mib} MiB in {}", table::duration(begin.elapsed())));
    Ok(())
}

fn mmdebstrap(archive: &Path, log: &Path) -> Result<()> {
    let _ = std::fs::remove_file(archive);
    let mut command = sh::guarded("mmdebstrap");
    command.args(["--variant=minbase", "--format=tar", "--aptopt=Acquire::Languages \"none\""]);
    command.args(["--aptopt=Acquire::Retries \"3\"", &format!("--include={}", PACKAGES.join(","))]);
    command.args(LEAVE_OUT.map(|option| format!("--dpkgopt={option}")));
    command.args(FINISH.map(|hook| format!("--customize-hook={hook}")));
    command.arg(SUITE).arg(archive).args(host_sources());
    let out = std::fs::File::create(log).context(log.display())?;
    let err = out.try_clone()?;
    let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status().context("mmdebstrap")?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    Err(format!("mmdebstrap: {status}\n{}\n(all of it: {})", sh::tail(&text, 15), log.display()).into())
}

/// The files that say where this host gets the same suite from; without any mmdebstrap knows Debian's own.
/// Other vendors' files beside them are not followed: what they bring has no place in the image.
fn host_sources() -> Vec<PathBuf> {
    ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
        .iter()
        .map(PathBuf::from)
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let is_local = text.contains("cdrom:") || text.contains("file:");
            lines.any(|line| line.contains(&format!("{SUITE} "))) && !is_local
        })
        .take(1)
        .collect()
}

/// Writes one file of an image, whether or not it was built on this machine.
pub fn copy_out(engine: &Engine, image: &str, inside: &str, outside: &Path) -> Result<()> {
    let container = sh::capture(engine.command().args(["create", "--network", "none", image, "true"]))?;
    let container = container.trim().to_owned();
    let from = format!("{container}:{inside}");
    let copied = sh::capture(engine.command().arg("cp").arg(from).arg(outside));
    engine.remove(&[container]);
    copied.map(drop)
}

/// `tar` with everything owned by root, as an image wants it.
pub fn tar() -> Command {
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--sort=name"]);
    command
}

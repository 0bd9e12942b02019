//! A private PostgreSQL for the tests: made, started and thrown away by one test run.

use crate::process::{Process, wait_until};
use crate::sh::{self, Context, Result};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

/// The folder with `initdb` and `postgres`. Debian keeps them out of PATH, one folder per version.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    // The newest first; versions are plain numbers.
    folders.sort_by_key(|path| {
        let version =
            path.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(version.unwrap_or(0))
    });
    folders
        .extend(sh::find("initdb").and_then(|path| Some(path.canonicalize().ok()?.parent()?.to_path_buf())));
    folders
        .into_iter()
        .find(|folder| ["initdb", "postgres"].iter().all(|name| sh::is_executable(&folder.join(name))))
}

pub struct Postgres {
    process: Process,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    /// PostgreSQL refuses to run as root, so root runs it as another user; and that user has to reach the
    /// files, which a home folder may forbid. Hence the system's temporary folder and not cargo's.
    pub fn start() -> Result<Self> {
        let programs = programs().context("PostgreSQL is not on this machine")?;
        let owner = if sh::is_root() { Some(system_user()?) } else { None };
        remove_stale();
        let folder = env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&folder).context(folder.display())?;
        let cluster = Self::start_in(&programs, &folder, owner);
        if cluster.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        cluster
    }

    fn start_in(programs: &Path, folder: &Path, owner: Option<(u32, u32)>) -> Result<Self> {
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(folder, Some(user), Some(group)).context(folder.display())?;
        }
        let data = folder.join("data");
        let mut create = sh::guarded(programs.join("initdb"));
        create.args([
            "--no-sync",
            "--auth=trust",
            "--username=podbay",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-D",
        ]);
        sh::capture(as_user(create.arg(&data).current_dir(folder), owner))?;

        let port = free_port()?;
        let log = folder.join("log");
        let mut serve = sh::guarded(programs.join("postgres"));
        serve.arg("-D").arg(&data).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
        {
            serve.args(["-c", setting]);
        }
        // The log is opened here, before the process becomes somebody else.
        let process = Process::start(as_user(serve.current_dir(folder), owner), &log)?;
        let mut cluster = Self { process, folder: folder.to_path_buf(), port };
        let ready = wait_until(Duration::from_secs(30), Duration::from_millis(50), || {
            cluster.process.ended().is_some()
                || fs::read_to_string(&log).is_ok_and(|text| text.contains(READY))
        });
        if !ready || cluster.process.ended().is_some() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("PostgreSQL did not start:\n{}", sh::tail(&text, 20)).into());
        }
        Ok(cluster)
    }

    pub fn url(&self) -> String {
        format!("postgres://podbay@127.0.0.1:{}/postgres", self.port)
    }
}

const PREFIX: &str = "podbay-postgres-";
const READY: &str = "database system is ready to accept connections";

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown: open sessions are ended, not waited for.
        self.process.stop("INT", Duration::from_secs(15));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What runs that were killed have left; their processes ended with them.
fn remove_stale() {
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn as_user(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.gid(group).uid(user),
        None => command,
    }
}

/// A user without rights: the one PostgreSQL's package makes, or the one every system has.
fn system_user() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            let line = users.lines().find(|line| line.split(':').next() == Some(*name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .context("there is neither a user postgres nor nobody")
}

/// A port that was free a moment ago. Whoever uses it must be ready to hear that it no longer is.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

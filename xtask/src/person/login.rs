//! `prime login`, `prime logout` and `prime config`: a new user on a machine of their own.

use super::browser::Browser;
use super::{Step, Walk, contains, same};
use crate::http::text;
use crate::process::{Process, wait_until};
use crate::server;
use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub const STEPS: &[Step] = &[
    ("config set-… points it here, and view shows it", set),
    ("login opens the page, and a key that is typed into it there lets it in", login),
    ("login --headless waits, and login-approve lets it in", login_in_terminal),
    ("the key of the login works", key_works),
    ("switch, config set-team-id and remove-team-id choose a team", teams),
    ("config save, use, envs, delete", environments),
    ("login that is refused ends", refused),
    ("logout forgets the key, asked or with --yes", logout),
    ("config reset forgets everything, asked or with --yes", reset),
];

/// The client asks every five seconds, and takes long to start where others keep the machine busy.
const POLL_MAX: Duration = Duration::from_secs(60);

fn home(walk: &Walk) -> PathBuf {
    walk.home.join("newcomer")
}

/// A browser that writes down what it is to show.
fn browser(walk: &Walk) -> PathBuf {
    home(walk).join("browser")
}

/// The client as it comes: only files tell it where to go.
fn newcomer(walk: &Walk, args: &[&str]) -> Command {
    let mut command = walk.command(&walk.client);
    for name in ["PRIME_API_BASE_URL", "PRIME_API_KEY", "PRIME_SSH_KEY_PATH"] {
        command.env_remove(name);
    }
    command.env("HOME", home(walk)).env("BROWSER", browser(walk)).args(args);
    command
}

fn prime(walk: &Walk, args: &[&str]) -> Result<String> {
    sh::capture(&mut newcomer(walk, args))
}

/// What the client keeps.
fn kept(walk: &Walk) -> Result<Value> {
    let file = home(walk).join(".prime/config.json");
    let text = fs::read_to_string(&file).context(file.display())?;
    serde_json::from_str(&text).context(text)
}

fn set(walk: &mut Walk) -> Result<()> {
    fs::create_dir_all(home(walk))?;
    let base = walk.server.api.base.clone();
    // As people copy it from elsewhere.
    prime(walk, &["config", "set-base-url", &format!("{base}/api/v1/")])?;
    prime(walk, &["config", "set-frontend-url", &base])?;
    let key = walk.key.private.display().to_string();
    prime(walk, &["config", "set-ssh-key-path", &key])?;
    prime(walk, &["config", "set-share-resources-with-team", "false"])?;
    // There is none of the two here; the client takes them all the same.
    prime(walk, &["config", "set-inference-url", &format!("{base}/inference")])?;
    prime(walk, &["config", "set-traces-url", &format!("{base}/traces")])?;
    prime(walk, &["config", "set-traces-opt-out", "true"])?;
    let view = prime(walk, &["config", "view"])?;
    let shown = [&base, "/inference", "/traces", "Not set", "Personal Account"];
    shown.iter().try_for_each(|part| contains(&view, part))
}

/// Starts a login and waits for what it shows: the process, its code, and the address of the page.
fn begin(walk: &Walk, args: &[&str], log: &str) -> Result<(Process, PathBuf, String, String)> {
    let log = home(walk).join(log);
    let mut process = Process::start(&mut newcomer(walk, args), &log)?;
    let page = format!("{}/dashboard/tokens/challenge?code=", walk.server.api.base);
    let shown = || fs::read_to_string(&log).unwrap_or_default();
    wait_until(POLL_MAX, Duration::from_millis(100), || {
        shown().contains("Waiting for authentication") || process.ended().is_some()
    });
    let said = shown();
    let (_, rest) = said.split_once(&page).context(format!("no address of a page in: {said}"))?;
    let code = rest.split_whitespace().next().unwrap_or_default().to_owned();
    Ok((process, log, page, code))
}

fn end(process: &mut Process, log: &PathBuf) -> Result<String> {
    wait_until(POLL_MAX, Duration::from_millis(100), || process.ended().is_some());
    let said = fs::read_to_string(log).context(log.display())?;
    if process.ended().is_some() { Ok(said) } else { Err(format!("it still waits: {said}").into()) }
}

fn podbay(walk: &Walk, args: &[&str]) -> Result<String> {
    let mut command = walk.command(server::binary("debug"));
    command.env("PODBAY_URL", &walk.server.api.base).env("PODBAY_API_KEY", &walk.server.api.key);
    sh::capture(command.args(args))
}

/// As a person does it: the client opens the page, they type a key into it, and the client has its own.
fn login(walk: &mut Walk) -> Result<()> {
    let opened = home(walk).join("opened");
    fs::write(browser(walk), format!("#!/bin/sh\necho \"$1\" > {}\n", opened.display()))?;
    fs::set_permissions(browser(walk), fs::Permissions::from_mode(0o755))?;
    let (mut process, log, page, code) = begin(walk, &["login"], "login.log")?;
    let shown = || fs::read_to_string(&opened).unwrap_or_default();
    wait_until(POLL_MAX, Duration::from_millis(50), || shown().ends_with('\n'));
    same(shown().trim(), &format!("{page}{code}"))?;
    let browser = Browser::open(&home(walk))?;
    browser.go(shown().trim())?;
    same(&browser.value("#code")?, &code)?;
    browser.type_into("#key", "a wrong key")?;
    browser.click("#approve")?;
    contains(&browser.read("#said")?, "Invalid token")?;
    browser.go(shown().trim())?;
    browser.type_into("#key", &walk.server.api.key)?;
    browser.type_into("#days", "1 day")?;
    browser.click("#approve")?;
    contains(&browser.read("#said")?, "Approved. The program has its key within seconds.")?;
    contains(&end(&mut process, &log)?, "Successfully logged in!")
}

/// The same in a terminal.
fn login_in_terminal(walk: &mut Walk) -> Result<()> {
    let (mut process, log, _, code) = begin(walk, &["login", "--headless"], "terminal.log")?;
    contains(&podbay(walk, &["login-approve", &code, "--expires-in", "1h"])?, "prime login")?;
    contains(&end(&mut process, &log)?, "Successfully logged in!")
}

fn key_works(walk: &mut Walk) -> Result<()> {
    contains(&prime(walk, &["whoami"])?, "@localhost")?;
    let kept = kept(walk)?;
    let key = kept["api_key"].as_str().unwrap_or_default();
    if key.is_empty() || key == walk.server.api.key {
        return Err(format!("no key of its own: {kept}").into());
    }
    contains(&prime(walk, &["pods", "list", "--output", "json"])?, "total_count")
}

fn teams(walk: &mut Walk) -> Result<()> {
    let list = walk.server.api.get("/api/v1/user/teams")?.ok("user/teams")?;
    let (team, name) = (text(&list, "/data/0/teamId"), text(&list, "/data/0/name"));
    prime(walk, &["config", "set-team-id", team])?;
    same(kept(walk)?["team_name"].as_str().unwrap_or_default(), name)?;
    contains(&prime(walk, &["whoami"])?, "Team")?;
    prime(walk, &["config", "remove-team-id"])?;
    contains(&sh::feed(&mut newcomer(walk, &["switch"]), b"2\n")?, &format!("Switched to team '{name}'"))?;
    contains(&prime(walk, &["switch", "personal"])?, "Switched to personal account")?;
    same(kept(walk)?["team_id"].as_str().unwrap_or_default(), "")
}

fn environments(walk: &mut Walk) -> Result<()> {
    prime(walk, &["config", "save", "here"])?;
    contains(&prime(walk, &["config", "envs"])?, "here")?;
    prime(walk, &["config", "use", "here"])?;
    contains(&prime(walk, &["--context", "here", "availability", "gpu-types"])?, "CPU_NODE")?;
    let base = kept(walk)?["base_url"].clone();
    same(base.as_str().unwrap_or_default(), &walk.server.api.base)?;
    prime(walk, &["config", "save", "there"])?;
    prime(walk, &["config", "delete", "there"]).map(drop)
}

fn refused(walk: &mut Walk) -> Result<()> {
    let (mut process, log, _, code) = begin(walk, &["login", "--headless"], "refused.log")?;
    podbay(walk, &["login-approve", &code, "--refuse"])?;
    contains(&end(&mut process, &log)?, "Challenge expired")
}

/// Whether the client has no key any more; then it gets one.
fn forgotten(walk: &Walk) -> Result<()> {
    same(kept(walk)?["api_key"].as_str().unwrap_or_default(), "")?;
    prime(walk, &["config", "set-base-url", &walk.server.api.base])?;
    prime(walk, &["config", "set-api-key", &walk.server.api.key])?;
    contains(&prime(walk, &["whoami"])?, "@localhost")
}

fn logout(walk: &mut Walk) -> Result<()> {
    sh::feed(&mut newcomer(walk, &["logout"]), b"y\n")?;
    forgotten(walk)?;
    prime(walk, &["logout", "--yes"])?;
    forgotten(walk)
}

fn reset(walk: &mut Walk) -> Result<()> {
    sh::feed(&mut newcomer(walk, &["config", "reset"]), b"y\n")?;
    forgotten(walk)?;
    prime(walk, &["config", "reset", "--yes"])?;
    same(kept(walk)?["api_key"].as_str().unwrap_or_default(), "")
}

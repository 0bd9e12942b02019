//! `podbay doctor`: everything between a person and a pod, one thing after the other.

use crate::clock;
use crate::commands::ssh_keys;
use crate::context::Context;
use crate::failure::{Code, Failure, Result};
use crate::output::NONE;
use crate::printable;
use podbay_api::client::{Client, Error};
use podbay_api::paths;
use podbay_api::users::{Access, WhoAmI};
use podbay_core::published::UserRole;
use serde::Serialize;
use std::fs;
use std::process::{Command, Stdio};

/// Seconds between two clocks that are worth a word: SSH and TLS certificates depend on time.
const SKEW_SECONDS_MAX: i64 = 30;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Good,
    Warning,
    Bad,
}

/// One check.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    result: Mark,
    text: String,
    advice: Option<String>,
    #[serde(skip)]
    code: Code,
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn good(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(check, Mark::Good, text, None, Code::Server);
    }

    fn warn(&mut self, check: &'static str, text: impl Into<String>, advice: &str) {
        self.add(check, Mark::Warning, text, Some(advice), Code::Server);
    }

    fn bad(&mut self, check: &'static str, text: impl Into<String>, advice: &str, code: Code) {
        self.add(check, Mark::Bad, text, Some(advice), code);
    }

    fn add(
        &mut self,
        check: &'static str,
        result: Mark,
        text: impl Into<String>,
        advice: Option<&str>,
        code: Code,
    ) {
        self.0.push(Check { check, result, text: text.into(), advice: advice.map(str::to_owned), code });
    }
}

/// Checks all of it; the exit code is that of the first thing that is bad.
pub async fn run(context: &mut Context<'_>) -> Result<()> {
    let mut report = Report::default();
    let reached = address(context, &mut report).await?;
    let user = if reached { key(context, &mut report).await? } else { None };
    let has_ssh = ssh_program(&mut report);
    if let Some((client, user)) = &user
        && allowed(user, "ssh_keys", false)
    {
        ssh_key(context, client, &mut report, has_ssh).await;
    }
    if let Some((client, user)) = &user
        && user.role.is(UserRole::Admin)
    {
        audit(client, &mut report).await;
    }
    let bad = report.0.iter().filter(|check| check.result == Mark::Bad).count();
    let code = report.0.iter().find(|check| check.result == Mark::Bad).map(|check| check.code);
    context.show(&report.0, |checks| checks.iter().map(text).collect())?;
    match code {
        None => Ok(()),
        Some(code) => Err(Failure::new(code, format!("{bad} of {} checks failed", report.0.len()))),
    }
}

fn text(check: &Check) -> String {
    let mark = match check.result {
        Mark::Good => "ok  ",
        Mark::Warning => "warn",
        Mark::Bad => "BAD ",
    };
    let mut text = format!("{mark}  {:8}  {}\n", check.check, printable::line(&check.text));
    if let Some(advice) = &check.advice {
        text.push_str(&format!("                → {}\n", printable::line(advice)));
    }
    text
}

async fn address(context: &Context<'_>, report: &mut Report) -> Result<bool> {
    let settings = &context.settings;
    let client = Client::new(&settings.url, None)?;
    let from = format!("{} (from {})", settings.url, settings.url_from);
    let health = match client.probe(paths::HEALTHZ).await {
        Ok(health) => health,
        Err(error) => {
            let advice = "check the address, that `podbay serve` runs there, and what is between";
            report.bad("address", format!("{from}: {error}"), advice, Code::Unreachable);
            return Ok(false);
        }
    };
    if health.status != 200 {
        let text = format!("{from} answers /healthz with HTTP {}: {}", health.status, health.text);
        report.bad("address", text, "check that the address is that of a podbay server", Code::Unreachable);
        return Ok(false);
    }
    report.good("address", format!("{from} answers"));
    plain_text(&settings.url, report);
    clock_skew(health.date.as_deref(), report);
    match client.probe(paths::READYZ).await {
        Ok(ready) if ready.status == 200 => report.good("ready", "the server can make pods"),
        Ok(ready) => {
            let text = format!("HTTP {}: {}", ready.status, ready.text);
            report.bad(
                "ready",
                text,
                "look at the server's log: database and engine must answer",
                Code::Server,
            );
        }
        Err(error) => report.bad("ready", error.to_string(), "look at the server's log", Code::Unreachable),
    }
    Ok(true)
}

fn plain_text(url: &str, report: &mut Report) {
    let near = ["http://127.", "http://localhost", "http://[::1]"];
    if url.starts_with("http://") && !near.iter().any(|start| url.starts_with(start)) {
        let advice = "put a TLS proxy or a VPN between, and use https://";
        report.warn("privacy", "the key crosses the network in plain text", advice);
    }
}

fn clock_skew(date: Option<&str>, report: &mut Report) {
    let server = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let Some(server) = server else { return };
    let skew = (clock::now().as_millis() - server.as_millisecond()) / 1000;
    if skew.abs() > SKEW_SECONDS_MAX {
        let side = if skew > 0 { "ahead of" } else { "behind" };
        let text = format!("this machine is {} s {side} the server", skew.abs());
        report.warn("clock", text, "let both machines take their time from NTP");
    } else {
        report.good("clock", "both machines agree about the time");
    }
}

async fn key(context: &mut Context<'_>, report: &mut Report) -> Result<Option<(Client, WhoAmI)>> {
    let from = context.settings.key_from.clone();
    let client = match context.client() {
        Ok(client) => client,
        Err(_) => {
            let advice = "set PODBAY_API_KEY, or name a file with --key-file or in the profile";
            report.bad("key", from, advice, Code::KeyRefused);
            return Ok(None);
        }
    };
    for warning in &context.settings.warnings {
        report.warn("key", warning.clone(), "then nobody else on this machine can use your key");
    }
    let user = match client.whoami().await {
        Ok(user) => user,
        Err(Error::Status { status: 401 | 403, problem }) => {
            let advice = "it is mistyped, expired or revoked: take another one";
            report.bad(
                "key",
                format!("the key (from {from}) was refused: {}", problem.text),
                advice,
                Code::KeyRefused,
            );
            return Ok(None);
        }
        Err(error) => {
            report.bad("key", error.to_string(), "look at the server's log", Failure::code_of(error));
            return Ok(None);
        }
    };
    let name = user.name.clone().unwrap_or_else(|| NONE.to_owned());
    report.good("key", format!("valid (from {from}); it belongs to {name}"));
    let needs = [("availability", false), ("instances", true), ("ssh_keys", true)];
    let lacking = needs.iter().filter(|(scope, write)| !allowed(&user, scope, *write));
    let lacking: Vec<String> =
        lacking.map(|(scope, write)| format!("{scope}={}", if *write { "write" } else { "read" })).collect();
    if lacking.is_empty() {
        report.good("scopes", "enough to order pods and log in");
    } else {
        let text = format!("the key lacks {}", lacking.join(", "));
        report.warn(
            "scopes",
            text,
            "some commands will be refused; a wider key is made with `podbay api-keys create`",
        );
    }
    Ok(Some((client, user)))
}

fn allowed(user: &WhoAmI, scope: &str, write: bool) -> bool {
    let access = user.scope.get(scope).copied().flatten();
    access.is_some_and(|Access { read, write: may_write }| may_write || (read && !write))
}

/// What the server's own auditor says; for its owner.
async fn audit(client: &Client, report: &mut Report) {
    match client.audit().await {
        Ok(audit) => {
            for finding in &audit.findings {
                let text = format!("{} {}: {}", finding.invariant, finding.of, finding.text);
                let advice = "docs/invariants.md says what that means; look at the server's log, too";
                report.bad("audit", text, advice, Code::Server);
            }
            match audit.trouble {
                Some(trouble) => {
                    let advice = "only the rows were compared; look at the container engine";
                    report.warn("audit", format!("the engine could not be looked at: {trouble}"), advice);
                }
                None if audit.findings.is_empty() => report.good("audit", "rows, engine and bills agree"),
                None => {}
            }
        }
        // A key that may not do everything, or an older server.
        Err(Error::Status { status: 403 | 404, .. }) => {}
        Err(error) => report.warn("audit", error.to_string(), "look at the server's log"),
    }
}

fn ssh_program(report: &mut Report) -> bool {
    let ran = Command::new("ssh").arg("-V").stdin(Stdio::null()).output();
    match ran {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            report.good("ssh", version);
            true
        }
        Err(error) => {
            report.bad("ssh", format!("cannot run ssh: {error}"), "install an OpenSSH client", Code::Server);
            false
        }
    }
}

async fn ssh_key(context: &Context<'_>, client: &Client, report: &mut Report, has_ssh: bool) {
    let registered = match client.ssh_keys().await {
        Ok(keys) => keys,
        Err(error) => {
            report.bad("ssh key", error.to_string(), "look at the server's log", Failure::code_of(error));
            return;
        }
    };
    if registered.is_empty() {
        let advice = "add one with `podbay ssh-keys add`; pods that run let it in at once";
        report.bad(
            "ssh key",
            "no SSH key is registered: you cannot log in to any pod",
            advice,
            Code::NotFound,
        );
        return;
    }
    let here = local_keys(context, has_ssh);
    let found =
        registered.iter().find(|key| material(&key.public_key).is_some_and(|own| here.contains(&own)));
    match found {
        Some(key) => report.good("ssh key", format!("{} is registered and is on this machine", key.name)),
        None => report.warn(
            "ssh key",
            format!("{} registered, but none found in ~/.ssh or in the SSH agent", registered.len()),
            "add this machine's with `podbay ssh-keys add`, or name the private key with `podbay pods ssh --identity`",
        ),
    }
}

/// The keys of this machine: those in `~/.ssh`, and those that the agent holds.
fn local_keys(context: &Context<'_>, has_ssh: bool) -> Vec<String> {
    let folder = context.environment.home.as_ref().map(|home| home.join(".ssh")).unwrap_or_default();
    let files = ssh_keys::FILES.iter().filter_map(|name| fs::read_to_string(folder.join(name)).ok());
    let mut keys: Vec<String> = files.filter_map(|line| material(&line)).collect();
    let agent = has_ssh.then(|| Command::new("ssh-add").arg("-L").stdin(Stdio::null()).output());
    if let Some(Ok(output)) = agent {
        keys.extend(String::from_utf8_lossy(&output.stdout).lines().filter_map(material));
    }
    keys
}

/// A public key without its comment.
fn material(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

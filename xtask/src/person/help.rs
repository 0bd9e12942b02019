//! Whether everything that the client's help lists was typed in this walk, or is noted as not applying.
//!
//! The client stands behind a script that writes down what it is called with, so the list is what was typed and
//! not what somebody remembers.

use super::{Step, Walk};
use crate::http::{rows, text};
use crate::paths;
use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const STEPS: &[Step] = &[("every command and option of the help was typed, or is noted", everything)];

const PAGE: &str = "docs/compatibility.md";
/// The part of the page where code means: not typed.
const HEADLINE: &str = "### Not typed, and why";

/// The client with the script in front of it.
pub fn written_down(client: &Path, home: &Path) -> Result<PathBuf> {
    let script = home.join("bin/prime");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\t' \"$@\" >> {0}\necho >> {0}\nexec {1} \"$@\"\n",
        typed(home).display(),
        client.display()
    );
    fs::write(&script, text).context(script.display())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

fn typed(home: &Path) -> PathBuf {
    home.join("typed")
}

fn everything(walk: &mut Walk) -> Result<()> {
    let noted = noted()?;
    let passed_over: Vec<&String> = noted.iter().filter(|code| !code.contains([' ', '-'])).collect();
    let mut python = Command::new(walk.environment.join("python"));
    python.arg(paths::root().join("xtask/person/help.py")).args(passed_over);
    let help = sh::capture(python.env("PRIME_DISABLE_VERSION_CHECK", "1").env("HOME", &walk.home))?;
    let help: Vec<Value> =
        help.lines().map(|line| serde_json::from_str(line).context(line)).collect::<Result<_>>()?;
    let typed = fs::read_to_string(typed(&walk.home))?;
    let typed: Vec<Vec<&str>> = typed.lines().map(|line| line.split('\t').collect()).collect();
    let mut missing = BTreeSet::new();
    for entry in &help {
        let command = text(entry, "/command");
        let words: Vec<&str> = command.split_whitespace().collect();
        let calls: Vec<&Vec<&str>> = typed.iter().filter(|call| is_of(call, &words)).collect();
        if entry["is_leaf"] == Value::Bool(true) && calls.is_empty() {
            missing.insert(command.to_owned());
        }
        for names in rows(entry, "/options") {
            let names: Vec<&str> = rows(names, "").iter().filter_map(Value::as_str).collect();
            // Every command has these two: one is what was just read, and one is everybody's.
            if names.contains(&"--help") || names == ["--plain"] && !words.is_empty() {
                continue;
            }
            let (long, short): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.starts_with("--"));
            for long in long {
                let is_it = |word: &&str| *word == long || short.contains(word);
                let option = format!("{command} {long}").trim().to_owned();
                if !calls.iter().any(|call| call.iter().any(is_it)) && !noted.contains(&option) {
                    missing.insert(option);
                }
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_iter().collect();
    Err(format!("neither typed nor noted under {HEADLINE:?} in {PAGE}: {}", missing.join(", ")).into())
}

/// Whether a call is one of that command: its words come first, but for options and their values.
fn is_of(call: &[&str], command: &[&str]) -> bool {
    let Some(first) = command.first() else { return true };
    let Some(start) = call.iter().position(|word| word == first) else { return false };
    call[start..].starts_with(command)
}

/// What the page names in that part.
fn noted() -> Result<BTreeSet<String>> {
    let file = paths::root().join(PAGE);
    let page = fs::read_to_string(&file).context(file.display())?;
    let (_, part) = page.split_once(HEADLINE).context(format!("{PAGE} has no {HEADLINE:?}"))?;
    let part = part.split("\n#").next().unwrap_or_default();
    Ok(part.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

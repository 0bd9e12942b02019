//! Bounds on files and functions, with the ratchet for what is already larger.

use super::files::TextFile;
use super::source::{code_only, functions};
use crate::paths;
use crate::sh::{Context, Result};
use std::collections::BTreeMap;
use std::fs;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const RATCHET: &str = "xtask/tidy-ratchet.txt";
const PREFACE: &str = "\
# What is larger than the bounds of `cargo xtask tidy`, with its present number of lines: it may shrink, it never
# grows. `cargo xtask tidy --tighten` lowers the numbers and drops what has come within the bounds.
";

/// Sizes by what they belong to: `file path` or `fn path name`.
type Sizes = BTreeMap<String, usize>;

pub fn check(files: &[TextFile], is_tighten: bool, findings: &mut Vec<String>) -> Result<()> {
    let large = measure(files);
    let mut ratchet = read(files, findings);
    if is_tighten {
        ratchet.retain(|key, listed| match large.get(key) {
            Some(lines) => {
                *listed = (*listed).min(*lines);
                true
            }
            None => false,
        });
        let lines: String = ratchet.iter().map(|(key, lines)| format!("{key} {lines}\n")).collect();
        let path = paths::root().join(RATCHET);
        fs::write(&path, format!("{PREFACE}{lines}")).context(path.display())?;
    }
    for (key, lines) in &large {
        let bound = if key.starts_with("fn ") { FUNCTION_LINES_MAX } else { FILE_LINES_MAX };
        match ratchet.get(key) {
            None => {
                findings.push(format!("{key}: {lines} lines, {bound} are the bound; split it by purpose"))
            }
            Some(listed) if lines > listed => {
                findings.push(format!("{key}: {lines} lines, grown from {listed}; it may only shrink"));
            }
            Some(listed) if lines < listed => {
                findings
                    .push(format!("{key}: {lines} lines, {listed} listed; run `cargo xtask tidy --tighten`"));
            }
            Some(_) => {}
        }
    }
    for key in ratchet.keys().filter(|key| !large.contains_key(*key)) {
        findings.push(format!("{key}: within the bounds or gone; run `cargo xtask tidy --tighten`"));
    }
    Ok(())
}

/// Only what is over the bounds. Tests are long lists of cases and are left alone.
fn measure(files: &[TextFile]) -> Sizes {
    let mut large = Sizes::new();
    for file in files.iter().filter(|file| file.is("rs") && !file.is_in_tests()) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            large.insert(format!("file {}", file.path), lines);
        }
        for function in functions(&code_only(&file.text)) {
            if function.lines > FUNCTION_LINES_MAX {
                let key = format!("fn {} {}", file.path, function.name);
                let lines = function.lines.max(large.get(&key).copied().unwrap_or(0));
                large.insert(key, lines);
            }
        }
    }
    large
}

fn read(files: &[TextFile], findings: &mut Vec<String>) -> Sizes {
    let text =
        files.iter().find(|file| file.path == RATCHET).map(|file| file.text.as_str()).unwrap_or_default();
    let mut sizes = Sizes::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.rsplit_once(' ').and_then(|(key, lines)| Some((key, lines.parse().ok()?))) {
            Some((key, lines)) => {
                sizes.insert(key.to_owned(), lines);
            }
            None => findings.push(format!("{RATCHET}: cannot read {line:?}")),
        }
    }
    sizes
}

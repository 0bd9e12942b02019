//! Links between the documents: each leads to a file that is there.

use super::files::TextFile;
use crate::paths;
use std::path::Path;

pub fn check(files: &[TextFile], findings: &mut Vec<String>) {
    let root = paths::root();
    for file in files.iter().filter(|file| file.is("md")) {
        let folder = root.join(&file.path).parent().map(Path::to_path_buf).unwrap_or_default();
        for (line, target) in links(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if path.is_empty() || is_elsewhere {
                continue;
            }
            let place = match path.strip_prefix('/') {
                Some(from_root) => root.join(from_root),
                None => folder.join(path),
            };
            if !place.exists() {
                findings.push(format!("{}:{line}: the link to {target} leads nowhere", file.path));
            }
        }
    }
}

/// Targets of `[text](target)` outside code, with their line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        // Every second part between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for (_, rest) in prose.match_indices("](").map(|(at, _)| prose.split_at(at + 2)) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((index + 1, target.trim_matches(['<', '>']).to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn finds_links_outside_code() {
        let text = "see [a](b.md#c) and [`x`](../y)\n```\n[no](no)\n```\n`[no](no)` ![img](z.png \"t\")\n";
        let targets: Vec<_> =
            links(text).into_iter().map(|(line, target)| format!("{line} {target}")).collect();
        assert_eq!(targets, ["1 b.md#c", "1 ../y", "5 z.png"]);
    }
}

//! Words and shapes that have no place in a file.

use super::files::TextFile;
use super::source::code_only;

const COLUMNS_MAX: usize = 120;

struct Banned {
    word: &'static str,
    instead: &'static str,
}

/// In all Rust code.
const BANNED: [Banned; 3] = [
    Banned { word: "todo!", instead: "write it, or leave the caller without it" },
    Banned { word: "unimplemented!", instead: "write it, or leave the caller without it" },
    Banned {
        word: "#[ignore",
        instead: "a test that needs something reads an environment variable and says so",
    },
];

/// In test code, where waiting for time to pass makes tests slow when it works and flaky when it does not.
const BANNED_IN_TESTS: [Banned; 1] =
    [Banned { word: "sleep(", instead: "step the clock, or wait for the event itself" }];

/// The one use of it that is none: between two looks at another process, within a deadline. The
/// comment stands on the line above.
const PAUSE: &str = "// A pause between two looks.";

pub fn check(files: &[TextFile], findings: &mut Vec<String>) {
    for file in files {
        if file.is("rs") {
            let code = code_only(&file.text);
            find(file, &code, &BANNED, findings);
            if file.is_in_tests() {
                find(file, &code, &BANNED_IN_TESTS, findings);
            }
        }
        if !file.is_recorded() {
            check_lines(file, findings);
        }
    }
}

fn find(file: &TextFile, code: &str, banned: &[Banned], findings: &mut Vec<String>) {
    for (index, line) in code.lines().enumerate() {
        let above = index.checked_sub(1).and_then(|above| file.text.lines().nth(above));
        let is_pause = above.is_some_and(|above| above.trim() == PAUSE);
        for one in banned.iter().filter(|one| line.contains(one.word) && !is_pause) {
            findings.push(format!("{}:{}: `{}`: {}", file.path, index + 1, one.word, one.instead));
        }
    }
}

fn check_lines(file: &TextFile, findings: &mut Vec<String>) {
    // A table or a link cannot be broken, so prose has no bound.
    // Neither can a table that a test expects.
    let has_bound = ["rs", "py", "sh", "sql"].iter().any(|end| file.is(end)) && !file.is_in_tests();
    // Put together here, or this line would be a finding.
    let foreign = concat!("/wo", "rk/");
    for (index, line) in file.text.lines().enumerate() {
        let mut report = |what: &str| findings.push(format!("{}:{}: {what}", file.path, index + 1));
        if line.ends_with([' ', '\t']) {
            report("white space at the end of the line");
        }
        if has_bound && line.chars().count() > COLUMNS_MAX {
            report("longer than 120 columns");
        }
        if line.contains(foreign) {
            report("a path of one particular machine");
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(format!("{}: no line end at the end of the file", file.path));
    }
}

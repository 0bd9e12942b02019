//! The files of the repository: what git tracks or would track.

use crate::paths;
use crate::sh::{self, Result};
use std::fs;
use std::process::Command;

pub struct TextFile {
    /// Relative to the root, with slashes.
    pub path: String,
    pub text: String,
}

pub fn all() -> Result<Vec<TextFile>> {
    let root = paths::root();
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let mut files = Vec::new();
    for path in sh::capture(&mut list)?.split('\0').filter(|path| !path.is_empty()) {
        // A binary file, or one deleted but not yet committed, has no text to check.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

impl TextFile {
    pub fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }

    pub fn is_in_tests(&self) -> bool {
        self.path.split('/').any(|folder| folder == "tests" || folder == "benches")
    }

    /// Written by a program or recorded from the world: nobody formats these.
    pub fn is_recorded(&self) -> bool {
        let is_data =
            self.path.split('/').any(|folder| matches!(folder, "fixtures" | "snapshots" | "testdata"));
        is_data || self.is("snap") || self.is("lock") || self.is("svg")
    }
}

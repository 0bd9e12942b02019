//! Runs the program in an empty home.

use crate::stub::Stub;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An empty home, and what the program finds there.
pub struct Home {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What the program did.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    /// A home with nothing in it, and a key in the environment.
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }.variable("PODBAY_API_KEY", "pbk_test")
    }

    /// The same, with the address of `stub` in the environment.
    pub fn at(stub: &Stub) -> Self {
        Self::new().variable("PODBAY_URL", &stub.url())
    }

    /// The same with this variable; an empty one counts as none.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in it that only its owner can read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A program in it, which is found before any other of that name.
    pub fn program(self, name: &str, script: &str) -> Self {
        let path = self.file(&format!("bin/{name}"), script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let folders = format!("{}:/usr/bin:/bin", path.parent().unwrap().display());
        self.variable("PATH", &folders)
    }

    /// Runs `podbay` with these arguments.
    pub fn podbay(&self, arguments: &[&str]) -> Done {
        self.feed(arguments, "")
    }

    /// The same, with this on stdin.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podbay"));
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| self.neutral(&String::from_utf8(bytes).unwrap());
        Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn neutral(&self, text: &str) -> String {
        let text = text.replace(&path_text(self.folder.path()), "HOME");
        match self.variables.iter().find(|(name, _)| name == "PODBAY_URL") {
            Some((_, url)) => text.replace(url, "URL"),
            None => text,
        }
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// Exit code, stdout and stderr, all three exact.
#[track_caller]
pub fn expect(done: &Done, code: i32, out: &str, err: &str) {
    assert_eq!((done.out.as_str(), done.err.as_str(), done.code), (out, err, code));
}

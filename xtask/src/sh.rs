//! Other programs: find them, run them, say plainly what went wrong.

use std::fmt::{self, Display};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What ends a command: a text for the person and the exit status. An empty text means that
/// everything has been said already.
#[derive(Debug)]
pub struct Failure {
    pub text: String,
    pub code: u8,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(text: impl Into<String>) -> Self {
        Self::with_code(text, 1)
    }

    pub fn with_code(text: impl Into<String>, code: u8) -> Self {
        Self { text: text.into(), code }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// `result.context("what was being done")`, because "No such file or directory" alone helps nobody.
pub trait Context<T> {
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl Display) -> Result<T> {
        self.ok_or_else(|| Failure::new(what.to_string()))
    }
}

/// Administration programs live outside a plain user's PATH on Debian.
const EXTRA_PATH: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(EXTRA_PATH.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A command whose process ends when this program ends, however that happens.
pub fn guarded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Another cargo, told nothing of the package that this program is: build scripts that look at such
/// variables would run anew at every change between the two, and half of the dependencies after them.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs with this program's own output; anything but success is a failure.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().context(describe(command))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{}: {status}", describe(command)))) }
}

/// Runs silently and returns what it wrote; on failure the error carries the end of its messages.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context(describe(command))?;
    text_of(command, output)
}

/// Like [`capture`], with something to read. For small inputs only: it is written before anything is read.
pub fn feed(command: &mut Command, input: &[u8]) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context(describe(command))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading is judged by its exit status, not by the broken pipe.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    text_of(command, output)
}

fn text_of(command: &Command, output: Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let messages = format!("{}{}", text, String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(format!("{}: {}\n{}", describe(command), output.status, tail(&messages, 30))))
}

pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it, shortened.
pub fn describe(command: &Command) -> String {
    let mut text =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    match text.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

pub fn tail(text: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(lines_max)..].join("\n")
}

/// Sends a signal to one process this program started.
pub fn signal(pid: u32, name: &str) -> bool {
    succeeds(Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]))
}

/// The first number of "id -u": are we root?
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// A headline of the tool itself, apart from what the programs it runs write.
pub fn say(text: impl Display) {
    println!("── {text}");
}

//! Why a command did not do what was asked: a sentence, what to do about it, and an exit code.

use podbay_api::client;
use std::io;

/// The exit codes. Scripts depend on them: never give a number another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The server reported an error.
    Server = 1,
    /// The command line is wrong (also what clap exits with).
    Usage = 2,
    /// The server cannot be reached, or what answers is no such server.
    Unreachable = 3,
    /// The key is missing, unknown, or may not do this.
    KeyRefused = 4,
    /// There is no such thing.
    NotFound = 5,
    /// It cannot be had now: no capacity, no money, or the state of things is against it.
    Conflict = 6,
    /// What was waited for did not come.
    WaitEnded = 7,
}

/// The codes, as `--help` tells them.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  the server reported an error
  2  the command line is wrong
  3  the server cannot be reached
  4  the key was refused
  5  there is no such pod, offer, key or team
  6  no capacity, no money, or a conflict
  7  waiting ended in an error or took too long";

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// It is told to the user.
    Told {
        /// Exit code.
        code: Code,
        /// What happened, in one line.
        text: String,
        /// More of it, a line each.
        more: Vec<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Whoever reads our output has closed it. Nothing to tell, and nobody to tell it to.
    OutputClosed,
}

/// What commands return.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with this code.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self::Told { code, text: text.into(), more: Vec::new(), hint: None }
    }

    /// A wrong command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// Something that does not exist.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(Code::NotFound, text)
    }

    /// Any other failure.
    pub fn server(text: impl Into<String>) -> Self {
        Self::new(Code::Server, text)
    }

    /// The same failure with advice.
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        if let Self::Told { hint, .. } = &mut self {
            *hint = Some(advice.into());
        }
        self
    }

    /// The same failure with these lines below it.
    pub fn more(mut self, lines: Vec<String>) -> Self {
        if let Self::Told { more, .. } = &mut self {
            *more = lines;
        }
        self
    }

    /// What a client's error would end the program with.
    pub fn code_of(error: client::Error) -> Code {
        match Self::from(error) {
            Self::Told { code, .. } => code,
            Self::OutputClosed => Code::Server,
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Told { code, .. } => *code as u8,
            Self::OutputClosed => 0,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::server(format!("cannot write the output: {error}")),
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let text = error.to_string();
        match error {
            client::Error::Setup(_) => Self::usage(text),
            client::Error::Unreachable { .. } => Self::new(Code::Unreachable, text).hint(
                "check the address (--url, PODBAY_URL or the profile), and that `podbay serve` runs there",
            ),
            client::Error::Malformed { .. } => {
                Self::new(Code::Unreachable, text).hint("check that the address is that of a podbay server")
            }
            client::Error::Status { status, problem } => {
                let lines = problem.fields.iter().map(ToString::to_string).collect();
                match status {
                    401 => Self::new(Code::KeyRefused, text).hint(
                        "the key is mistyped, expired or revoked; `podbay doctor` says which key is used",
                    ),
                    403 => {
                        Self::new(Code::KeyRefused, text).hint("`podbay whoami` shows what the key may do")
                    }
                    404 => Self::not_found(text),
                    402 | 409 => Self::new(Code::Conflict, text),
                    422 if !problem.fields.is_empty() => {
                        Self::server("the server refused what was asked (HTTP 422)").more(lines)
                    }
                    _ => Self::server(text),
                }
            }
        }
    }
}

//! The three streams, and which of them a person sits at.

use crate::failure::{Failure, Result};
use crate::printable;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

/// The three streams.
pub struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Whether stderr is a terminal: where progress may be drawn.
    pub err_is_terminal: bool,
    /// Whether somebody can answer a question.
    pub can_ask: bool,
    /// Whether stdout may have colours.
    pub color: bool,
}

impl Terminal {
    /// The streams of this process.
    pub fn new(no_color: bool) -> Self {
        let err_is_terminal = io::stderr().is_terminal();
        Self {
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            err_is_terminal,
            can_ask: io::stdin().is_terminal() && err_is_terminal,
            color: io::stdout().is_terminal() && !no_color,
        }
    }

    /// Data: to stdout, at once.
    pub fn data(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// A line of talk: to stderr. That nobody listens is no failure.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", printable::line(text));
    }

    /// Asks for a yes.
    pub fn confirm(&mut self, question: &str) -> Result<bool> {
        let _ = write!(self.err, "{} [y/N] ", printable::line(question));
        let _ = self.err.flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Tells a failure, and gives the exit code of it.
    pub fn report(&mut self, failure: &Failure) -> ExitCode {
        if let Failure::Told { text, more, hint, .. } = failure {
            self.say(&format!("error: {text}"));
            for line in more {
                self.say(&format!("  {line}"));
            }
            if let Some(hint) = hint {
                self.say(&format!("hint: {hint}"));
            }
        }
        ExitCode::from(failure.code())
    }
}

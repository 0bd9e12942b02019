//! What a client command works with.

use crate::cli::{Global, Output};
use crate::environment::Environment;
use crate::failure::{Code, Failure, Result};
use crate::settings::Settings;
use crate::terminal::Terminal;
use podbay_api::client::Client;
use std::time::Duration;

/// What a client command works with.
pub struct Context<'a> {
    /// The streams.
    pub terminal: &'a mut Terminal,
    /// Home and folder.
    pub environment: Environment,
    /// Server and key.
    pub settings: Settings,
    /// Form of the data.
    pub output: Output,
    /// Between two looks at something that is waited for.
    pub poll: Duration,
}

impl<'a> Context<'a> {
    /// Reads the settings, and says what is questionable about them.
    pub fn new(global: &Global, environment: Environment, terminal: &'a mut Terminal) -> Result<Self> {
        let settings = Settings::read(global, &environment)?;
        for warning in &settings.warnings {
            terminal.say(&format!("warning: {warning}"));
        }
        let poll = Duration::from_millis(global.poll_ms);
        Ok(Self { terminal, environment, settings, output: global.output, poll })
    }

    /// A client with the user's key.
    pub fn client(&self) -> Result<Client> {
        let Some(key) = &self.settings.key else {
            let place = "set PODBAY_API_KEY, or name a file with --key-file or in the profile";
            return Err(Failure::new(Code::KeyRefused, self.settings.key_from.clone())
                .hint(format!("{place}; `podbay serve` writes the first key to DATA_DIR/admin.key")));
        };
        Ok(Client::new(&self.settings.url, Some(key))?)
    }

    /// Whether the user agrees to something that cannot be taken back.
    pub fn agree(&mut self, yes: bool, question: &str) -> Result<()> {
        if yes {
            return Ok(());
        }
        if !self.terminal.can_ask {
            return Err(Failure::usage("this cannot be taken back, and nobody can be asked")
                .hint("say --yes if you are sure"));
        }
        if self.terminal.confirm(question)? {
            return Ok(());
        }
        Err(Failure::usage("nothing was done"))
    }
}

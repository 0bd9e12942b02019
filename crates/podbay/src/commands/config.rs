//! `podbay config`: the server's configuration.

use super::serve::failure;
use crate::failure::Result;
use crate::terminal::Terminal;
use clap::Subcommand;
use std::path::PathBuf;

/// Look at the server's configuration
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Read it as `serve` would, and say what is wrong or what it means
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

impl Config {
    /// Checks it.
    pub fn run(self, terminal: &mut Terminal) -> Result<()> {
        let Self::Check { config } = self;
        let text = podbay_server::cli::config_check(config).map_err(|error| failure(&error))?;
        terminal.data(&text)
    }
}

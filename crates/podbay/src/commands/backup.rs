//! `podbay backup` and `podbay restore`.

use super::serve::failure;
use crate::failure::Result;
use crate::terminal::Terminal;
use clap::Args;
use std::path::PathBuf;

/// Which installation, and which folder the backup is in.
#[derive(Debug, Args)]
pub struct Backup {
    /// Folder of the backup
    folder: PathBuf,
    /// Folder of the server's data
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Backup {
    /// Makes one.
    pub async fn make(self, terminal: &mut Terminal) -> Result<()> {
        let Self { folder, data_dir, config } = self;
        let done = podbay_server::cli::backup(&folder, data_dir, config).await;
        terminal.data(&done.map_err(|error| failure(&error))?)
    }

    /// Makes an installation of it.
    pub async fn restore(self, terminal: &mut Terminal) -> Result<()> {
        let Self { folder, data_dir, config } = self;
        let done = podbay_server::cli::restore(&folder, data_dir, config).await;
        terminal.data(&done.map_err(|error| failure(&error))?)
    }
}

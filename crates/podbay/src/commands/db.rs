//! `podbay db`: the server's database by itself.

use super::serve::failure;
use crate::failure::Result;
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// Show its version, and which servers work on it
    Status(Place),
    /// Bring it to this version without serving; servers of the version before may run on
    Migrate(Place),
    /// Copy a SQLite, whose server is stopped, into an empty PostgreSQL
    Copy {
        #[command(flatten)]
        place: Place,
        /// The SQLite, as in sqlite:///var/lib/podbay/podbay.db [default: that of the data folder]
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// The PostgreSQL, as in postgres://podbay@db.internal/podbay
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

/// Which installation.
#[derive(Debug, Args)]
pub struct Place {
    /// Folder of the server's data
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Db {
    pub async fn run(self, terminal: &mut Terminal) -> Result<()> {
        let done = match self {
            Self::Status(Place { data_dir, config }) => podbay_server::cli::db_status(data_dir, config).await,
            Self::Migrate(Place { data_dir, config }) => {
                podbay_server::cli::db_migrate(data_dir, config).await
            }
            Self::Copy { place: Place { data_dir, config }, from, to } => {
                podbay_server::cli::db_copy(from.as_deref(), &to, data_dir, config).await
            }
        };
        terminal.data(&done.map_err(|error| failure(&error))?)
    }
}

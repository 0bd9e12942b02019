//! `podbay serve`: hands over to the server.

use crate::failure::{Failure, Result};
use clap::Args;
use std::path::PathBuf;

/// The program that runs inside every pod, built by this crate's build script.
static AGENT: &[u8] = include_bytes!(env!("PODBAY_AGENT"));

/// Run the server
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder for everything that must survive a restart
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    /// Serves until it is told to stop.
    pub async fn run(self) -> Result<()> {
        let Self { listen, data_dir, config } = self;
        let args = podbay_server::cli::ServeArgs { listen, data_dir, config, agent: AGENT };
        podbay_server::cli::serve(args).await.map_err(|error| failure(&error))
    }
}

/// The sentence, and below it what it came from.
pub fn failure(error: &anyhow::Error) -> Failure {
    let causes = error
        .chain()
        .skip(1)
        .flat_map(|cause| cause.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
    let causes = causes.collect();
    let text = error.to_string();
    let mut lines = text.lines().map(str::to_owned);
    let first = lines.next().unwrap_or_default();
    let mut more: Vec<String> = lines.collect();
    more.extend::<Vec<String>>(causes);
    Failure::server(first).more(more)
}

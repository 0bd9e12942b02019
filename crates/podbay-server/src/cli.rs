//! What the program's `serve` and `config check` call.

use crate::backup;
use crate::config::Config;
use crate::{database, lifecycle};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Flags of `podbay serve`; each overrides file and environment.
#[derive(Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on.
    pub listen: Option<String>,
    /// Folder for everything that must survive a restart.
    pub data_dir: Option<PathBuf>,
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// The agent program that is mounted into every pod.
    pub agent: &'static [u8],
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The configuration is wrong, or something that the server cannot do without is missing; the
/// text says what to do.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(listen) = &args.listen {
        config.listen = listen.parse::<SocketAddr>().map_err(|_| {
            anyhow::anyhow!(
                "--listen {listen}: write an address and a port, as in 127.0.0.1:8080 or 0.0.0.0:80"
            )
        })?;
    }
    if let Some(data_dir) = args.data_dir {
        config.data_dir = data_dir;
    }
    config.data_dir = std::path::absolute(&config.data_dir)?;
    lifecycle::serve(config, args.agent).await
}

fn located(data_dir: Option<PathBuf>, file: Option<PathBuf>) -> anyhow::Result<Config> {
    let mut config = Config::load(file.as_deref())?;
    config.data_dir = std::path::absolute(data_dir.unwrap_or(config.data_dir))?;
    Ok(config)
}

/// Copies an installation into a new folder; the server may be running. What to say of it.
///
/// # Errors
/// What cannot be read or written, and why.
pub async fn backup(
    folder: &Path,
    data_dir: Option<PathBuf>,
    file: Option<PathBuf>,
) -> anyhow::Result<String> {
    let config = located(data_dir, file)?;
    backup::backup(&config, folder).await?;
    Ok(format!("{} is backed up in {}\n", config.data_dir.display(), folder.display()))
}

/// Makes an installation from a backup. What to say of it.
///
/// # Errors
/// What is in the way, and why.
pub async fn restore(
    folder: &Path,
    data_dir: Option<PathBuf>,
    file: Option<PathBuf>,
) -> anyhow::Result<String> {
    let config = located(data_dir, file)?;
    backup::restore(&config, folder).await?;
    Ok(format!(
        "{} is restored; machines that were made after the backup are told of and left alone\n",
        config.data_dir.display()
    ))
}

/// Where the database stands, and which servers work on it.
///
/// # Errors
/// It cannot be read.
pub async fn db_status(data_dir: Option<PathBuf>, file: Option<PathBuf>) -> anyhow::Result<String> {
    let config = located(data_dir, file)?;
    database::status(&config).await
}

/// Applies the migrations of this version, without serving. What to say of it.
///
/// # Errors
/// What is in the way, and why.
pub async fn db_migrate(data_dir: Option<PathBuf>, file: Option<PathBuf>) -> anyhow::Result<String> {
    let config = located(data_dir, file)?;
    database::migrate(&config).await
}

/// Copies the installation from its SQLite into an empty PostgreSQL. What to say of it.
///
/// # Errors
/// What is in the way, and why.
pub async fn db_copy(
    from: Option<&str>,
    to: &str,
    data_dir: Option<PathBuf>,
    file: Option<PathBuf>,
) -> anyhow::Result<String> {
    let config = located(data_dir, file)?;
    database::copy(&config, from, to).await
}

/// Checks a configuration and says what it means.
///
/// # Errors
/// What is wrong, by line.
pub fn config_check(file: Option<PathBuf>) -> anyhow::Result<String> {
    let config = Config::load(file.as_deref())?;
    let mut text = format!(
        "listen          {}\ndata_dir        {}\ndatabase        {}\npods reached at {}\nports           {}–{}\n",
        config.listen,
        config.data_dir.display(),
        if config.database == "sqlite" { "sqlite, in data_dir" } else { "postgres" },
        config.advertised(),
        config.ports.first,
        config.ports.last,
    );
    for (name, reference) in &config.images {
        text.push_str(&format!("image           {name} = {reference}\n"));
    }
    text.push_str("the configuration is good\n");
    Ok(text)
}

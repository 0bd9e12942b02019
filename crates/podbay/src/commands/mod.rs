//! One file per noun.

pub mod api_keys;
#[cfg(feature = "server")]
pub mod backup;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod db;
pub mod disks;
mod doctor;
pub mod join;
pub mod login_approve;
pub mod offers;
pub mod pods;
pub mod registry_credentials;
#[cfg(feature = "server")]
pub mod serve;
pub mod skypilot;
pub mod ssh_keys;
pub mod teams;
pub mod templates;
pub mod users;
pub mod wallet;
mod whoami;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::environment::Environment;
use crate::failure::Result;
use crate::terminal::Terminal;
use clap::CommandFactory;

/// Runs the command that was given.
pub async fn run(cli: Cli, environment: Environment, terminal: &mut Terminal) -> Result<()> {
    let command = match cli.command {
        #[cfg(feature = "server")]
        Command::Serve(serve) => return serve.run().await,
        #[cfg(feature = "server")]
        Command::Config(config) => return config.run(terminal),
        #[cfg(feature = "server")]
        Command::Backup(backup) => return backup.make(terminal).await,
        #[cfg(feature = "server")]
        Command::Restore(backup) => return backup.restore(terminal).await,
        #[cfg(feature = "server")]
        Command::Db(db) => return db.run(terminal).await,
        Command::Completions { shell } => return completions(shell, terminal),
        other => other,
    };
    let mut context = Context::new(&cli.global, environment, terminal)?;
    match command {
        Command::Offers(offers) => offers.run(&mut context).await,
        Command::Pods(pods) => pods.run(&mut context).await,
        Command::Disks(disks) => disks.run(&mut context).await,
        Command::SshKeys(keys) => keys.run(&mut context).await,
        Command::Templates(templates) => templates.run(&mut context).await,
        Command::RegistryCredentials(credentials) => credentials.run(&mut context).await,
        Command::ApiKeys(keys) => keys.run(&mut context).await,
        Command::Teams(teams) => teams.run(&mut context).await,
        Command::Join(join) => join.run(&mut context).await,
        Command::Wallet(wallet) => wallet.run(&mut context).await,
        Command::Users(users) => users.run(&mut context).await,
        Command::LoginApprove(approve) => approve.run(&mut context).await,
        Command::SkyPilot(skypilot) => skypilot.run(&mut context).await,
        Command::Whoami => whoami::run(&mut context).await,
        Command::Doctor => doctor::run(&mut context).await,
        Command::Completions { .. } => Ok(()),
        #[cfg(feature = "server")]
        Command::Serve(_)
        | Command::Config(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Db(_) => Ok(()),
    }
}

fn completions(shell: clap_complete::Shell, terminal: &mut Terminal) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "podbay", &mut script);
    terminal.data(&String::from_utf8_lossy(&script))
}

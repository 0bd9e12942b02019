//! The command line.

use crate::commands::{
    api_keys, disks, join, login_approve, offers, pods, registry_credentials, skypilot, ssh_keys, teams,
    templates, users, wallet,
};
#[cfg(feature = "server")]
use crate::commands::{backup, config, db, serve};
use crate::failure;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const AFTER: &str = "\
The key is never an argument. It is taken from --key-file FILE, from PODBAY_API_KEY, or from the profile:

  ~/.config/podbay/config.toml
    [profiles.default]
    url = \"http://127.0.0.1:8080\"
    key_file = \"~/.config/podbay/key\"";

/// Your machines as a GPU cloud: the server, and the commands to use it.
#[derive(Debug, Parser)]
#[command(name = "podbay", version, after_help = failure::HELP)]
#[command(after_long_help = format!("{AFTER}\n\n{}", failure::HELP))]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every client command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Address of the server [default: that of the profile, or http://127.0.0.1:8080]
    #[arg(long, global = true, env = "PODBAY_URL", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// File with the API key
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Profile of ~/.config/podbay/config.toml
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Form of the data on stdout
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table, value_name = "FORM")]
    pub output: Output,
    /// Milliseconds between two looks at something that is waited for
    #[arg(long, global = true, hide = true, default_value_t = 300, value_name = "MS")]
    pub poll_ms: u64,
}

/// Form of the data on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person
    Table,
    /// For a program
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    #[cfg(feature = "server")]
    Serve(serve::Serve),
    /// Look at the server's configuration
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Config(config::Config),
    /// Copy the server's data into a new folder, while it runs or not
    #[cfg(feature = "server")]
    Backup(backup::Backup),
    /// Make the server's data from a backup
    #[cfg(feature = "server")]
    Restore(backup::Backup),
    /// Look at the server's database, migrate it, copy it to PostgreSQL
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Db(db::Db),
    /// List what can be ordered
    Offers(offers::Offers),
    /// Order, look at, log in to and delete pods
    #[command(subcommand, visible_alias = "pod")]
    Pods(pods::Pods),
    /// Order, look at, grow and delete persistent disks
    #[command(subcommand, visible_alias = "disk")]
    Disks(disks::Disks),
    /// Manage the SSH keys that every pod of yours lets in
    #[command(subcommand)]
    SshKeys(ssh_keys::SshKeys),
    /// Manage images of your own, with what a pod of them is started with
    #[command(subcommand)]
    Templates(templates::Templates),
    /// Manage the log-ins of private registries
    #[command(subcommand)]
    RegistryCredentials(registry_credentials::RegistryCredentials),
    /// Manage API keys
    #[command(subcommand)]
    ApiKeys(api_keys::ApiKeys),
    /// Manage teams, which share pods and a wallet
    #[command(subcommand, visible_alias = "team")]
    Teams(teams::Teams),
    /// Accept an invitation into a team
    Join(join::Join),
    /// Show what is left to spend, and what was billed
    Wallet(wallet::Wallet),
    /// Manage the users of the server; only its owner may
    #[command(subcommand)]
    Users(users::Users),
    /// Let a program that shows this code have an API key of yours
    LoginApprove(login_approve::LoginApprove),
    /// Let SkyPilot order pods here
    #[command(subcommand, name = "skypilot")]
    SkyPilot(skypilot::SkyPilot),
    /// Show whose key this is and what it may do
    Whoami,
    /// Check address, key, clock and SSH, and say what to do
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

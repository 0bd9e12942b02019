//! `podbay`: the server, and every client command, in one program.
//!
//! What goes to stdout is data, for a person as a table and for a program as JSON; everything
//! that is said goes to stderr. Each kind of failure has an exit code of its own (see
//! [`failure::Code`]). Client commands go through the API and never to a database or an engine.

mod cli;
mod clock;
mod commands;
mod context;
mod environment;
mod failure;
mod find;
mod output;
mod printable;
mod secret;
mod settings;
mod terminal;
mod wait;

use clap::Parser;
use environment::Environment;
use failure::{Failure, Result};
use std::process::ExitCode;
use terminal::Terminal;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let environment = Environment::read();
    let mut terminal = Terminal::new(environment.no_color);
    let result = run(cli, environment, &mut terminal);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => terminal.report(&failure),
    }
}

fn run(cli: cli::Cli, environment: Environment, terminal: &mut Terminal) -> Result<()> {
    // Fails only if a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::server(format!("cannot start: {error}")))?;
    runtime.block_on(commands::run(cli, environment, terminal))
}

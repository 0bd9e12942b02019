//! `podbay registry-credentials`.

use crate::context::Context;
use crate::failure::Result;
use crate::output::{Rows, time};
use crate::{find, secret};
use clap::Subcommand;
use podbay_api::templates::{self, AddRegistryCredentials};
use std::path::PathBuf;

/// Manage the log-ins of private registries
#[derive(Debug, Subcommand)]
pub enum RegistryCredentials {
    /// List them
    List,
    /// Add one
    Add {
        /// Display name
        name: String,
        /// Registry, as it stands at the head of image references
        #[arg(long, value_name = "HOST[:PORT]")]
        server: String,
        /// Login name
        #[arg(long)]
        username: String,
        /// File with the password or token, or - for stdin
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// Delete one; templates that name it cannot be ordered any more
    Delete {
        /// Id, beginning of one, or name
        credentials: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl RegistryCredentials {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List => {
                let all = client.registry_credentials().await?;
                context.list(&all, "there are no registry credentials", table)
            }
            Self::Add { name, server, username, password_file } => {
                let password = secret::read(&password_file)?;
                let added = AddRegistryCredentials { name, server, username, password };
                let added = client.registry_credentials_add(&added).await?;
                context.terminal.say("added");
                context.list(&[added], "", table)
            }
            Self::Delete { credentials, yes } => {
                let all = client.registry_credentials().await?;
                let one = find::one(all, &credentials, "registry credentials")?;
                context.agree(yes, &format!("Delete registry credentials {} ({})?", one.name, one.id))?;
                client.registry_credentials_delete(&one.id).await?;
                context.terminal.say(&format!("deleted registry credentials {} ({})", one.name, one.id));
                Ok(())
            }
        }
    }
}

fn table(all: &[templates::RegistryCredentials]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "SERVER", "ADDED"]);
    for one in all {
        rows.push(vec![one.id.clone(), one.name.clone(), one.server.clone(), time(&one.created_at)]);
    }
    rows
}

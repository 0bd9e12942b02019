//! `podbay users`: for the owner of the server.

use crate::context::Context;
use crate::failure::Result;
use crate::output::{Rows, or_none, time};
use crate::printable;
use clap::Subcommand;
use podbay_api::users::{CreateUser, User};

/// Manage the users of the server; only its owner may
#[derive(Debug, Subcommand)]
pub enum Users {
    /// List them
    List,
    /// Make one; the first API key is shown this one time
    Create {
        /// Name
        name: String,
        /// Mail address
        #[arg(long, value_name = "ADDRESS")]
        email: String,
    },
}

impl Users {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List => context.list(&client.users().await?, "there are no users", table),
            Self::Create { name, email } => {
                let made = client.user_create(&CreateUser { name, email }).await?;
                context.terminal.say(&format!("made user {} ({})", made.user.name, made.user.id));
                context.terminal.say("keep this key: it is shown this one time");
                context.show(&made, |made| format!("{}\n", printable::line(&made.key)))
            }
        }
    }
}

fn table(users: &[User]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "EMAIL", "SLUG", "ROLE", "MADE"]);
    for user in users {
        rows.push(vec![
            user.id.clone(),
            user.name.clone(),
            user.email.clone(),
            or_none(user.slug.as_ref()),
            user.role.to_string(),
            time(&user.created_at),
        ]);
    }
    rows
}

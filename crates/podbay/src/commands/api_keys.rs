//! `podbay api-keys`.

use crate::clock;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::find;
use crate::output::{Rows, or_none, time};
use crate::printable;
use clap::{Args, Subcommand};
use podbay_api::api_keys::{ApiKey, CreateApiKey};
use podbay_core::Timestamp;
use podbay_core::permission::{Level, Scope, Scopes};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Manage API keys
#[derive(Debug, Subcommand)]
pub enum ApiKeys {
    /// List them, revoked ones included
    List,
    /// Make one; its secret is shown this one time
    Create(Create),
    /// Revoke one, at once and for good
    Revoke {
        /// Id, beginning of one, or name
        key: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Make an API key
#[derive(Debug, Args)]
pub struct Create {
    /// Display name
    name: String,
    /// What it may do, as in instances=write; may be given several times
    #[arg(long = "scope", value_name = "SCOPE=LEVEL", value_parser = scope, required_unless_present = "full")]
    scopes: Vec<(Scope, Level)>,
    /// It may do everything
    #[arg(long, conflicts_with = "scopes")]
    full: bool,
    /// How long it is valid, as in 30d or 12h [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = crate::wait::duration)]
    expires_in: Option<Duration>,
    /// Write the key to this new file instead of stdout
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub(super) fn scope(text: &str) -> std::result::Result<(Scope, Level), String> {
    let names = || Scope::ALL.map(Scope::name).join(", ");
    let (name, level) = text.split_once('=').ok_or("write SCOPE=read or SCOPE=write")?;
    let scope = Scope::parse(name).ok_or_else(|| format!("the scopes are {}", names()))?;
    match level {
        "read" => Ok((scope, Level::Read)),
        "write" => Ok((scope, Level::Write)),
        _ => Err("the levels are read and write".to_owned()),
    }
}

/// Levels one by one as a whole; what is not named is nothing.
pub(super) fn sum(levels: &[(Scope, Level)]) -> Scopes {
    levels.iter().fold(Scopes::default(), |sum, (scope, level)| sum.with(*scope, *level))
}

impl ApiKeys {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List => {
                let keys = client.api_keys().await?;
                context.list(&keys, "there are no API keys", table)
            }
            Self::Create(create) => create.run(context).await,
            Self::Revoke { key, yes } => {
                let mut keys = client.api_keys().await?;
                keys.retain(|key| key.revoked_at.is_none());
                let key = find::one(keys, &key, "API key")?;
                context.agree(yes, &format!("Revoke API key {} ({})?", key.name, key.id))?;
                client.api_key_revoke(&key.id).await?;
                context.terminal.say(&format!("revoked API key {} ({})", key.name, key.id));
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let scopes = if self.full { Scopes::FULL } else { sum(&self.scopes) };
        let expires_at = self.expires_in.map(|duration| -> Timestamp { clock::now().plus(duration) });
        // Opened first: a key that cannot be kept must not be made.
        let file = self.save.as_deref().map(create_private).transpose()?;
        let made =
            context.client()?.api_key_create(&CreateApiKey { name: self.name, scopes, expires_at }).await;
        let made = match (made, &self.save) {
            (Ok(made), _) => made,
            (Err(error), path) => {
                // Ours and empty.
                let _ = path.as_ref().map(std::fs::remove_file);
                return Err(error.into());
            }
        };
        if let (Some(mut file), Some(path)) = (file, &self.save) {
            let write = writeln!(file, "{}", made.key).and_then(|()| file.sync_all());
            write.map_err(|error| {
                Failure::server(format!("cannot write {}: {error}", path.display())).hint(format!(
                    "the key is lost; revoke it with `podbay api-keys revoke {}`",
                    made.record.id
                ))
            })?;
            context.terminal.say(&format!("the key is in {}", path.display()));
            return context.list(&[made.record], "", table);
        }
        context.terminal.say("keep this key: it is shown this one time");
        context.show(&made, |made| format!("{}\n", printable::line(&made.key)))
    }
}

fn create_private(path: &Path) -> Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Failure::usage(format!("cannot make {}: {error}", path.display())))
}

fn table(keys: &[ApiKey]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "SCOPES", "STATE", "LAST USED", "MADE"]);
    let now = clock::now().to_string();
    for key in keys {
        let state = match (&key.revoked_at, &key.expires_at) {
            (Some(at), _) => format!("revoked {}", time(at)),
            // Both are in the one style of the wire, which sorts as time does.
            (None, Some(at)) if *at <= now => format!("expired {}", time(at)),
            (None, Some(at)) => format!("until {}", time(at)),
            (None, None) => "valid".to_owned(),
        };
        rows.push(vec![
            key.id.clone(),
            key.name.clone(),
            scopes(key),
            state,
            or_none(key.last_used_at.as_deref().map(time)),
            time(&key.created_at),
        ]);
    }
    rows
}

pub(super) fn scopes(key: &ApiKey) -> String {
    if !key.scopes.is_empty() && key.scopes.values().all(|level| *level == Level::Write) {
        return "full".to_owned();
    }
    let named = key.scopes.iter().filter_map(|(name, level)| match level {
        Level::None => None,
        Level::Read => Some(format!("{name}=read")),
        Level::Write => Some(format!("{name}=write")),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "none".to_owned() } else { named.join(" ") }
}

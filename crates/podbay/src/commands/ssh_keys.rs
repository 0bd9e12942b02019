//! `podbay ssh-keys`.

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::find;
use crate::output::{Rows, time};
use clap::Subcommand;
use podbay_api::ssh_keys::{AddSshKey, SshKey};
use podbay_core::limits;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files that a key is looked for in, best first.
pub const FILES: [&str; 3] = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];

/// Manage the SSH keys that every pod of yours lets in
#[derive(Debug, Subcommand)]
pub enum SshKeys {
    /// List them
    List,
    /// Add a public key; pods that run let it in within a second
    Add {
        /// File that ends in .pub, or - for stdin [default: the first of ~/.ssh/id_{ed25519,ecdsa,rsa}.pub]
        file: Option<PathBuf>,
        /// Display name [default: the key's comment]
        #[arg(long)]
        name: Option<String>,
    },
    /// Delete a key; sessions that it opened end within a second
    Delete {
        /// Id, beginning of one, or name
        key: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a key the primary one
    SetPrimary {
        /// Id, beginning of one, or name
        key: String,
    },
}

impl SshKeys {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List => {
                let keys = client.ssh_keys().await?;
                context.list(&keys, "no SSH key is registered; add one with `podbay ssh-keys add`", table)
            }
            Self::Add { file, name } => {
                let line = read(file, context.environment.home.as_deref())?;
                let name = name.unwrap_or_else(|| comment(&line));
                let key = client.ssh_key_add(&AddSshKey { name, public_key: line }).await?;
                context.terminal.say("added");
                context.list(&[key], "", table)
            }
            Self::Delete { key, yes } => {
                let key = find::one(client.ssh_keys().await?, &key, "SSH key")?;
                context.agree(yes, &format!("Delete SSH key {} ({})?", key.name, key.id))?;
                client.ssh_key_delete(&key.id).await?;
                context.terminal.say(&format!("deleted SSH key {} ({})", key.name, key.id));
                Ok(())
            }
            Self::SetPrimary { key } => {
                let key = find::one(client.ssh_keys().await?, &key, "SSH key")?;
                client.ssh_key_set_primary(&key.id).await?;
                context.terminal.say(&format!("{} ({}) is the primary key now", key.name, key.id));
                Ok(())
            }
        }
    }
}

fn table(keys: &[SshKey]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "PRIMARY", "KEY", "ADDED"]);
    for key in keys {
        let primary = if key.is_primary { "yes" } else { "" };
        rows.push(vec![
            key.id.clone(),
            key.name.clone(),
            primary.to_owned(),
            short(&key.public_key),
            time(&key.created_at),
        ]);
    }
    rows
}

/// The kind of the key, and the end of it: the beginning is the same for all keys of a kind.
fn short(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end: Vec<char> = key.chars().rev().take(12).collect();
    format!("{kind} …{}", end.into_iter().rev().collect::<String>())
}

fn read(file: Option<PathBuf>, home: Option<&Path>) -> Result<String> {
    let place = match file {
        Some(file) => file,
        None => {
            let folder = home.map(|home| home.join(".ssh")).unwrap_or_default();
            let found = FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
            found.ok_or_else(|| {
                Failure::usage(format!("there is no public key in {}", folder.display()))
                    .hint("make one with `ssh-keygen -t ed25519`, or name the file")
            })?
        }
    };
    let failed =
        |error: &dyn std::fmt::Display| Failure::usage(format!("cannot read {}: {error}", place.display()));
    let mut text = String::new();
    let limit = limits::SSH_KEY_BYTES_MAX as u64 + 1;
    if place.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    } else {
        let file = fs::File::open(&place).map_err(|error| failed(&error))?;
        file.take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    }
    if text.contains("PRIVATE KEY") {
        return Err(Failure::usage(format!("{} is a private key; nothing was sent", place.display()))
            .hint("name the public one: the file beside it that ends in .pub"));
    }
    if text.len() as u64 >= limit || text.trim().is_empty() {
        return Err(failed(&"it is no public key"));
    }
    Ok(text.trim().to_owned())
}

/// The comment of a key line, or a name for a key without.
fn comment(line: &str) -> String {
    let comment = line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    if comment.is_empty() { "key".to_owned() } else { comment.chars().take(limits::NAME_CHARS_MAX).collect() }
}

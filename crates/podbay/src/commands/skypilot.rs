//! `podbay skypilot`: the two files that SkyPilot reads.
//!
//! SkyPilot knows this API as the cloud `primeintellect`. Offers come from a catalog file and never from the
//! server; address and key come from the file of the published command line client, so that what is
//! written there counts for both.

use crate::context::Context;
use crate::environment::variable;
use crate::failure::{Failure, Result};
use clap::{Args, Subcommand};
use podbay_api::client::Client;
use podbay_core::permission::Scope;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const CATALOG: &str = ".sky/catalogs/v8/primeintellect/vms.csv";
const CONFIG: &str = ".prime/config.json";
/// What it was before the first `install` that changed its server.
const BEFORE: &str = ".prime/config.json.before-podbay";
/// All that SkyPilot asks of a key, and the catalog.
const NEEDED: [Scope; 3] = [Scope::Availability, Scope::Instances, Scope::SshKeys];

/// Let SkyPilot order pods here
#[derive(Debug, Subcommand)]
pub enum SkyPilot {
    /// Write the catalog of offers, and address and key, where SkyPilot looks for them; again after a change
    Install {
        #[command(flatten)]
        place: Place,
        /// Do not ask before another server's address and key are replaced
        #[arg(long, short)]
        yes: bool,
    },
    /// Take both away again, and put back what was there before
    Uninstall {
        #[command(flatten)]
        place: Place,
    },
}

/// Whose SkyPilot
#[derive(Debug, Args)]
pub struct Place {
    /// Home of the user that SkyPilot's API server runs as [default: yours]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

struct Files {
    catalog: PathBuf,
    config: PathBuf,
    before: PathBuf,
}

impl SkyPilot {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        match self {
            Self::Install { place, yes } => install(&place.files(context)?, yes, context).await,
            Self::Uninstall { place } => uninstall(&place.files(context)?, context),
        }
    }
}

impl Place {
    fn files(self, context: &Context<'_>) -> Result<Files> {
        let moved = variable("SKY_RUNTIME_DIR").map(PathBuf::from).filter(|_| self.home.is_none());
        let home = self.home.or_else(|| context.environment.home.clone());
        let home = home.ok_or_else(|| Failure::usage("there is no HOME; name it with --home"))?;
        let runtime = moved.unwrap_or_else(|| home.clone());
        Ok(Files { catalog: runtime.join(CATALOG), config: home.join(CONFIG), before: home.join(BEFORE) })
    }
}

async fn install(files: &Files, yes: bool, context: &mut Context<'_>) -> Result<()> {
    let client = context.client()?;
    let catalog = client.skypilot_catalog().await?;
    let key = context.settings.key.clone().unwrap_or_default();
    let mut config = read(&files.config)?.unwrap_or_default();
    // Without an address it is for the published service.
    let server = config.get("base_url").and_then(Value::as_str).unwrap_or("the published service");
    let is_other =
        config.get("api_key").is_some_and(|key| !key.is_null() && *key != "") && server != client.base();
    if is_other {
        let path = files.config.display();
        context.agree(yes, &format!("{path} has a key for {server}; use {} instead?", client.base()))?;
        keep(files, context)?;
    }
    if is_other || !config.contains_key("team_id") {
        // A team of another server is none here.
        config.insert("team_id".into(), Value::Null);
    }
    config.insert("api_key".into(), json!(key));
    config.insert("base_url".into(), json!(client.base()));
    write(&files.catalog, &catalog, 0o644, context)?;
    write(&files.config, &pretty(&config)?, 0o600, context)?;
    let offers = catalog.lines().count().saturating_sub(1);
    context.terminal.say(&format!("{offers} offers; now: sky api stop; sky check primeintellect"));
    let whoami = client.whoami().await?;
    let is_wide = |name: &String| !NEEDED.iter().any(|scope| scope.name() == name);
    if whoami.scope.iter().any(|(name, access)| access.is_some() && is_wide(name)) {
        context.terminal.say(
            "SkyPilot copies this key to every cluster that it makes, and it may do more than SkyPilot needs; \
             make one with `podbay api-keys create skypilot --scope availability=read --scope instances=write \
             --scope ssh_keys=write --save FILE`, and install again with --key-file FILE",
        );
    }
    Ok(())
}

fn uninstall(files: &Files, context: &mut Context<'_>) -> Result<()> {
    remove(&files.catalog, context)?;
    if files.before.exists() {
        fs::rename(&files.before, &files.config)
            .map_err(|error| failed("put back", &files.config, &error))?;
        context.terminal.say(&format!("put back {}", files.config.display()));
        return Ok(());
    }
    let Some(mut config) = read(&files.config)? else { return Ok(()) };
    let client = Client::new(&context.settings.url, None)?;
    let own = client.base();
    if config.get("base_url").and_then(Value::as_str) != Some(own) {
        context.terminal.say(&format!("left {} as it is: it is not for {own}", files.config.display()));
        return Ok(());
    }
    config.remove("base_url");
    config.remove("api_key");
    if config.values().all(Value::is_null) {
        return remove(&files.config, context);
    }
    write(&files.config, &pretty(&config)?, 0o600, context)
}

fn read(path: &Path) -> Result<Option<Map<String, Value>>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, &error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::usage(format!("{} is no JSON object: {error}", path.display())).hint("mend or remove it")
    })
}

/// Keeps what was there before the first change.
fn keep(files: &Files, context: &mut Context<'_>) -> Result<()> {
    if files.before.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(&files.config).map_err(|error| failed("read", &files.config, &error))?;
    write(&files.before, &text, 0o600, context)
}

fn pretty(config: &Map<String, Value>) -> Result<String> {
    serde_json::to_string_pretty(config).map_err(|error| Failure::server(error.to_string()))
}

/// Writes a file, whole or not at all, and says so; leaves one alone that has this text already.
fn write(path: &Path, text: &str, mode: u32, context: &mut Context<'_>) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        context.terminal.say(&format!("{} is as it should be", path.display()));
        return Ok(());
    }
    // Somebody's link to another place stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let fresh = target.with_extension("new");
    let write = || {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let _ = fs::remove_file(&fresh);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &target)
    };
    write().map_err(|error| failed("write", path, &error))?;
    context.terminal.say(&format!("wrote {}", path.display()));
    Ok(())
}

fn remove(path: &Path, context: &mut Context<'_>) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => context.terminal.say(&format!("removed {}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("remove", path, &error)),
    }
    Ok(())
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot {verb} {}: {error}", path.display()))
}

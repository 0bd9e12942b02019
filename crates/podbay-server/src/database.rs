//! `podbay db`: the database by itself, without a server.

use crate::app::Clock;
use crate::config::Config;
use crate::lifecycle::{lock, redact};
use anyhow::{Context, ensure};
use podbay_store::{Schema, Settings, Store};
use std::fmt::Write;

async fn open(url: &str, read_only: bool) -> anyhow::Result<Store> {
    let settings = Settings { read_only, readers: 1, ..Settings::at(url) };
    let what = || format!("cannot open the database {}: can it be reached?", redact(url));
    Store::open(&settings).await.with_context(what)
}

/// The database of that installation, which must be there: a wrong folder must not get a new one.
fn located(config: &Config) -> anyhow::Result<String> {
    let url = config.database_url();
    ensure!(
        config.is_shared() || std::path::Path::new(&url).is_file(),
        "there is no database {url}: is --data-dir right? A server makes one at its first start"
    );
    Ok(url)
}

async fn schema(store: &Store) -> anyhow::Result<Schema> {
    Ok(store.reader().await?.schema().await?)
}

pub(crate) async fn status(config: &Config) -> anyhow::Result<String> {
    let url = located(config)?;
    let store = open(&url, true).await?;
    let schema = schema(&store).await?;
    let mut text = format!(
        "database    {}\nmigration   {} of {}; {} to apply\nfor         podbay that knows migration {} or later\n",
        redact(&url),
        schema.applied,
        schema.known,
        schema.pending(),
        schema.floor
    );
    if schema.pending() > 0 {
        text.push_str("to do       podbay db migrate, or start a server of this version\n");
    } else if config.is_shared() {
        let now = Clock::system().now();
        for server in store.reader().await?.server_list().await? {
            let left = server.lease_until.since(now).as_secs();
            let lease = match left {
                0 => "its lease is over".to_owned(),
                left => format!("its lease has {left} s left"),
            };
            let (id, name, version) = (server.id, server.name, server.version);
            let _ = writeln!(
                text,
                "server      {id} on {name}, podbay {version}, since {}; {lease}",
                server.started_at
            );
        }
    }
    store.close().await;
    Ok(text)
}

pub(crate) async fn migrate(config: &Config) -> anyhow::Result<String> {
    let url = located(config)?;
    // A file has one writer; a PostgreSQL may be in use by servers of the version before.
    let _lock = if config.is_shared() { None } else { Some(lock(&config.data_dir)?) };
    let before = schema(&open(&url, true).await?).await?.applied;
    let store = open(&url, false).await?;
    let after = schema(&store).await?;
    store.close().await;
    Ok(format!("{} was at migration {before} and is at {}\n", redact(&url), after.applied))
}

pub(crate) async fn copy(config: &Config, from: Option<&str>, to: &str) -> anyhow::Result<String> {
    let file = config.data_dir.join("podbay.db").display().to_string();
    let from = from.unwrap_or(&file);
    ensure!(
        !from.starts_with("postgres"),
        "--from: only a SQLite can be copied, as in sqlite:///var/lib/podbay/podbay.db"
    );
    ensure!(
        to.starts_with("postgres"),
        "--to: write a PostgreSQL, as in postgres://podbay@db.internal/podbay"
    );
    let path = std::path::Path::new(from.trim_start_matches("sqlite://").trim_start_matches("sqlite:"));
    ensure!(path.is_file(), "there is no database {}: is --data-dir right?", path.display());
    // What a server wrote meanwhile would be lost.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _lock = lock(folder.unwrap_or_else(|| std::path::Path::new(".")))?;
    // Opened to be written: it is brought to this version first.
    let (source, target) = (open(from, false).await?, open(to, false).await?);
    let moved = source.move_to(&target).await?;
    source.close().await;
    target.close().await;
    let mut text = String::new();
    for (table, rows) in moved.iter().filter(|(_, rows)| *rows > 0) {
        let _ = writeln!(text, "{table:22}{rows:>10} rows");
    }
    let to = redact(to);
    let _ = writeln!(text, "copied to {to}; now write `database = \"{to}\"` into the configuration");
    text.push_str("(with the password, if it has one), keep the data folder, and start the server\n");
    Ok(text)
}

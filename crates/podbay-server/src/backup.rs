//! `podbay backup` and `podbay restore`: everything of an installation that its data folder holds and
//! that cannot be made anew, in a folder of its own.

use crate::app::Clock;
use crate::config::Config;
use crate::lifecycle::{lock, make_private, write_private};
use anyhow::{Context, ensure};
use podbay_store::{Settings, Store};
use std::fs;
use std::path::Path;

const DATABASE: &str = "podbay.db";
/// Without the first, pods get new SSH host keys; without the second, registry passwords are lost.
const SECRETS: [&str; 2] = ["host-keys.secret", "vault.secret"];

/// Copies the installation that `config` names into `folder`, which must not be there or be empty. The
/// server may be running.
///
/// # Errors
/// What cannot be read or written, and why.
pub async fn backup(config: &Config, folder: &Path) -> anyhow::Result<()> {
    ensure!(
        config.database == "sqlite",
        "the database is PostgreSQL: copy it with pg_dump, and the files {} of {} beside it",
        SECRETS.join(" and "),
        config.data_dir.display()
    );
    let source = config.data_dir.join(DATABASE);
    ensure!(source.is_file(), "there is no database {}: is --data-dir right?", source.display());
    make_private(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut inside = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    ensure!(inside.next().is_none(), "{} is not empty: name a new folder", folder.display());
    let copy = folder.join(DATABASE);
    let at = Clock::system().now();
    let settings = Settings { read_only: true, readers: 1, ..Settings::at(source.display().to_string()) };
    let store = Store::open(&settings).await.context("cannot read the database")?;
    store.copy_to(&copy, at).await.context("cannot copy the database")?;
    store.close().await;
    for name in SECRETS {
        let bytes = fs::read(config.data_dir.join(name)).with_context(|| format!("cannot read {name}"))?;
        write_private(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// Makes the data folder that `config` names from a backup. What the engine was given after the backup
/// is then found, told of, and left alone.
///
/// # Errors
/// A server that runs there, a database that is there already, or a backup that is not whole.
pub async fn restore(config: &Config, folder: &Path) -> anyhow::Result<()> {
    ensure!(config.database == "sqlite", "the database is PostgreSQL: restore it with pg_restore");
    let data = &config.data_dir;
    for name in [DATABASE].iter().chain(&SECRETS) {
        let file = folder.join(name);
        ensure!(file.is_file(), "{} is not there: this is no backup, or not a whole one", file.display());
    }
    make_private(data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let _lock = lock(data)?;
    let target = data.join(DATABASE);
    ensure!(
        !target.exists(),
        "{} is there already: move it away first, with its -wal and -shm files",
        target.display()
    );
    // Under another name until it is whole: a server must never open half of it.
    let fresh = data.join("podbay.restoring");
    write_private(&fresh, &fs::read(folder.join(DATABASE))?)?;
    let at = Clock::system().now();
    podbay_store::restore_mark(&fresh, at).with_context(|| {
        format!("{} cannot be restored: `podbay backup` makes what can", folder.display())
    })?;
    // Only now: what is there already must not be lost to a backup that is none.
    for name in SECRETS {
        write_private(&data.join(name), &fs::read(folder.join(name))?)?;
    }
    fs::rename(&fresh, &target).with_context(|| format!("cannot write {}", target.display()))
}

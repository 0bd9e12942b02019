//! Which server and which key: arguments, then environment, then profile.
//!
//! The key is never an argument, because every user of a machine can read those. A profile's key
//! goes to the profile's server only: an address from elsewhere needs a key from elsewhere.

use crate::cli::Global;
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a server is if nothing says otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";
/// The profile that is used if none is named.
const PROFILE_DEFAULT: &str = "default";
/// Longest key file that is read.
const KEY_BYTES_MAX: u64 = 4096;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    url: Option<String>,
    key_file: Option<String>,
}

/// Which server and which key, and where both come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address.
    pub url: String,
    /// In words.
    pub url_from: String,
    /// Key.
    pub key: Option<String>,
    /// In words.
    pub key_from: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads arguments, environment and profile.
    pub fn read(global: &Global, environment: &Environment) -> Result<Self> {
        let file = environment.folder.as_ref().map(|folder| folder.join("config.toml"));
        let name = global.profile.as_deref().unwrap_or(PROFILE_DEFAULT);
        let profile = profile(file.as_deref(), name, global.profile.is_some())?;
        let (url, url_from) = match (&global.url, &profile.url) {
            (Some(url), _) => (url.clone(), "--url or PODBAY_URL".to_owned()),
            (None, Some(url)) => (url.clone(), format!("profile {name}")),
            (None, None) => (URL_DEFAULT.to_owned(), "the default".to_owned()),
        };
        let own =
            profile.url.as_deref().unwrap_or(URL_DEFAULT).trim_end_matches('/') == url.trim_end_matches('/');
        let mut settings =
            Self { url, url_from, key: None, key_from: "no key".to_owned(), warnings: Vec::new() };
        if let Some(path) = &global.key_file {
            settings.take_key_file(path, "--key-file".to_owned())?;
        } else if let Some(key) = &environment.api_key {
            settings.key = Some(key.trim().to_owned());
            settings.key_from = "PODBAY_API_KEY".to_owned();
        } else if let Some(path) = profile.key_file.as_ref().filter(|_| own) {
            let path = expand(path, environment.home.as_deref());
            settings.take_key_file(&path, format!("profile {name}, {}", path.display()))?;
        } else if profile.key_file.is_some() {
            settings.key_from = format!("no key: that of profile {name} is for another address");
        }
        Ok(settings)
    }

    fn take_key_file(&mut self, path: &Path, from: String) -> Result<()> {
        let failed =
            |why: String| Failure::usage(format!("cannot read the key file {}: {why}", path.display()));
        let meta = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        if meta.len() > KEY_BYTES_MAX {
            return Err(failed(format!("it has more than {KEY_BYTES_MAX} bytes, so it is no key")));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        if text.trim().is_empty() {
            return Err(failed("it is empty".to_owned()));
        }
        if others_can_read(&meta) {
            let warning = format!("others can read the key file; run `chmod 600 {}`", path.display());
            self.warnings.push(warning);
        }
        self.key = Some(text.trim().to_owned());
        self.key_from = from;
        Ok(())
    }
}

#[cfg(unix)]
fn others_can_read(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.is_file() && meta.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_can_read(_: &fs::Metadata) -> bool {
    false
}

fn profile(file: Option<&Path>, name: &str, must_exist: bool) -> Result<Profile> {
    let missing = |place: String| {
        if must_exist {
            Err(Failure::usage(format!("there is no profile {name}{place}")))
        } else {
            Ok(Profile::default())
        }
    };
    let Some(path) = file else { return missing(String::new()) };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return missing(format!(": {} does not exist", path.display()));
        }
        Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
    };
    let mut parsed: File = toml::from_str(&text).map_err(|error| {
        let lines = error.to_string().lines().map(str::to_owned).collect();
        Failure::usage(format!("{} is wrong", path.display())).more(lines)
    })?;
    match parsed.profiles.remove(name) {
        Some(profile) => Ok(profile),
        None => missing(format!(" in {}", path.display())),
    }
}

/// A leading `~/` is the home folder, as people write it.
fn expand(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

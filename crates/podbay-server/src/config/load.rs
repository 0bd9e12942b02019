//! How the configuration is read: the file, and over it the environment.
//!
//! The variable of a key is `PODBAY_` and its path in capitals, joined by `_`: `engine.url` is
//! `PODBAY_ENGINE_URL`. A text is taken as it is; all else is written as in the file, lists and tables in one line.
//! Each key is judged by itself, so that one look tells everything that is wrong.

use super::Config;
use super::check::Finding;
use super::document::{Document, Written, accept};
use super::mistake::{ConfigError, Mistake, Mistakes, Place};
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

/// Every key; a test compares them with the fields of [`Config`].
pub(super) const KEYS: &[&str] = &[
    "listen",
    "data_dir",
    "database",
    "public_address",
    "log",
    "owner",
    "engine.url",
    "engine.vcpus",
    "engine.memory_gb",
    "engine.disk_gb",
    "engine.memory_reserve_gb",
    "engine.when_lost",
    "engine.lost_after_minutes",
    "ports.first",
    "ports.last",
    "prices.vcpu",
    "prices.memory_gb",
    "prices.disk_gb",
    "prices.gpu_default",
    "prices.gpu",
    "billing.prepaid",
    "billing.unlimited_balance_usd",
    "disks.size_default_gb",
    "disks.size_max_gb",
    "place.region",
    "place.country",
    "place.data_center",
    "place.security",
    "cpu_sizes",
    "images",
    "registries",
    "registry_allow",
    "limits.connections",
    "limits.connections_per_address",
    "limits.read",
    "limits.write",
    "limits.create",
    "limits.failed_logins",
    "retention.events_days",
];

/// Those whose names the owner chooses: each entry is judged by itself.
const MAPS: &[&str] = &["images", "prices.gpu"];

impl Config {
    /// Reads `file` (defaults if `None`) and lets the environment of this process override it.
    ///
    /// # Errors
    /// All that is wrong, by line and variable.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::load_with(file, |name| std::env::var(name).ok())
    }

    /// As [`Config::load`], with the environment as an argument.
    ///
    /// # Errors
    /// All that is wrong, by line and variable.
    pub fn load_with(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
        };
        let text = file.map_or_else(|| Ok(String::new()), read)?;
        let fail = |mut all: Vec<Mistake>| {
            all.sort();
            all.dedup();
            let file = file.map(|path| path.display().to_string()).unwrap_or_default();
            Err(ConfigError::Mistakes(Mistakes { file, all }))
        };
        let document = match Document::parse(&text) {
            Ok(document) => document,
            Err(lines) => {
                let mistake = |(line, text)| Mistake { place: Place::Line(line), key: String::new(), text };
                return fail(lines.into_iter().map(mistake).collect());
            }
        };
        let mut reading = Reading::default();
        reading.take_document(&document);
        reading.take_variables(variable);
        match reading.finish(&document) {
            Ok(config) => Ok(config),
            Err(all) => fail(all),
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    /// What is good.
    table: toml::Table,
    mistakes: Vec<Mistake>,
    /// Keys whose value cannot be used.
    bad: Vec<&'static str>,
    /// Keys that a variable has set.
    from_variables: Vec<&'static str>,
}

impl Reading {
    fn take_document(&mut self, document: &Document<'_>) {
        for (line, key, text) in document.strangers(KEYS) {
            self.mistakes.push(Mistake { place: Place::Line(line), key, text });
        }
        for (key, written) in document.values(KEYS) {
            let mut errors = judge(key, written);
            if errors.is_empty() {
                match toml::Value::deserialize(ValueDeserializer::from(written.clone())) {
                    Ok(value) => set(&mut self.table, key, value),
                    Err(error) => errors.push(error),
                }
            }
            if !errors.is_empty() {
                self.bad.push(key);
            }
            self.mistakes.extend(errors.into_iter().map(|error| {
                let at = error.span().unwrap_or_else(|| written.span()).start;
                let (place, text) = (Place::Line(document.line(at)), error.message().to_owned());
                Mistake { place, key: key.to_owned(), text }
            }));
        }
    }

    fn take_variables(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for key in KEYS {
            let name = variable_of(key);
            let Some(text) = variable(&name) else { continue };
            match value_of(key, &text) {
                Ok(value) => {
                    set(&mut self.table, key, value);
                    self.from_variables.push(key);
                    self.bad.retain(|bad| bad != key);
                }
                Err(text) => {
                    self.bad.push(key);
                    self.mistakes.push(Mistake {
                        place: Place::Variable(name),
                        key: (*key).to_owned(),
                        text,
                    });
                }
            }
        }
    }

    /// The configuration, unless something is wrong or makes no sense.
    fn finish(mut self, document: &Document<'_>) -> Result<Config, Vec<Mistake>> {
        let config: Config = match std::mem::take(&mut self.table).try_into() {
            Ok(config) => config,
            Err(error) => {
                let text = error.to_string().trim_end().to_owned();
                self.mistakes.push(Mistake { place: Place::Nowhere, key: String::new(), text });
                return Err(self.mistakes);
            }
        };
        for finding in config.check().0 {
            // Compared with a default, something that is right may look wrong.
            let is_doubtful = finding.keys.iter().any(|key| self.bad.iter().any(|bad| is_within(key, bad)));
            if !is_doubtful {
                let place = self.place(&finding, document);
                let key = finding.keys.first().map(|key| readable(key)).unwrap_or_default();
                self.mistakes.push(Mistake { place, key, text: finding.text });
            }
        }
        if self.mistakes.is_empty() { Ok(config) } else { Err(self.mistakes) }
    }

    fn place(&self, finding: &Finding, document: &Document<'_>) -> Place {
        for key in &finding.keys {
            if let Some(set) = self.from_variables.iter().find(|set| is_within(key, set)) {
                return Place::Variable(variable_of(set));
            }
        }
        let exact = finding.keys.iter().find_map(|key| document.line_of(key));
        let around = || finding.keys.iter().find_map(|key| document.line_around(key));
        exact.or_else(around).map_or(Place::Nowhere, Place::Line)
    }
}

/// Whether `key` is `whole` or a part of it.
fn is_within(key: &str, whole: &str) -> bool {
    key.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A key without the numbers of elements: the line tells which one.
fn readable(key: &str) -> String {
    key.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".")
}

/// All that is wrong with the value of a key: elements of a list and entries of a map each for themselves.
fn judge(key: &str, written: &Written<'_>) -> Vec<toml::de::Error> {
    let Err(first) = accept(key, written.clone()) else { return Vec::new() };
    let parts: Vec<DeValue<'_>> = match written.get_ref() {
        DeValue::Array(list) => {
            list.iter().map(|element| DeValue::Array(DeArray::from_iter([element.clone()]))).collect()
        }
        DeValue::Table(map) if MAPS.contains(&key) => map
            .iter()
            .map(|(name, value)| DeValue::Table(DeTable::from_iter([(name.clone(), value.clone())])))
            .collect(),
        _ => Vec::new(),
    };
    let judged = parts.into_iter().map(|part| accept(key, Spanned::new(written.span(), part)));
    let errors: Vec<_> = judged.filter_map(Result::err).collect();
    if errors.is_empty() { vec![first] } else { errors }
}

fn variable_of(key: &str) -> String {
    format!("PODBAY_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// The text itself if the key can have it: an owner may be called 42. Else what it reads as.
fn value_of(key: &str, text: &str) -> Result<toml::Value, String> {
    let plain = Spanned::new(0..text.len(), DeValue::String(text.into()));
    let Err(no_text) = accept(key, plain) else { return Ok(toml::Value::String(text.to_owned())) };
    let written = match DeValue::parse(text) {
        Ok(written) => written,
        // Whoever opened a bracket did not mean a text.
        Err(error) if text.trim_start().starts_with(['[', '{']) => return Err(error.message().to_owned()),
        Err(_) => return Err(no_text.message().to_owned()),
    };
    let value = toml::Value::deserialize(ValueDeserializer::from(written.clone()));
    accept(key, written).and(value).map_err(|error| error.message().to_owned())
}

fn set(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

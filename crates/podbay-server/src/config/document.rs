//! The configuration file as it is written: what stands at which key, and in which line.

use super::Config;
use serde::Deserialize;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A value, and where it stands in the text.
pub(super) type Written<'t> = Spanned<DeValue<'t>>;

/// A file that is TOML.
pub(super) struct Document<'t> {
    text: &'t str,
    root: Written<'t>,
}

impl<'t> Document<'t> {
    /// Reads a file.
    ///
    /// # Errors
    /// The lines that are no TOML, with the reason of each.
    pub fn parse(text: &'t str) -> Result<Self, Vec<(usize, String)>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut wrong: Vec<(usize, String)> = errors
            .iter()
            .map(|error| (line(text, error.span().map_or(0, |span| span.start)), error.message().to_owned()))
            .collect();
        wrong.sort();
        // What follows in the same line is mostly a consequence.
        wrong.dedup_by_key(|(line, _)| *line);
        let root = Spanned::new(root.span(), DeValue::Table(root.into_inner()));
        if wrong.is_empty() { Ok(Self { text, root }) } else { Err(wrong) }
    }

    /// The line of a place in the text.
    pub fn line(&self, at: usize) -> usize {
        line(self.text, at)
    }

    /// The line of the value of a key, in which a number counts the elements of a list.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let (value, left) = self.descend(key);
        left.is_empty().then(|| self.line(value.span().start))
    }

    /// The line of the table or list in which a key should stand.
    pub fn line_around(&self, key: &str) -> Option<usize> {
        let (value, left) = self.descend(key);
        (left != key).then(|| self.line(value.span().start))
    }

    /// As far as the key goes, and what is left of it.
    fn descend<'k>(&self, key: &'k str) -> (&Written<'t>, &'k str) {
        let (mut value, mut left) = (&self.root, key);
        while !left.is_empty() {
            let (part, rest) = left.split_once('.').unwrap_or((left, ""));
            let inner = match value.get_ref() {
                DeValue::Table(table) => table.get(part),
                DeValue::Array(list) => part.parse().ok().and_then(|index: usize| list.get(index)),
                _ => None,
            };
            let Some(inner) = inner else { break };
            (value, left) = (inner, rest);
        }
        (value, left)
    }

    /// The values of `keys` that are written.
    pub fn values<'k>(&self, keys: &'k [&'k str]) -> Vec<(&'k str, &Written<'t>)> {
        let found = keys.iter().map(|key| (*key, self.descend(key)));
        found.filter(|(_, (_, left))| left.is_empty()).map(|(key, (value, _))| (key, value)).collect()
    }

    /// What is written that is not one of `keys`: its place, its key, and what is wrong with it.
    pub fn strangers(&self, keys: &[&str]) -> Vec<(usize, String, String)> {
        let mut found = Vec::new();
        if let DeValue::Table(root) = self.root.get_ref() {
            self.strangers_in("", root, keys, &mut found);
        }
        found
    }

    fn strangers_in(
        &self,
        path: &str,
        table: &DeTable<'t>,
        keys: &[&str],
        found: &mut Vec<(usize, String, String)>,
    ) {
        for (name, value) in table {
            let key = format!("{path}{}", name.get_ref());
            let folder = format!("{key}.");
            if keys.contains(&key.as_str()) {
                continue;
            }
            let is_table = keys.iter().any(|known| known.starts_with(&folder));
            let at = self.line(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) if is_table => self.strangers_in(&folder, inner, keys, found),
                _ if is_table => found.push((at, key, format!("it is a table: write [{}]", name.get_ref()))),
                _ => {
                    let known = keys.iter().filter_map(|known| known.strip_prefix(path));
                    let mut known: Vec<&str> =
                        known.map(|rest| rest.split('.').next().unwrap_or(rest)).collect();
                    known.dedup();
                    let text = format!("there is no such key; there are {}", known.join(", "));
                    found.push((at, key, text));
                }
            }
        }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Whether a key can have a value.
pub(super) fn accept(key: &str, value: Written<'_>) -> Result<(), toml::de::Error> {
    let span = value.span();
    let root = key.rsplit('.').fold(value, |inner, name| {
        let mut table = DeTable::new();
        table.insert(Spanned::new(span.clone(), Cow::Borrowed(name)), inner);
        Spanned::new(span.clone(), DeValue::Table(table))
    });
    Config::deserialize(ValueDeserializer::from(root)).map(drop)
}

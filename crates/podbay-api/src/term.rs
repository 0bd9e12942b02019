//! Values that may be one of several things on the wire.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A value of a published enumeration, or a word that a newer server has added to it.
///
/// A reader that refused unknown words would refuse whole lists because of one new GPU model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Term<T> {
    /// A value that this version knows.
    Known(T),
    /// Any other word.
    Other(String),
}

impl<T> Term<T> {
    /// The value, if this version knows it.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

impl<T: PartialEq> Term<T> {
    /// Whether this is exactly `value`.
    #[must_use]
    pub fn is(&self, value: T) -> bool {
        self.known() == Some(&value)
    }
}

impl<T> From<T> for Term<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: fmt::Display> fmt::Display for Term<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Other(word) => word.fmt(f),
        }
    }
}

/// One string for a pod of one machine; one for each node, in node order, for a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
#[serde(untagged)]
pub enum OneOrMany {
    /// The only machine.
    One(String),
    /// One entry for each node; null while that node has none.
    Many(Vec<Option<String>>),
}

impl OneOrMany {
    /// The first string there is.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text),
            Self::Many(texts) => texts.iter().flatten().next().map(String::as_str),
        }
    }
}

impl From<String> for OneOrMany {
    fn from(text: String) -> Self {
        Self::One(text)
    }
}

/// Reads null as the default: lists that the contract lets be null.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

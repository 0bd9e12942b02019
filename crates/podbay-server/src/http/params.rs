//! Query parameters: repeated keys, exact errors, unknown ones ignored.

use crate::app::Error;
use crate::app::error::wrong_value;
use axum::extract::{FromRequestParts, Path};
use axum::http::Uri;
use axum::http::request::Parts;
use podbay_api::FieldError;
use podbay_core::limits;
use std::convert::Infallible;
use std::ops::RangeInclusive;

/// The parameters of a request, in order.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.uri))
    }
}

/// The `{id}` of a path, as it stands there. What is no text is no id of ours.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(id) = Path::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        Ok(Self(id))
    }
}

/// As [`Id`], of a path with two.
pub(super) struct Ids(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path((outer, inner)) =
            Path::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        Ok(Self(outer, inner))
    }
}

impl Params {
    /// The parameters of an address.
    pub(super) fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default())
    }

    pub(super) fn parse(query: &str) -> Self {
        Self { pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), errors: Vec::new() }
    }

    /// The last value of that name, empty or not.
    fn last(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last text of that name; an empty one counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.last(name).filter(|value| !value.is_empty())
    }

    /// All texts of that name; empty ones count as missing.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.pairs
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty())
            .map(|(_, v)| v.clone())
            .collect()
    }

    fn wrong(&mut self, name: &str, msg: String) {
        self.errors.push(wrong_value(&format!("query.{name}"), msg));
    }

    /// A whole number of at least `least`; `default` if missing.
    pub(super) fn number(&mut self, name: &str, default: u32, least: u32) -> u32 {
        // Far beyond every bound is still a number: it is clamped, not refused.
        u32::try_from(self.large(name, default.into(), least.into())).unwrap_or(u32::MAX)
    }

    /// A whole number of at least `least`, if there is one.
    pub(super) fn number_given(&mut self, name: &str, least: u32) -> Option<u32> {
        self.last(name)?;
        Some(self.number(name, least, least))
    }

    /// A whole number within the bounds, which are published; `default` if missing.
    pub(super) fn within(&mut self, name: &str, default: u32, bounds: RangeInclusive<u32>) -> u32 {
        let Some(text) = self.last(name) else { return default };
        match text.parse::<u32>().ok().filter(|number| bounds.contains(number)) {
            Some(number) => number,
            None => {
                self.wrong(name, format!("write a whole number from {} to {}", bounds.start(), bounds.end()));
                default
            }
        }
    }

    fn large(&mut self, name: &str, default: u64, least: u64) -> u64 {
        let Some(text) = self.last(name) else { return default };
        match text.parse::<u64>().ok().filter(|number| *number >= least) {
            Some(number) => number,
            None => {
                let text = format!("write a whole number, {least} or more");
                self.wrong(name, text);
                default
            }
        }
    }

    /// A value of a closed list.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        all: &str,
    ) -> Option<T> {
        let value = parse(self.last(name)?);
        if value.is_none() {
            self.wrong(name, format!("unknown value; known are: {all}"));
        }
        value
    }

    /// Values of a closed list, any number of them.
    pub(super) fn choices<T: Copy>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        all: &str,
    ) -> Vec<T> {
        let given = self.pairs.iter().filter(|(key, _)| key == name);
        let values: Option<Vec<T>> = given.map(|(_, value)| parse(value)).collect();
        if values.is_none() {
            self.wrong(name, format!("unknown value; known are: {all}"));
        }
        values.unwrap_or_default()
    }

    /// `offset`.
    pub(super) fn offset(&mut self) -> u64 {
        self.large("offset", 0, 0)
    }

    /// `offset` and `limit`.
    pub(super) fn page(&mut self) -> (u64, u32) {
        let offset = self.offset();
        let limit = self.number("limit", limits::PAGE_LIMIT_DEFAULT, 0).min(limits::PAGE_LIMIT_MAX);
        (offset, limit)
    }

    /// Everything that was wrong, at once.
    pub(super) fn finish(self) -> Result<(), Error> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Invalid(self.errors)) }
    }
}

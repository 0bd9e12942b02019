//! The envelopes that lists and single values come in.

use serde::{Deserialize, Serialize};

/// A part of a list, cut by offset and limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Pagination_{T}"))]
pub struct OffsetPage<T> {
    /// Rows in the whole list.
    pub total_count: u64,
    /// Rows before this part.
    pub offset: u64,
    /// Most rows that this part could have.
    pub limit: u64,
    /// The rows; never null.
    pub data: Vec<T>,
    /// Published, and always null here.
    pub status: Option<String>,
}

/// A numbered page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Page_{T}"))]
#[serde(rename_all = "camelCase")]
pub struct NumberedPage<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Rows on all pages together. Exact: a client asks for pages until it has that many.
    pub total_count: u64,
}

/// A value in the common envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "GenericResponse_{T}"))]
pub struct Data<T> {
    /// The value.
    pub data: T,
    /// Published, and always null here.
    pub status: Option<String>,
}

impl<T> Data<T> {
    /// The envelope around `data`.
    pub fn of(data: T) -> Self {
        Self { data, status: None }
    }
}

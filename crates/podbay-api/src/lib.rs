//! The contract: what goes over the wire, as types, and the [`client`] that speaks it.
//!
//! Two habits differ on purpose. What a server **answers** is complete: each key is there, with
//! an explicit null, because some clients treat an absent key as an error. What a client **asks**
//! is read leniently where published clients differ, and otherwise checked field by field, so
//! that one answer names everything that is wrong (see [`error::FieldError`]).
//!
//! Ids and times are plain strings here: only the server knows their shape. There is no domain
//! logic in this crate, and no server framework.

pub mod api_keys;
pub mod audit;
pub mod availability;
pub mod billing;
mod check;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "openapi")]
pub mod contract;
pub mod disks;
pub mod error;
pub mod events;
pub mod logins;
pub mod page;
pub mod paths;
pub mod pods;
pub mod ssh_keys;
pub mod teams;
pub mod templates;
mod term;
pub mod users;

pub use error::{ErrorBody, FieldError};
pub use page::{Data, NumberedPage, OffsetPage};
pub use term::{OneOrMany, Term};

/// An answer that says nothing but "done": `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Empty {}

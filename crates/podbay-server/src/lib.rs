//! The podbay server: HTTP in front, rows in the middle, a reconciler behind.
//!
//! `http` (extract → verb → view) → `app` (permission, validation, transaction, wake) →
//! `reconcile` (observe, plan, one step, record) → a provider. **Invariant:** no SQL text and no
//! engine call is in this crate, and no decision that belongs into `podbay_core::pod::plan`.

pub mod app;
mod backup;
pub mod cli;
pub mod config;
pub mod connections;
mod database;
pub mod http;
pub mod lifecycle;
pub mod reconcile;
pub mod tasks;

pub use app::{App, Error};
pub use config::Config;

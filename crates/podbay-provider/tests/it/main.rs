//! One binary for all tests of providers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests; the lints know only functions marked as such"
)]

mod ask;
mod conformance;
mod engine;
mod fake;
mod inside;
mod monitor;
mod network;
mod poll;
mod pull;
mod registry;

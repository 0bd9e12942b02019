//! The contract, as bytes: what is answered, what is read, what is refused and how, and what the
//! client sends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "client")]
mod client;
mod errors;
mod orders;
mod requests;
mod shapes;

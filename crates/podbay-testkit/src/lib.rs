//! What podbay's tests are written in: a server over a scripted world, moved by hand.
//!
//! [`TestServer`] is the real router, verbs, reconciler and store; only the provider, the clock
//! and the source of ids are replaced. Nothing runs by itself: [`TestServer::settle`] steps the
//! reconciler, [`TestServer::advance`] moves the clock. When a server is dropped, the world is
//! asked whether anything happened that never may. [`running`] is the same, left to itself.

pub mod client;
pub mod clock;
pub mod database;
pub mod running;
pub mod server;
pub mod sim;

pub use client::{Client, Reply};
pub use clock::ManualClock;
pub use server::{Share, TestServer, facts};

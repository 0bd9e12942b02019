//! The server as its users see it, over a scripted world.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod availability;
mod backup;
mod bad_input;
mod calls;
mod connections;
mod contract;
mod disks;
mod faults;
mod force;
mod hosts;
mod idempotency;
mod limits;
mod logins;
mod matrix;
mod pods;
mod published;
mod replicas;
mod retention;
mod silence;
mod sim;
mod steps;
mod teams;
mod templates;
mod wallet;

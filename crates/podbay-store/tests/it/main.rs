//! Every query on SQLite, and on PostgreSQL where `PODBAY_TEST_POSTGRES` names one
//! (`cargo xtask test` starts one).

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod accounts;
mod commit;
mod disks;
mod faults;
mod harness;
mod idempotency;
mod logins;
mod migrations;
mod places;
mod pods;
mod teams;
mod templates;
mod transfer;

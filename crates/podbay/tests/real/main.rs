//! The program itself against a real engine: `PODBAY_TEST_ENGINE=1`, root, and the image
//! `localhost/podbay/base:latest` (`cargo xtask test` provides all three).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod crash;
mod harness;
mod images;
mod life;
mod members;
mod notebook;
mod openssh;
mod replicas;
mod restart;
mod start;
mod upgrade;

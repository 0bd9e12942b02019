//! The program as a person or a script meets it: arguments and environment in; stdout, stderr and
//! exit code out. The server is a script of answers (see [`stub`]).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod disks;
mod keys;
mod pods;
mod run;
mod settings;
mod skypilot;
mod stub;
mod teams;
mod templates;

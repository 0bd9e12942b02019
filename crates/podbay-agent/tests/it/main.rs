//! The agent as its users meet it: a real process, and the real `ssh`, `scp`, `sftp` and `rsync`.
//!
//! Every test has an agent, keys and files of its own in a temporary directory. Needs root, and
//! the packages openssh-client, rsync and python3.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

mod files;
mod flow;
mod forwarding;
mod library;
mod life;
mod logins;
mod sessions;
mod signals;
mod support;

//! Convergence: every pod and every disk is brought to what its row says, by one path.
//!
//! ```text
//!   wake(id) ─▶ driver: single flight per id ─▶  pass: read row ─▶ plan (pure) ─▶ write Unknown
//!                    ▲                                                               │
//!                    └── again / at next_at ◀── record (compare-and-set) ◀── one step outside
//! ```
//!
//! A wake is a hint and carries an id, never a fact. Whatever is lost with the process, the rows
//! and the sweep bring back.

pub mod carry;
pub mod disk;
pub mod driver;
pub mod files;
pub mod lease;
pub mod pass;
mod silence;
pub mod sweep;

pub use driver::Driver;
pub use lease::Lease;
pub use silence::{Vain, answered};

//! The machine of pods and disks, held to its word: scenarios as tables, and properties of every order of
//! events.

mod disks;
mod make;
mod model;
mod properties;
mod provisioning;
mod running;
mod table;
mod trouble;

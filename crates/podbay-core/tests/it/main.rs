//! The pod's machine, held to its word: scenarios as tables, and properties of every order of
//! events.

mod make;
mod model;
mod properties;
mod provisioning;
mod running;
mod table;
mod trouble;

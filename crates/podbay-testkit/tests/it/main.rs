//! The server as its users see it, over a scripted world.

mod bad_input;
mod matrix;
mod pods;

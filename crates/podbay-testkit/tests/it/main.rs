//! The server as its users see it, over a scripted world.

mod matrix;

//! The program itself against a real engine: `PODBAY_TEST_ENGINE=1`, root, and the image
//! `localhost/podbay/base:latest` (`cargo xtask test` provides all three).

mod crash;
mod harness;
mod life;

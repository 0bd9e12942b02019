//! `cargo xtask tidy`: what the compiler does not check and reviewers forget.
//!
//! Every finding names the file, the line and the way out. Sizes are a ratchet (`xtask/tidy-ratchet.txt`):
//! what is larger than the bound is listed with its present size, may shrink, and never grows.

mod edges;
mod files;
mod links;
mod size;
mod source;
mod words;

use crate::sh::{self, Failure, Result};

pub fn main(args: &[String]) -> Result<()> {
    let is_tighten = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--tighten"] => true,
        _ => return Err(Failure::with_code("usage: cargo xtask tidy [--tighten]", 2)),
    };
    let files = files::all()?;
    let mut findings = Vec::new();
    edges::check(&mut findings)?;
    size::check(&files, is_tighten, &mut findings)?;
    words::check(&files, &mut findings);
    links::check(&files, &mut findings);
    if findings.is_empty() {
        sh::say(format!("tidy: {} files are in order", files.len()));
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    Err(Failure::new(format!("tidy: {} findings", findings.len())))
}

//! Secrets that a person hands over: from a file or stdin, never as an argument.

use crate::failure::{Failure, Result};
use podbay_core::limits;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The one line of that file, or of stdin for `-`.
pub fn read(place: &Path) -> Result<String> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::usage(format!("cannot read {}: {error}", place.display()));
    let limit = limits::WORD_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    if place.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    } else {
        let file = File::open(place).map_err(|error| failed(&error))?;
        file.take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains(['\n', '\r']) || text.len() as u64 >= limit {
        return Err(failed(&"it must have one line, the secret"));
    }
    Ok(line.to_owned())
}

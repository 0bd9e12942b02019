//! What can be ordered.

use super::{Step, Walk, contains};
use crate::http::{rows, text};
use crate::sh::{Context, Result};
use serde_json::Value;

/// How the client writes the type CPU_NODE in its lists of offers.
const SHOWN_AS: &str = "CPU NODE";

pub const STEPS: &[Step] =
    &[("availability list shows the machine", list), ("availability gpu-types lists the type", gpu_types)];

fn list(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["availability", "list", "--no-group-similar"])?;
    let is_cpu = |row: &&Value| text(row, "/gpu_type") == SHOWN_AS;
    let row = rows(&list, "/gpu_resources").iter().find(is_cpu).context(format!("no CPU_NODE: {list}"))?;
    walk.offer = text(row, "/id").to_owned();
    if walk.offer.is_empty() {
        return Err(format!("an offer without id: {row}").into());
    }
    contains(&walk.prime(&["availability", "list"])?, SHOWN_AS)
}

fn gpu_types(walk: &mut Walk) -> Result<()> {
    contains(&walk.prime(&["availability", "gpu-types"])?, "CPU_NODE")
}

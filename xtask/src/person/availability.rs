//! What can be ordered.

use super::{Step, Walk, contains, same};
use crate::http::{rows, text};
use crate::sh::{Context, Result};
use serde_json::{Value, json};

/// How the client writes the type CPU_NODE in its lists of offers.
const SHOWN_AS: &str = "CPU NODE";

pub const STEPS: &[Step] = &[
    ("availability list shows the machine", list),
    ("availability list with every filter", filters),
    ("availability gpu-types lists the type", gpu_types),
];

fn list(walk: &mut Walk) -> Result<()> {
    let list = walk.prime_json(&["availability", "list", "--no-group-similar"])?;
    let is_cpu = |row: &&Value| text(row, "/gpu_type") == SHOWN_AS;
    let row = rows(&list, "/gpu_resources").iter().find(is_cpu).context(format!("no CPU_NODE: {list}"))?;
    walk.offer = text(row, "/id").to_owned();
    walk.cloud_id = text(row, "/cloud_id").to_owned();
    if walk.offer.is_empty() || walk.cloud_id.is_empty() {
        return Err(format!("an offer without id: {row}").into());
    }
    contains(&walk.prime(&["availability", "list", "--group-similar"])?, SHOWN_AS)?;
    contains(&walk.prime(&["availability", "list", "--plain"])?, SHOWN_AS)
}

fn filters(walk: &mut Walk) -> Result<()> {
    let base = ["availability", "list", "--no-group-similar"];
    let all = [
        "--gpu-type",
        "CPU_NODE",
        "--gpu-count",
        "1",
        "--regions",
        "eu_west",
        "--socket",
        "PCIe",
        "--provider",
        "primecompute",
    ];
    let list = walk.prime_json(&[&base[..], &all[..]].concat())?;
    let row = rows(&list, "/gpu_resources").first().context(format!("nothing: {list}"))?;
    same(text(row, "/provider"), "primecompute")?;
    same(text(row, "/location"), "DE")?;
    for nothing in
        [["--gpu-type", "H100_80GB"], ["--gpu-count", "7"], ["--regions", "canada"], ["--socket", "SXM5"]]
    {
        let list = walk.prime_json(&[&base[..], &nothing[..]].concat())?;
        if list["total_count"] != json!(0) {
            return Err(format!("{nothing:?} lets something pass: {list}").into());
        }
    }
    Ok(())
}

fn gpu_types(walk: &mut Walk) -> Result<()> {
    contains(&walk.prime(&["availability", "gpu-types"])?, "CPU_NODE")?;
    let types = walk.prime_json(&["availability", "gpu-types"])?;
    let is_there = rows(&types, "/gpu_types").iter().any(|kind| kind == "CPU_NODE");
    if is_there { Ok(()) } else { Err(format!("no CPU_NODE: {types}").into()) }
}

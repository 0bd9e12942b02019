//! `wrk`, and what it says.

use crate::http::Api;
use crate::sh::{self, Context, Failure, Result};
use std::path::PathBuf;
use std::process::Command;

pub struct Load {
    pub requests_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// How to press.
#[derive(Clone, Default)]
pub struct Pressure {
    pub threads: u32,
    pub connections: u32,
    pub seconds: u32,
    pub script: Option<PathBuf>,
}

/// The key is one of this run, so that it may be seen in the list of processes. Every answer has to be a
/// success.
pub fn press(api: &Api, path: &str, pressure: &Pressure) -> Result<Load> {
    let mut wrk = Command::new("wrk");
    wrk.args(["--latency", "-t", &pressure.threads.to_string(), "-c", &pressure.connections.to_string()]);
    wrk.args(["-d", &format!("{}s", pressure.seconds), "-H", &format!("Authorization: Bearer {}", api.key)]);
    if let Some(script) = &pressure.script {
        wrk.arg("-s").arg(script);
    }
    let said = sh::capture(wrk.arg(format!("{}{path}", api.base)))?;
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(format!("{path}: not every answer was a success\n{said}").into());
    }
    read(&said).context(format!("wrk said something else than usual:\n{said}"))
}

fn read(said: &str) -> std::result::Result<Load, Failure> {
    let value = |name: &str| {
        let found = said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        found.context(format!("no {name}"))
    };
    Ok(Load {
        requests_per_s: value("Requests/sec:")?.parse().context("Requests/sec")?,
        p50_ms: milliseconds(value("50%")?).context("50%")?,
        p99_ms: milliseconds(value("99%")?).context("99%")?,
    })
}

/// wrk writes "812.00us", "3.10ms", "1.20s", "1.02m".
fn milliseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

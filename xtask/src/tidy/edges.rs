//! Which crate may use which, and why. The direction is `core ← {api, store, provider} ← server ← podbay`.

use crate::paths;
use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::fs;

struct Edge {
    from: &'static str,
    to: &'static [&'static str],
    reason: &'static str,
}

const EDGES: [Edge; 9] = [
    Edge { from: "podbay-core", to: &[], reason: "what is true and what to do next needs nobody" },
    Edge {
        from: "podbay-api",
        to: &["podbay-core"],
        reason: "the contract speaks of ids and states, of nothing else",
    },
    Edge {
        from: "podbay-store",
        to: &["podbay-core"],
        reason: "rows are core types; policy and wire types stay out",
    },
    Edge {
        from: "podbay-provider",
        to: &["podbay-core"],
        reason: "a provider matches one step and knows no rows",
    },
    Edge {
        from: "podbay-server",
        to: &["podbay-core", "podbay-api", "podbay-store", "podbay-provider"],
        reason: "the one place where everything meets",
    },
    Edge {
        from: "podbay-agent",
        to: &["podbay-core"],
        reason: "it runs inside every pod and has to stay small",
    },
    Edge {
        from: "podbay",
        to: &["podbay-core", "podbay-api", "podbay-server"],
        reason: "client commands go through the API, never to the store or a provider",
    },
    Edge {
        from: "podbay-testkit",
        to: &["podbay-core", "podbay-api", "podbay-store", "podbay-provider", "podbay-server"],
        reason: "tests may look at everything",
    },
    Edge { from: "xtask", to: &[], reason: "it is built before anything else is" },
];

/// Edges that only tests have, and why.
const TEST_EDGES: [(&str, &str); 1] = [
    // After the server was killed, its rows are compared with what the engine really has.
    ("podbay", "podbay-store"),
];

/// The crate every other may use in its tests.
const TESTKIT: &str = "podbay-testkit";

struct Owned {
    dependency: &'static str,
    by: &'static [&'static str],
    reason: &'static str,
}

const OWNED: [Owned; 5] = [
    Owned { dependency: "sqlx", by: &["podbay-store"], reason: "SQL lives in one crate" },
    Owned { dependency: "rusqlite", by: &["podbay-store"], reason: "SQL lives in one crate" },
    Owned {
        dependency: "bollard",
        by: &["podbay-provider"],
        reason: "engine calls live behind the provider contract",
    },
    Owned {
        dependency: "axum",
        by: &["podbay-server", TESTKIT],
        reason: "only the server speaks HTTP to callers",
    },
    Owned {
        dependency: "russh",
        by: &["podbay-agent", "podbay-server"],
        reason: "SSH is the agent's and the gateway's",
    },
];

pub fn check(findings: &mut Vec<String>) -> Result<()> {
    let mut metadata = sh::cargo();
    metadata.current_dir(paths::root()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&sh::capture(&mut metadata)?).context("cargo metadata")?;
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in packages {
        let from = package["name"].as_str().unwrap_or_default();
        let Some(edge) = EDGES.iter().find(|edge| edge.from == from) else {
            findings.push(format!("{from}: unknown crate; give it its place in xtask/src/tidy/edges.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap_or(&empty) {
            let to = dependency["name"].as_str().unwrap_or_default();
            let is_dev = dependency["kind"] == "dev";
            check_one(edge, to, is_dev, names.contains(&to), findings);
        }
    }
    let architecture = fs::read_to_string(paths::root().join("ARCHITECTURE.md")).unwrap_or_default();
    let words: Vec<&str> =
        architecture.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).collect();
    for name in names.iter().filter(|name| !words.contains(name)) {
        findings.push(format!("ARCHITECTURE.md: does not name the crate `{name}`"));
    }
    Ok(())
}

fn check_one(edge: &Edge, to: &str, is_dev: bool, is_ours: bool, findings: &mut Vec<String>) {
    let is_test_help = is_dev && (to == TESTKIT || TEST_EDGES.contains(&(edge.from, to)));
    if is_ours && !is_test_help && !edge.to.contains(&to) {
        findings.push(format!("{}: must not depend on {to}: {}", edge.from, edge.reason));
    }
    let owned = OWNED.iter().find(|owned| owned.dependency == to);
    if let Some(owned) = owned.filter(|owned| !owned.by.contains(&edge.from)) {
        findings.push(format!("{}: must not depend on {to}: {}", edge.from, owned.reason));
    }
}

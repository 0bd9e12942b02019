//! Which database a test server lives on: a SQLite file, unless `PODBAY_TEST_SERVER_POSTGRES` names a
//! PostgreSQL. There each server has a schema of its own.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// The PostgreSQL that was asked for.
#[must_use]
pub fn postgres() -> Option<String> {
    let server = std::env::var_os("PODBAY_TEST_SERVER_POSTGRES")?.into_string().ok()?;
    (!server.is_empty()).then_some(server)
}

/// Whether servers live on SQLite. For tests of what only a file can suffer, which end here otherwise.
#[must_use]
#[expect(clippy::print_stderr, reason = "a test that was left out says so")]
pub fn is_file() -> bool {
    let is_file = postgres().is_none();
    if !is_file {
        eprintln!("left out: it is about a database in a file");
    }
    is_file
}

/// The URL of a new schema.
pub(crate) fn schema(server: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let schema = format!("s{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let made = Command::new("psql")
        .args([server, "--quiet", "--command", &format!("CREATE SCHEMA {schema}")])
        .output()
        .expect("psql");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let separator = if server.contains('?') { '&' } else { '?' };
    format!("{server}{separator}options=-c%20search_path%3D{schema}")
}

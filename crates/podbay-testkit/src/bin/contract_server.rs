//! `contract_server FOLDER`: the real server over a scripted world, for `cargo xtask contract`.
//!
//! It prints one line of JSON, the address and a full key, and ends when it is told to.

use anyhow::Context;
use podbay_core::published::UserRole;
use podbay_server::app::owner;
use podbay_server::http;
use podbay_testkit::running::{self, Running};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("usage: contract_server FOLDER")?;
    let running = Running::start(folder, &running::world()).await?;
    let app = running.app.clone();
    let (_, key) = owner::user_create(&app, "contract", UserRole::Admin).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let said = json!({ "base": format!("http://{}", listener.local_addr()?), "key": key.reveal() });
    writeln!(std::io::stdout(), "{said}")?;
    axum::serve(listener, http::router(app)).await?;
    Ok(())
}

//! `bench_server FOLDER [PODS | durable]`: the real server over a scripted world, for `cargo xtask bench`.
//!
//! Router, verbs, database file and reconciler are the product's, and all of it runs by itself; only the
//! engine is the scripted one, so that its speed is not what is measured. A second port serves the same bytes
//! from memory: what this machine and this HTTP library can do at best. It ends when it is told to.

mod calls;
mod durable;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::IntoResponse;
use axum::routing::get;
use podbay_core::published::UserRole;
use podbay_server::app::owner;
use podbay_server::{connections, http};
use podbay_testkit::running::{self, Running};
use podbay_testkit::{Client, TestServer};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceExt;

const PODS: usize = 100;
/// Of so many pods one more is ordered and has ended.
const LIVE_FOR_ONE_ENDED: usize = 10;
/// Ids that one status call names.
const STATUS_IDS: usize = 100;
const LIST: &str = "/api/v1/pods/?offset=0&limit=100";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder =
        std::env::args_os().nth(1).map(PathBuf::from).context("usage: bench_server FOLDER [PODS]")?;
    if std::env::args().nth(2).is_some_and(|word| word == "durable") {
        return durable::run(folder).await;
    }
    let pods = std::env::args().nth(2).map_or(Ok(PODS), |pods| pods.parse()).context("PODS is a number")?;
    let running = Running::start(folder, &running::world()).await?;
    let app = running.app.clone();
    let (_, key) = owner::user_create(&app, "bench", UserRole::Admin).await?;
    let key = key.reveal();
    let router = http::router(app.clone());
    let client = Client::new(router.clone(), Some(key.clone()));
    let ids = fill(&client, pods).await;
    let query: Vec<String> = ids.iter().take(STATUS_IDS).map(|id| format!("pod_ids={id}")).collect();
    let first = ids.first().context("no pod")?;
    let one = format!("/api/v1/pods/{first}");
    let status = format!("/api/v1/pods/status?{}", query.join("&"));
    let mut reads = calls::reads(&client, first).await?;
    reads.push(json!({ "name": format!("GET /api/v1/pods/status of {STATUS_IDS}"), "path": status }));
    let memory = Router::new()
        .route("/memory/one", kept(&router, &key, &one).await?)
        .route("/memory/list", kept(&router, &key, LIST).await?)
        .route("/memory/status", kept(&router, &key, &status).await?);
    let (ours, theirs) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let said = json!({
        "key": key,
        "ours": format!("http://{}", ours.local_addr()?),
        "memory": format!("http://{}", theirs.local_addr()?),
        "one": one,
        "list": LIST,
        "status": status,
        "reads": reads,
        "writes": calls::writes()?,
    });
    writeln!(std::io::stdout(), "{said}")?;
    tokio::spawn(connections::serve(app, ours, std::future::pending()));
    axum::serve(theirs, memory).await?;
    Ok(())
}

/// Orders the pods and waits until all of them can be used; the newest of them have ended then.
async fn fill(client: &Client, pods: usize) -> Vec<String> {
    for _ in 0..pods + pods / LIVE_FOR_ONE_ENDED {
        client.post("/api/v1/pods", &TestServer::order()).await.ok();
    }
    let all = active(client, pods + pods / LIVE_FOR_ONE_ENDED).await;
    for id in all.iter().skip(pods) {
        client.delete(&format!("/api/v1/pods/{id}")).await.ok();
    }
    active(client, pods).await
}

/// The ids of all pods, as soon as there are so many and all of them can be used.
async fn active(client: &Client, pods: usize) -> Vec<String> {
    loop {
        let query: Vec<_> =
            client.get("/api/v1/pods/status").await.ok()["data"].as_array().cloned().unwrap_or_default();
        let active = query.iter().filter(|pod| pod["status"] == "ACTIVE");
        let ids: Vec<String> = active.filter_map(|pod| pod["podId"].as_str().map(str::to_owned)).collect();
        if ids.len() == pods && query.len() == pods {
            return ids;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A route that answers what `router` answers now.
async fn kept(router: &Router, key: &str, path: &str) -> anyhow::Result<axum::routing::MethodRouter> {
    let bearer = format!("Bearer {key}");
    let request = Request::get(path).header(header::AUTHORIZATION, bearer).body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    anyhow::ensure!(response.status().is_success(), "{path}: {}", response.status());
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    let _: Value = serde_json::from_slice(&bytes)?;
    Ok(get(async move || ([(header::CONTENT_TYPE, "application/json")], bytes.clone()).into_response()))
}

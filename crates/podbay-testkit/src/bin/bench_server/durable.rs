//! A server with very many pods, and a long history: how fast they come, what they take, and how long a start
//! with all of them is. It says so in one line, and serves on.

use anyhow::Context;
use axum::Router;
use podbay_core::published::UserRole;
use podbay_core::usage::UsageState;
use podbay_core::{PodId, Timestamp, pod::Pod};
use podbay_server::app::{App, owner};
use podbay_server::{connections, http};
use podbay_store::StoreError;
use podbay_testkit::running::{self, Running};
use podbay_testkit::{Client, TestServer};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Pods that are there before those whose time counts.
const BEFORE: usize = 10_000;
const TIMED: usize = 2_500;
const HISTORY: u32 = 220_000;
/// Rows of the history that are written together.
const BATCH: u32 = 1_000;
const CLIENTS: usize = 64;
/// For anything to come true.
const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(folder: PathBuf) -> anyhow::Result<()> {
    let world = running::world();
    let running = Running::start(folder.clone(), &world).await?;
    let (_, key) = owner::user_create(&running.app, "bench", UserRole::Admin).await?;
    let key = key.reveal();
    let client = Client::new(http::router(running.app.clone()), Some(key.clone()));
    let first_per_s = bring_up(&running.app, &client, BEFORE, 0).await?;
    let per_s = bring_up(&running.app, &client, TIMED, BEFORE).await?;
    let resident_mb = resident_mb()?;
    let ended = end_one(&running.app, &client).await?;
    write_history(&running.app, &ended).await?;
    drop(client);
    running.stop().await;

    let begin = Instant::now();
    let running = Running::start(folder, &world).await?;
    let router = http::router(running.app.clone());
    answers(&router, &key).await;
    let restart_ms = begin.elapsed().as_millis();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let said = json!({
        "key": key,
        "ours": format!("http://{}", listener.local_addr()?),
        "live": BEFORE + TIMED,
        "history": HISTORY + 1,
        "firstPerS": first_per_s,
        "perS": per_s,
        "residentMb": resident_mb,
        "restartMs": restart_ms,
    });
    writeln!(std::io::stdout(), "{said}")?;
    connections::serve(running.app.clone(), listener, std::future::pending()).await;
    Ok(())
}

/// Orders so many more, and waits until all of them can be used; how many that were a second.
async fn bring_up(app: &App, client: &Client, pods: usize, before: usize) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for nth in 0..CLIENTS {
        let client = client.clone();
        clients.spawn(async move {
            for _ in (nth..pods).step_by(CLIENTS) {
                client.post("/api/v1/pods", &TestServer::order()).await.ok();
            }
        });
    }
    clients.join_all().await;
    // What is billed is what can be used.
    while app.store.reader().await?.usage_open_count().await? < (before + pods) as u64 {
        anyhow::ensure!(begin.elapsed() < PATIENCE, "the pods do not become ACTIVE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(pods as f64 / begin.elapsed().as_secs_f64())
}

fn resident_mb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1_000.0 * 1.024)
}

/// A pod that has ended: what the history is made of.
async fn end_one(app: &App, client: &Client) -> anyhow::Result<Pod> {
    let pod = client.post("/api/v1/pods", &TestServer::order()).await.ok();
    let id = PodId::parse(pod["id"].as_str().context("an id")?).context("a pod id")?;
    let begin = Instant::now();
    client.delete(&format!("/api/v1/pods/{id}")).await.ok();
    loop {
        let row = app.store.reader().await?.pod_get(&id).await?.context("the pod")?;
        if row.terminated_at.is_some() {
            return Ok(row);
        }
        anyhow::ensure!(begin.elapsed() < PATIENCE, "the pod does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Copies of a pod, each of which ran for a minute, one after the other until now.
async fn write_history(app: &Arc<App>, ended: &Pod) -> anyhow::Result<()> {
    let now = app.now().as_millis();
    for first in (0..HISTORY).step_by(BATCH as usize) {
        let rows: Vec<Pod> = (first..first + BATCH)
            .map(|nth| {
                let begin = Timestamp::from_millis(now - i64::from(HISTORY - nth) * 60_000);
                let end = begin.plus(Duration::from_secs(60));
                let id = app.chance.pod_id(begin);
                Pod { id, created_at: begin, updated_at: end, terminated_at: Some(end), ..ended.clone() }
            })
            .collect();
        let written = app.store.write(move |tx| {
            Box::pin(async move {
                for pod in &rows {
                    tx.pod_insert(pod).await?;
                    tx.event_insert(Some(&pod.id), pod.created_at, "pod.created", &pod.spec.name).await?;
                    tx.usage_open(&pod.id, UsageState::Running, pod.spec.price, pod.created_at).await?;
                    tx.usage_close(&pod.id, pod.updated_at).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        written.await?;
    }
    Ok(())
}

/// Ready is who answers a probe and a user.
async fn answers(router: &Router, key: &str) {
    let client = Client::new(router.clone(), Some(key.to_owned()));
    client.get("/readyz").await.ok();
    client.get("/api/v1/pods/?offset=0&limit=1").await.ok();
}

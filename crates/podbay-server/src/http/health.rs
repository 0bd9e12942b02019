//! The two probes. Neither needs a key, and neither tells more than it must.

use crate::app::{App, Error};
use axum::Json;
use axum::extract::State;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::sync::Arc;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database and an engine answer, so that pods can be made.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Error> {
    app.store.reader().await?.host_states().await?;
    let mut pings: FuturesUnordered<_> =
        app.hosts.iter().map(|host| async move { (host, host.provider.ping().await) }).collect();
    let mut answers = false;
    while let Some((host, pong)) = pings.next().await {
        match pong {
            Ok(()) => {
                answers = true;
                break;
            }
            Err(error) => tracing::warn!(host = %host.id, %error, "readyz"),
        }
    }
    if !answers {
        let whose = if app.hosts.are_several() {
            "no container engine answers"
        } else {
            "the container engine does not answer"
        };
        return Err(Error::Unavailable(whose.into()));
    }
    Ok(Json(json!({ "status": "ready" })))
}

//! The two probes. Neither needs a key, and neither tells more than it must.

use crate::app::{App, Error};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database and the engine answer, so that pods can be made.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Error> {
    app.store.reader().await?.host_free(&app.host).await?;
    app.provider.ping().await.map_err(|error| {
        tracing::warn!(%error, "readyz");
        Error::Unavailable("the container engine does not answer".into())
    })?;
    Ok(Json(json!({ "status": "ready" })))
}

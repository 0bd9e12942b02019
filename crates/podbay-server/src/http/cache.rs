//! Replies that change only with the rows, kept until the next write.
//!
//! A reply is stored under the version that the store had *before* the rows were read, so a write
//! in between makes it stale, never wrong. With several writers (PostgreSQL) nothing is kept.

use crate::app::{App, Error};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use podbay_core::UserId;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Mutex;

/// Most bytes that are kept, calls included; beyond, all are dropped.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a kept reply costs beside its bytes.
const ENTRY_BYTES: usize = 256;
/// Longest reply that is kept: the status of a thousand pods has less than half of it.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Rendered replies by user and call.
#[derive(Default)]
pub struct Cache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    version: u64,
    bytes: usize,
    replies: HashMap<UserId, HashMap<String, Bytes>>,
}

impl Cache {
    fn get(&self, version: u64, user: &UserId, call: &str) -> Option<Bytes> {
        let kept = self.0.lock().ok()?;
        if kept.version == version { kept.replies.get(user)?.get(call).cloned() } else { None }
    }

    fn put(&self, version: u64, user: &UserId, call: &str, bytes: Bytes) {
        let Ok(mut kept) = self.0.lock() else { return };
        if kept.version > version {
            return;
        }
        let size = bytes.len() + call.len() + ENTRY_BYTES;
        if kept.version < version || kept.bytes + size > KEPT_BYTES_MAX {
            *kept = Kept { version, ..Kept::default() };
        }
        kept.bytes += size;
        kept.replies.entry(user.clone()).or_default().insert(call.to_owned(), bytes);
    }
}

/// The reply to the call of `uri` by `user`: from memory, or made now. What is in memory was made
/// from the same words, so they are not even parsed again.
pub(super) async fn cached<T: Serialize>(
    app: &App,
    user: &UserId,
    uri: &Uri,
    make: impl Future<Output = Result<T, Error>>,
) -> Result<Response, Error> {
    let rendered = async {
        let value = make.await?;
        serde_json::to_vec(&value).map_err(|error| Error::Internal(format!("render a reply: {error}")))
    };
    cached_bytes(app, user, uri, rendered).await
}

/// The same for a reply that is made as JSON text.
pub(super) async fn cached_bytes(
    app: &App,
    user: &UserId,
    uri: &Uri,
    make: impl Future<Output = Result<Vec<u8>, Error>>,
) -> Result<Response, Error> {
    let version = app.store.version();
    let call = uri.path_and_query().map_or("", |call| call.as_str());
    let keeps = app.store.is_single_writer();
    if keeps && let Some(bytes) = app.replies.get(version, user, call) {
        return Ok(json_bytes(bytes));
    }
    let bytes = Bytes::from(make.await?);
    if keeps && bytes.len() <= REPLY_BYTES_MAX {
        app.replies.put(version, user, call, bytes.clone());
    }
    Ok(json_bytes(bytes))
}

fn json_bytes(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

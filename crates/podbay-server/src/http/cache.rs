//! Replies that change only with the rows, kept until the next write.
//!
//! A reply is stored under the version that the store had *before* the rows were read, so a write
//! in between makes it stale, never wrong. With several writers (PostgreSQL) nothing is kept.

use crate::app::{App, Error};
use axum::http::header;
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
/// Longest reply that is kept.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// A user and a call of theirs.
type Key = (UserId, String);

/// Rendered replies by user and call.
#[derive(Default)]
pub struct Cache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    version: u64,
    bytes: usize,
    replies: HashMap<Key, Bytes>,
}

impl Cache {
    fn get(&self, version: u64, key: &Key) -> Option<Bytes> {
        let kept = self.0.lock().ok()?;
        if kept.version == version { kept.replies.get(key).cloned() } else { None }
    }

    fn put(&self, version: u64, key: Key, bytes: Bytes) {
        let Ok(mut kept) = self.0.lock() else { return };
        if kept.version > version {
            return;
        }
        let size = bytes.len() + key.1.len() + ENTRY_BYTES;
        if kept.version < version || kept.bytes + size > KEPT_BYTES_MAX {
            *kept = Kept { version, ..Kept::default() };
        }
        kept.bytes += size;
        kept.replies.insert(key, bytes);
    }
}

/// The reply to `call` of `user`: from memory, or made now.
pub(super) async fn cached<T: Serialize>(
    app: &App,
    user: &UserId,
    call: String,
    make: impl Future<Output = Result<T, Error>>,
) -> Result<Response, Error> {
    let version = app.store.version();
    let key = (user.clone(), call);
    if app.store.is_single_writer()
        && let Some(bytes) = app.replies.get(version, &key)
    {
        return Ok(json_bytes(bytes));
    }
    let value = make.await?;
    let bytes =
        serde_json::to_vec(&value).map_err(|error| Error::Internal(format!("render a reply: {error}")))?;
    let bytes = Bytes::from(bytes);
    if app.store.is_single_writer() && bytes.len() <= REPLY_BYTES_MAX {
        app.replies.put(version, key, bytes.clone());
    }
    Ok(json_bytes(bytes))
}

fn json_bytes(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

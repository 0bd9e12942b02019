//! One request, one answer, over the engine's socket.
//!
//! The client library decodes into closed enumerations: one container in a state that it does
//! not know makes a whole list unreadable (Podman's `stopped`). What must never be misread — is
//! it there, what does it do, is it gone — is therefore asked for here and decoded into our own
//! small and tolerant types. The requests say HTTP/1.0, to which both engines answer plainly and
//! then close, so that there is no framing to get wrong.

use super::errors::trim;
use podbay_core::pod::CallError;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Largest answer that is read; a list of ten thousand containers is about 20 MB.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Which engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Docker,
    Podman,
}

/// Where the engine is and what it speaks; found out once.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub socket: PathBuf,
    pub kind: Kind,
    /// Version of the engine.
    pub version: String,
    /// Version of its API, as in `1.41`.
    pub api: (usize, usize),
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// Value of a header.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// What the engine says went wrong.
    pub fn message(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Message {
            message: String,
        }
        match serde_json::from_slice::<Message>(&self.body) {
            Ok(found) => trim(&found.message),
            Err(_) => trim(&String::from_utf8_lossy(&self.body)),
        }
    }

    /// The body. Unreadable is Unknown: it must never look like "nothing there".
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| CallError::Unknown(format!("the engine's answer cannot be read: {error}")))
    }
}

impl Link {
    /// Asks who is there. One millisecond on both engines, unlike `/version` (half a second on
    /// Podman); the headers of the answer say all that has to be negotiated.
    pub async fn find(socket: &Path, limit: Duration) -> Result<Self, CallError> {
        let reply = request(socket, "GET", "/_ping", limit).await?;
        if reply.status != 200 {
            return Err(CallError::Unknown(format!("the engine is not well: {}", reply.message())));
        }
        let podman = reply.header("Libpod-Api-Version");
        let docker = reply.header("Server").and_then(|server| server.strip_prefix("Docker/"));
        let version = podman.or_else(|| docker?.split(' ').next()).unwrap_or("?").to_owned();
        let api = reply.header("Api-Version").and_then(|api| {
            let (major, minor) = api.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let kind = if podman.is_some() { Kind::Podman } else { Kind::Docker };
        Ok(Self { socket: socket.to_owned(), kind, version, api: api.unwrap_or((1, 41)) })
    }

    /// Sends a request without body.
    pub async fn request(&self, method: &str, path: &str, limit: Duration) -> Result<Reply, CallError> {
        let (major, minor) = self.api;
        request(&self.socket, method, &format!("/v{major}.{minor}{path}"), limit).await
    }
}

async fn request(socket: &Path, method: &str, path: &str, limit: Duration) -> Result<Reply, CallError> {
    let connected = tokio::time::timeout(limit, UnixStream::connect(socket)).await;
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        // Users read this in the events of their pods: where the socket lies is not for them.
        Ok(Err(error)) => {
            return Err(CallError::NotSent(format!("the container engine does not answer: {error}")));
        }
        Err(_) => return Err(CallError::NotSent("the container engine is stuck".into())),
    };
    let exchange = async {
        let head = format!("{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(bytes)) => {
            parse(&bytes).ok_or_else(|| CallError::Unknown("the engine's answer was cut off".into()))
        }
        Ok(Err(error)) => Err(CallError::Unknown(format!("the engine's answer was lost: {error}"))),
        Err(_) => Err(CallError::Unknown(format!("the engine did not answer within {} s", limit.as_secs()))),
    }
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let reply = Reply { status, head, body: bytes[end + 4..].to_vec() };
    // Closing is how the body ends, and also how a killed engine ends: the length tells them apart.
    let promised = reply.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
    promised.is_none_or(|length| length == reply.body.len()).then_some(reply)
}

/// `text` as part of a query.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_off_is_no_answer() {
        let whole = parse(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nServer: Docker/28.2.2 (linux)\r\n\r\n[]")
            .unwrap();
        assert_eq!((whole.status, whole.body.as_slice()), (200, b"[]".as_slice()));
        assert_eq!(whole.header("server"), Some("Docker/28.2.2 (linux)"));
        assert!(parse(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n[]").is_none());
        assert!(parse(b"HTTP/1.0 200 OK\r\nContent-").is_none());
        assert!(parse(b"").is_none());
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escape("{\"a\":[\"b=c\"]}"), "%7B%22a%22%3A%5B%22b%3Dc%22%5D%7D");
    }
}

//! Sending on a channel, with the client's window as the brake.
//!
//! `Outlet::send` waits until the window has room *before* it hands data to the SSH library, so what
//! a slow client has not taken stays in the pipe of the program that produced it. Sending through
//! the library's `Handle::data` instead would queue without bound, and data queued there for one
//! channel stops every channel of the connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::connection::Connection;

/// The code of extended data that means stderr.
pub(crate) const STDERR: u32 = 1;

/// The sending side of one channel.
pub(crate) struct Outlet {
    half: ChannelWriteHalf<Msg>,
    connection: Arc<Connection>,
}

impl Outlet {
    pub(crate) fn new(half: ChannelWriteHalf<Msg>, connection: Arc<Connection>) -> Outlet {
        Outlet { half, connection }
    }

    /// Sends everything; `Err` when the connection is gone.
    pub(crate) async fn send(&self, extended: Option<u32>, data: Bytes) -> Result<(), ()> {
        let _waiting = Waiting::new(&self.connection);
        let sent = match extended {
            None => self.half.data_bytes(data).await,
            Some(code) => self.half.extended_data_bytes(code, data).await,
        };
        sent.map_err(drop)
    }

    /// Sends what `reader` gives until its end. `chunk` is how much is read at once.
    pub(crate) async fn pump(&self, mut reader: impl AsyncRead + Unpin, extended: Option<u32>, chunk: usize) {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(chunk);
            // An error of a pipe, socket or terminal ends it just as its end does.
            if !matches!(reader.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
            if self.send(extended, buffer.split().freeze()).await.is_err() {
                return;
            }
        }
    }

    /// Tells the client that nothing more will be sent.
    pub(crate) async fn end(&self) {
        let _ = self.half.eof().await;
    }

    /// Closes the channel.
    pub(crate) async fn close(&self) {
        let _ = self.half.close().await;
    }
}

/// Counts a task that depends on the client being heard.
struct Waiting<'a>(&'a Connection);

impl Waiting<'_> {
    fn new(connection: &Connection) -> Waiting<'_> {
        connection.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(connection)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

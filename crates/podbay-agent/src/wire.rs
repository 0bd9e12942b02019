//! The socket under an SSH connection.
//!
//! Two things a bare socket does badly here: the library reads each packet in two parts, which
//! would be two system calls; and during login each side often sends two small packets in a row,
//! where the client's kernel holds the second back until ours has acknowledged the first, which
//! ours puts off for 40 ms. So reads are buffered, and acknowledged at once until login is done.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::Connection;

/// Two of the packets clients send at most.
const BUFFER_BYTES: usize = 64 * 1024;

/// A buffered, eager socket.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    connection: Arc<Connection>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, connection: Arc<Connection>) -> Wire {
        Wire { stream: BufReader::with_capacity(BUFFER_BYTES, stream), connection }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reads_socket = self.stream.buffer().is_empty();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if reads_socket && self.connection.login.get().is_none() {
            // The kernel forgets it at the next occasion, hence every time.
            let _ = rustix::net::sockopt::set_tcp_quickack(self.stream.get_ref(), true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! The TCP connections of the HTTP API: accepted, counted, held to time, and drained at the end.
//!
//! What a client can hold of the server without a key is bounded here. A handler is never cut off
//! while the server runs: how long work may take is the business of who does the work.

mod worded;

use self::worded::Worded;
use crate::app::App;
use crate::http;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use podbay_core::limits;
use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower::ServiceExt;

/// The address that a request came from, one for all that one client can have at will: an IPv6
/// client commonly has a whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    /// The peer behind an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Where connections come from.
pub trait Listen: Send + 'static {
    /// The next connection.
    ///
    /// # Errors
    /// There is none; a later call may have one.
    fn next(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

/// Serves the API until `stop`, then waits for requests in flight; how many were cut off.
pub async fn serve(app: Arc<App>, mut listener: impl Listen, stop: impl Future<Output = ()>) -> usize {
    let router = http::router(app.clone());
    let gate = Arc::new(Gate::of(&app));
    let (stopping, stopped) = watch::channel(());
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => {}
            next = listener.next() => match next {
                Ok((stream, address)) => match Gate::enter(&gate, Peer::of(address.ip())) {
                    Some(pass) => {
                        open.spawn(connection(app.clone(), router.clone(), stream, pass, stopped.clone()));
                    }
                    None => refuse(stream),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted just now");
                    tokio::time::sleep(app.tuning.accept_pause).await;
                }
            }
        }
    }
    drop(listener);
    let _ = stopping.send(());
    let drained = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(app.tuning.drain, drained).await;
    open.len()
}

/// The client was gone before its connection was accepted: nothing is wrong here.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    app: Arc<App>,
    router: Router,
    stream: TcpStream,
    pass: Pass,
    mut stopped: watch::Receiver<()>,
) {
    // Replies are written whole: waiting for more to send would only delay their ends.
    let _ = stream.set_nodelay(true);
    let impatient = Impatient { stream, stall_max: app.tuning.reply_stall, stalled: None };
    let io = TokioIo::new(Worded::new(impatient));
    let peer = pass.peer;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(app.tuning.head_wait);
    // Headers are at most a hundred by default; more are answered 431, as are too long ones.
    builder.max_header_size(limits::HEAD_BYTES_MAX).max_buf_size(limits::HEAD_BYTES_MAX);
    let mut serving = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(?peer, %error, "a connection ended early");
    }
}

const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 76\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"detail\":\"the server has too many connections open; try again in a moment\"}";

/// Says that there is no room. Whether the client hears it is its own luck: nobody waits for it.
fn refuse(stream: TcpStream) {
    tracing::debug!("a connection was refused: there are too many");
    let told = stream.into_std().and_then(|mut stream| {
        stream.write_all(REFUSAL.as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // A request that is there already and is not read would turn the end into a reset.
        stream.read(&mut [0; 4096])
    });
    drop(told);
}

/// Counts connections.
struct Gate {
    total_max: usize,
    per_peer_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    of: HashMap<Peer, usize>,
}

impl Gate {
    fn of(app: &App) -> Self {
        let config = app.config.limits;
        let total_max = config.connections.min(files_max().saturating_sub(limits::FILES_RESERVED).max(1));
        if total_max < config.connections {
            tracing::info!(
                total_max,
                "the limit of open files allows fewer connections than limits.connections"
            );
        }
        Self { total_max, per_peer_max: config.connections_per_address, open: Mutex::default() }
    }

    fn enter(gate: &Arc<Self>, peer: Peer) -> Option<Pass> {
        let mut open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= gate.total_max {
            return None;
        }
        let of_peer = open.of.entry(peer).or_insert(0);
        if *of_peer >= gate.per_peer_max {
            return None;
        }
        *of_peer += 1;
        open.total += 1;
        Some(Pass { gate: gate.clone(), peer })
    }
}

/// One counted connection.
struct Pass {
    gate: Arc<Gate>,
    peer: Peer,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let std::collections::hash_map::Entry::Occupied(mut of_peer) = open.of.entry(self.peer) {
            *of_peer.get_mut() -= 1;
            if *of_peer.get() == 0 {
                of_peer.remove();
            }
        }
    }
}

/// Files that this process may have open.
fn files_max() -> usize {
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    soft.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// A stream whose writes fail once the other side has taken nothing for too long. The kernel tells
/// of room only when a good part of its buffer is free, so a client that takes a byte now and then
/// is found out, too.
struct Impatient {
    stream: TcpStream,
    stall_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall_max = self.stall_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }

    #[test]
    fn one_network_of_ipv6_is_one_peer_and_so_is_an_address_in_its_two_forms() {
        let peer = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }
}

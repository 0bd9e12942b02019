//! Forwarding: connections out of the pod for the client (`ssh -L`, `-D`), and listening sockets in
//! the pod whose connections go to the client (`ssh -R`), over TCP and Unix sockets.
//!
//! Nothing is restricted beyond what the kernel restricts: whoever logs in can run a program in
//! this pod that opens the same connection. Only ports below 1024 need root, as they would there.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::channel_io::Outlet;
use crate::connection::{Connection, OpenChannel};
use crate::inbox::{Accepted, Inbox};
use crate::resolve::resolve;
use crate::session::drain;

/// For the name and for each address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Listening sockets one connection may have.
const LISTENERS_MAX: usize = 64;
/// How much is read from a forwarded connection at once.
const CHUNK: usize = 64 * 1024;
/// When both sides have said they are done, the client closes the channel; one that does not is
/// not waited for longer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what a client sent before it closed may take to be written.
const LAST_BYTES_TIMEOUT: Duration = Duration::from_secs(60);
/// After an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connects to `host` and answers the client's request to open a channel.
pub(crate) async fn serve_tcp(
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    host: String,
    port: u32,
    place: OpenChannel,
) {
    match connect(&host, port).await {
        Ok(stream) => {
            let _ = stream.set_nodelay(true);
            reply.accept().await;
            let (reader, writer) = stream.into_split();
            join(channel, reader, writer, place).await;
        }
        Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
    }
}

/// The same for a Unix socket.
pub(crate) async fn serve_unix(
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    path: String,
    place: OpenChannel,
) {
    match UnixStream::connect(&path).await {
        Ok(stream) => {
            reply.accept().await;
            let (reader, writer) = stream.into_split();
            join(channel, reader, writer, place).await;
        }
        Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
    }
}

async fn connect(host: &str, port: u32) -> io::Result<TcpStream> {
    let port = u16::try_from(port).map_err(|_| io::ErrorKind::InvalidInput)?;
    let addresses = tokio::time::timeout(CONNECT_TIMEOUT, resolve(host)).await?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((address, port))).await? {
            Ok(stream) => return Ok(stream),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Copies between a channel and a stream until both directions have ended or the client is gone.
async fn join(
    channel: Channel<Msg>,
    reader: impl AsyncRead + Unpin + Send + 'static,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    place: OpenChannel,
) {
    let (mut messages, half) = channel.split();
    let outlet = Arc::new(Outlet::new(half, Arc::clone(&place.connection)));
    let inbox = Arc::new(Inbox::default());
    let (closed, closes) = watch::channel(false);
    let mut copy =
        Aborting(tokio::spawn(copy(Arc::clone(&outlet), Arc::clone(&inbox), reader, writer, closes)));
    loop {
        let message = tokio::select! {
            message = messages.wait() => message,
            _ = &mut copy.0 => return,
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                match inbox.accept(data, &place.connection).await {
                    Accepted::Taken => {}
                    Accepted::Gone => break,
                    Accepted::NoRoom => {
                        // Both sides see their connection end; the client is heard until it says so, too.
                        drop(copy);
                        tokio::join!(outlet.close(), drain(&mut messages));
                        return;
                    }
                }
            }
            Some(ChannelMsg::Eof) => inbox.end(),
            Some(ChannelMsg::Close) | None => break,
            Some(_) => {}
        }
    }
    // What the client sent before it closed still goes out.
    inbox.end();
    let _ = closed.send(true);
    let _ = tokio::time::timeout(LAST_BYTES_TIMEOUT, &mut copy.0).await;
}

async fn copy(
    outlet: Arc<Outlet>,
    inbox: Arc<Inbox>,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    mut closes: watch::Receiver<bool>,
) {
    let mut closes_early = closes.clone();
    let send = async {
        let all = async {
            outlet.pump(reader, None, CHUNK).await;
            outlet.end().await;
        };
        tokio::select! {
            () = all => {}
            _ = closes_early.wait_for(|closed| *closed) => {}
        }
    };
    tokio::join!(send, inbox.feed(writer));
    // The client closes when it has our end and has sent its own. It is given the time, because
    // the library keeps a trace of every channel that is closed from here first.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closes.wait_for(|closed| *closed)).await;
    outlet.close().await;
}

/// A task that ends with its owner.
struct Aborting(tokio::task::JoinHandle<()>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The listening sockets of one connection; they close with it.
pub(crate) struct Listeners {
    connection: Arc<Connection>,
    open: HashMap<Listening, AbortHandle>,
}

/// What a client names a listening socket by.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Listening {
    Tcp(String, u32),
    Unix(String),
}

impl Listeners {
    pub(crate) fn new(connection: Arc<Connection>) -> Listeners {
        Listeners { connection, open: HashMap::new() }
    }

    /// Listens for `ssh -R`; the port, which the client may leave to us.
    pub(crate) async fn open_tcp(&mut self, address: &str, port: u32, handle: Handle) -> Option<u32> {
        let wanted = u16::try_from(port).ok()?;
        let uid = self.connection.login.get()?.user.uid;
        if self.open.len() >= LISTENERS_MAX || (uid != 0 && (1..1024).contains(&wanted)) {
            return None;
        }
        let mut bound = None;
        for ip in bind_addresses(address)? {
            match TcpListener::bind(SocketAddr::new(ip, wanted)).await {
                Ok(listener) => {
                    bound = Some(listener);
                    break;
                }
                // The other family would be another port with the same number.
                Err(why) if why.kind() == io::ErrorKind::AddrInUse => return None,
                Err(_) => {}
            }
        }
        let listener = bound?;
        let port = u32::from(listener.local_addr().ok()?.port());
        let (connection, name) = (Arc::clone(&self.connection), address.to_owned());
        let task = tokio::spawn(accept_tcp(listener, handle, connection, name, port));
        self.open.insert(Listening::Tcp(address.to_owned(), port), task.abort_handle());
        Some(port)
    }

    /// Stops listening; whether there was something to stop.
    pub(crate) fn close_tcp(&mut self, address: &str, port: u32) -> bool {
        self.close(&Listening::Tcp(address.to_owned(), port))
    }

    /// Listens on a Unix socket for `ssh -R`.
    pub(crate) fn open_unix(&mut self, path: &str, handle: Handle) -> bool {
        if self.open.len() >= LISTENERS_MAX {
            return false;
        }
        // Bound by this program, so it would belong to root: only root may ask for it.
        if self.connection.login.get().is_none_or(|login| login.user.identity().is_some()) {
            return false;
        }
        let Ok(listener) = UnixListener::bind(path) else { return false };
        let (connection, path) = (Arc::clone(&self.connection), path.to_owned());
        let listening = Listening::Unix(path.clone());
        let task = tokio::spawn(accept_unix(listener, handle, connection, path));
        self.open.insert(listening, task.abort_handle());
        true
    }

    /// Stops listening on a Unix socket.
    pub(crate) fn close_unix(&mut self, path: &str) -> bool {
        self.close(&Listening::Unix(path.to_owned()))
    }

    fn close(&mut self, listening: &Listening) -> bool {
        let task = self.open.remove(listening);
        if let Some(task) = &task {
            task.abort();
        }
        task.is_some()
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.open.values().for_each(AbortHandle::abort);
    }
}

/// What the names of RFC 4254 mean, best first. `None` for what is no address: names are not
/// resolved here.
fn bind_addresses(address: &str) -> Option<Vec<IpAddr>> {
    match address {
        "" | "*" => Some(vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]),
        "localhost" => Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        _ => address.parse().ok().map(|address| vec![address]),
    }
}

async fn accept_tcp(
    listener: TcpListener,
    handle: Handle,
    connection: Arc<Connection>,
    name: String,
    port: u32,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = connection.open_channel() else { continue };
        let (handle, name) = (handle.clone(), name.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let (ip, from) = (peer.ip().to_canonical().to_string(), u32::from(peer.port()));
            let opened = handle.channel_open_forwarded_tcpip(name, port, ip, from).await;
            if let Ok(channel) = opened {
                let (reader, writer) = stream.into_split();
                join(channel, reader, writer, place).await;
            }
        });
    }
}

async fn accept_unix(listener: UnixListener, handle: Handle, connection: Arc<Connection>, path: String) {
    let _file = Unlink(PathBuf::from(&path));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = connection.open_channel() else { continue };
        let (handle, path) = (handle.clone(), path.clone());
        tokio::spawn(async move {
            if let Ok(channel) = handle.channel_open_forwarded_streamlocal(path).await {
                let (reader, writer) = stream.into_split();
                join(channel, reader, writer, place).await;
            }
        });
    }
}

/// Removes the file of a Unix socket when it is no longer listened on.
struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_names() {
        assert_eq!(bind_addresses("").unwrap().len(), 2);
        assert_eq!(bind_addresses("localhost").unwrap()[0], IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(bind_addresses("10.1.2.3").unwrap().len(), 1);
        assert_eq!(bind_addresses("example.com"), None);
    }
}

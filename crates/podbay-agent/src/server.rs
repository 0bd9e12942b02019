//! The SSH server: accepts connections, decides who they are, and hands each channel to its task.
//!
//! One thread. Encrypting is the only thing here that takes time, and one core does more of it
//! than a pod's network carries.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::server::Handle;
use russh::{Disconnect, MethodKind, MethodSet, Preferred, SshId, cipher, kex, mac};
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::authorized::{AuthorizedKeys, Stamp};
use crate::config::{self, Config};
use crate::connection::Connection;
use crate::wire::Wire;
use crate::{Options, handler, say, sys};

/// Connections at the same time, and how many of them may not have logged in yet.
const CONNECTIONS_MAX: usize = 256;
const STRANGERS_MAX: usize = 64;
/// How long a connection may take to log in.
const LOGIN_DEADLINE: Duration = Duration::from_secs(30);
/// Rejected keys and other failed attempts of one connection. Clients offer every key they have.
const ATTEMPTS_MAX: usize = 20;
/// How often `authorized_keys` is looked at for removed keys.
const KEYS_POLL: Duration = Duration::from_millis(250);
/// How long a client that is told to go may take before the socket is shut.
const FAREWELL: Duration = Duration::from_millis(150);
/// A client that answers nothing for this long times 120 is gone. Long, because laptops sleep.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_MISSED_MAX: usize = 120;
/// What a client may send ahead on one channel.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const PACKET_BYTES: u32 = 64 * 1024;
/// Messages the library holds between its task and a channel's, or the other way round.
const CHANNEL_BUFFER: usize = 32;
const EVENT_BUFFER: usize = 16;
/// After an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) keys_path: PathBuf,
    pub(crate) shells: Option<Vec<PathBuf>>,
    connections: Mutex<HashMap<u64, Known>>,
    /// Session channels whose task runs.
    pub(crate) sessions: AtomicUsize,
}

#[derive(Clone)]
struct Known {
    connection: Arc<Connection>,
    /// Absent until the first bytes were exchanged.
    handle: Option<Handle>,
}

/// Runs the server on the listening socket that PID 1 hands over as stdin.
pub(crate) fn run(options: &Options) -> ExitCode {
    sys::tune_allocator();
    // PID 1 starts us again when we die; without it nobody would stop us.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map_err(|why| why.to_string()).and_then(|runtime| {
        let served = runtime.block_on(serve(&options.directory));
        // A blocking file operation must not hold up the end.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("SSH server: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(directory: &Path) -> Result<(), String> {
    let loaded = Config::load(directory)?;
    let server = Arc::new(server_config(config::load_host_key(directory)?));
    let listener = inherited_listener().map_err(|why| format!("no listening socket on stdin: {why}"))?;
    let shared = Arc::new(Shared {
        keys_path: directory.join("authorized_keys"),
        shells: loaded.shells,
        connections: Mutex::default(),
        sessions: AtomicUsize::new(0),
    });
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
    tokio::spawn(watch_keys(Arc::clone(&shared)));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => shared.start_connection(stream, peer, &server),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    shared.end_all().await;
    Ok(())
}

fn inherited_listener() -> std::io::Result<TcpListener> {
    let socket: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = std::net::TcpListener::from(socket);
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn server_config(host_key: russh::keys::PrivateKey) -> russh::server::Config {
    russh::server::Config {
        server_id: SshId::Standard("SSH-2.0-podbay".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // Nothing here can be guessed in any time, so nobody is made to wait.
        auth_rejection_time: Duration::from_millis(10),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: CHANNEL_BUFFER,
        event_buffer_size: EVENT_BUFFER,
        preferred: preferred(),
        max_auth_attempts: ATTEMPTS_MAX,
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVE_MISSED_MAX,
        nodelay: true,
        ..Default::default()
    }
}

/// No SHA-1, no CBC, no finite-field exchange; AES-CTR stays for clients without anything better.
fn preferred() -> Preferred {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Owned(vec![
            Algorithm::Ed25519,
            Algorithm::SkEd25519,
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
            Algorithm::SkEcdsaSha2NistP256,
            rsa(HashAlg::Sha512),
            rsa(HashAlg::Sha256),
        ]),
        cipher: Cow::Borrowed(&[
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_GCM,
            cipher::AES_128_GCM,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512]),
        ..Preferred::DEFAULT
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Known>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task of a new connection, or drops it when there are too many.
    fn start_connection(
        self: &Arc<Shared>,
        stream: TcpStream,
        peer: SocketAddr,
        server: &Arc<russh::server::Config>,
    ) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Ok(connection) = describe(&stream, peer) else { return };
        let connection = Arc::new(connection);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        {
            let mut known = self.connections();
            let strangers = known.values().filter(|known| known.connection.login.get().is_none()).count();
            if known.len() >= CONNECTIONS_MAX || strangers >= STRANGERS_MAX {
                return;
            }
            known.insert(number, Known { connection: Arc::clone(&connection), handle: None });
        }
        let (shared, server) = (Arc::clone(self), Arc::clone(server));
        tokio::spawn(async move {
            shared.run_connection(number, stream, connection, server).await;
            let mut known = shared.connections();
            known.remove(&number);
            if known.is_empty() {
                sys::trim_memory();
            }
        });
    }

    async fn run_connection(
        self: &Arc<Shared>,
        number: u64,
        stream: TcpStream,
        connection: Arc<Connection>,
        server: Arc<russh::server::Config>,
    ) {
        let _ = stream.set_nodelay(true);
        probe(&stream);
        let deadline = tokio::time::Instant::now() + LOGIN_DEADLINE;
        let client = handler::Client::new(Arc::clone(self), Arc::clone(&connection));
        let wire = Wire::new(stream, Arc::clone(&connection));
        let greeting = russh::server::run_stream(server, wire, client);
        let Ok(Ok(mut session)) = tokio::time::timeout_at(deadline, greeting).await else { return };
        if let Some(known) = self.connections().get_mut(&number) {
            known.handle = Some(session.handle());
        }
        // An error here is a client that broke the protocol or went away: nothing to tell anybody.
        if tokio::time::timeout_at(deadline, &mut session).await.is_err() {
            if connection.login.get().is_none() {
                connection.cut();
            }
            let _ = session.await;
        }
    }

    /// Ends every connection and gives their programs the time to be told.
    async fn end_all(&self) {
        let known: Vec<Known> = self.connections().values().cloned().collect();
        let farewells = known.into_iter().map(|known| tokio::spawn(end(known, "the pod is stopping")));
        for farewell in farewells.collect::<Vec<_>>() {
            let _ = farewell.await;
        }
        let told = async {
            while self.sessions.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(500), told).await;
    }
}

/// Has the kernel ask after a silent client. It finds one that is gone within a minute even while
/// nobody reads the connection (see inbox.rs), and forgives one that sleeps for an hour.
fn probe(stream: &TcpStream) {
    use rustix::net::sockopt;
    let minute = Duration::from_secs(60);
    // Without it everything works, and dead connections stay longer.
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, minute);
    let _ = sockopt::set_tcp_keepintvl(stream, minute);
    let _ = sockopt::set_tcp_keepcnt(stream, 60);
}

fn describe(stream: &TcpStream, peer: SocketAddr) -> std::io::Result<Connection> {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let local = canonical(stream.local_addr()?);
    Ok(Connection::new(canonical(peer), local, stream.as_fd().try_clone_to_owned()?))
}

/// Tells a client why it is disconnected, then shuts the socket whether or not it was heard: the
/// library's task may be busy with a client that does not read.
async fn end(known: Known, why: &str) {
    if let Some(handle) = &known.handle {
        let told = handle.disconnect(Disconnect::ByApplication, why.to_owned(), String::new());
        if tokio::time::timeout(FAREWELL, told).await.is_ok() {
            let gone = async {
                while !known.connection.is_gone() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = tokio::time::timeout(FAREWELL, gone).await;
        }
    }
    known.connection.cut();
}

/// Ends the connections of keys that are no longer authorized.
async fn watch_keys(shared: Arc<Shared>) {
    // Not the file as it is: a key removed before the first look must be found missing too.
    let mut seen = None;
    loop {
        tokio::time::sleep(KEYS_POLL).await;
        let stamp = Stamp::of(&shared.keys_path);
        if seen == Some(stamp) {
            continue;
        }
        seen = Some(stamp);
        let keys = AuthorizedKeys::read(&shared.keys_path);
        let mut ended: Vec<Known> = shared.connections().values().cloned().collect();
        ended.retain(|known| known.connection.login.get().is_some_and(|login| !keys.contains(&login.key)));
        for known in ended {
            tokio::spawn(end(known, "this key was removed"));
        }
    }
}

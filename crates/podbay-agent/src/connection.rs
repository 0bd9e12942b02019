//! One SSH connection as the rest of the server sees it: who it is, what it holds, how to end it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use russh::keys::ssh_key::public::KeyData;
use rustix::event::{PollFd, PollFlags};

use crate::users::User;

/// Channels one connection may have open.
pub(crate) const CHANNELS_MAX: usize = 512;

/// Who logged in, and with which key.
pub(crate) struct Login {
    pub(crate) user: User,
    pub(crate) key: KeyData,
}

/// The shared state of a connection.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) login: OnceLock<Login>,
    /// A second descriptor of the socket: the SSH library owns the first one, and only through
    /// this one can its task be unblocked wherever it stands.
    socket: OwnedFd,
    cut: AtomicBool,
    channels: AtomicUsize,
    /// How many tasks wait for the client to make room for what they send.
    pub(crate) waiting: AtomicUsize,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, socket: OwnedFd) -> Connection {
        Connection {
            peer,
            local,
            login: OnceLock::new(),
            socket,
            cut: AtomicBool::new(false),
            channels: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Ends the connection now. The SSH library's task sees the end of the stream.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        // Fails only when the socket is disconnected already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// Whether the client is gone, asked without reading: what it sent before it went may still
    /// be in the socket when nobody can read on.
    pub(crate) fn is_gone(&self) -> bool {
        if self.cut.load(Ordering::Relaxed) {
            return true;
        }
        let mut polled = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let _ = rustix::event::poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
        polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
    }

    /// Whether something other than one upload needs this connection to be read on: another
    /// channel, or a sender that waits for a message from the client.
    pub(crate) fn must_be_read(&self) -> bool {
        self.channels.load(Ordering::Relaxed) > 1 || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Takes one of the connection's channels, if there is one left.
    pub(crate) fn open_channel(self: &Arc<Connection>) -> Option<OpenChannel> {
        let before = self.channels.fetch_add(1, Ordering::Relaxed);
        let open = OpenChannel { connection: Arc::clone(self) };
        // Dropping `open` gives the place back.
        (before < CHANNELS_MAX).then_some(open)
    }
}

/// A place among the channels of a connection, given back when dropped.
pub(crate) struct OpenChannel {
    pub(crate) connection: Arc<Connection>,
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.connection.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

//! What the SSH library asks about one connection, answered.
//!
//! The library remembers one outstanding reply per channel, and a client may send its requests
//! without waiting. Every request is therefore answered here, before the next one is read; carrying
//! it out is the work of the channel's own task (session.rs), which sees the same requests.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use russh::keys::Algorithm;
use russh::keys::ssh_key::public::KeyData;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};

use crate::authorized::AuthorizedKeys;
use crate::connection::{CHANNELS_MAX, Connection, Login, OpenChannel};
use crate::forward::{self, Listeners};
use crate::process::may_set;
use crate::server::Shared;
use crate::session;
use crate::users::{Tables, User};

/// One connection's answers.
pub(crate) struct Client {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    listeners: Listeners,
    /// Session channels and what was already asked of them.
    asked: HashMap<ChannelId, Asked>,
}

struct Asked {
    terminal: bool,
    program: bool,
    /// Alive as long as the channel's task.
    task: Weak<()>,
}

/// When more channels than this are remembered, those that ended are forgotten. The library does
/// not say when a channel ends that was closed from here first.
const REMEMBERED_MAX: usize = 2 * CHANNELS_MAX;

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Client {
        let listeners = Listeners::new(Arc::clone(&connection));
        Client { shared, connection, listeners, asked: HashMap::new() }
    }

    /// The user a key may log in as. Both are looked up anew each time: the server may have added
    /// the key, and the pod's owner the user, a moment ago.
    fn authorize(&self, name: &str, key: &KeyData, algorithm: &Algorithm) -> Option<User> {
        let signs_with_sha1 = matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa);
        if signs_with_sha1 || !AuthorizedKeys::read(&self.shared.keys_path).contains(key) {
            return None;
        }
        Tables::read().login(name, rustix::process::getuid().as_raw())
    }

    /// Answers a request to run something: once per channel.
    fn answer_program(
        &mut self,
        id: ChannelId,
        known: bool,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let first = self.asked.get_mut(&id).is_some_and(|asked| !std::mem::replace(&mut asked.program, true));
        if first && known { session.channel_success(id) } else { session.channel_failure(id) }
    }

    fn place(&self) -> Option<OpenChannel> {
        self.connection.open_channel()
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let user = self.authorize(user, offer.public_key.key_data(), offer.algorithm);
        Ok(if user.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let data = key.public_key.key_data();
        let Some(user) = self.authorize(user, data, key.algorithm) else { return Ok(Auth::reject()) };
        let login = Login { user, key: data.clone() };
        // A second success cannot happen: the library stops asking after the first.
        Ok(if self.connection.login.set(login).is_ok() { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(place) = self.place() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        reply.accept().await;
        if self.asked.len() >= REMEMBERED_MAX {
            self.asked.retain(|_, asked| asked.task.strong_count() > 0);
        }
        let alive = Arc::new(());
        let asked = Asked { terminal: false, program: false, task: Arc::downgrade(&alive) };
        self.asked.insert(channel.id(), asked);
        let (handle, shared) = (session.handle(), Arc::clone(&self.shared));
        let shells = shared.shells.clone();
        tokio::spawn(async move {
            shared.sessions.fetch_add(1, Ordering::Relaxed);
            session::Session::serve(channel, handle, place, shells).await;
            shared.sessions.fetch_sub(1, Ordering::Relaxed);
            drop(alive);
        });
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.asked.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let asked = self.asked.get_mut(&channel);
        let first =
            asked.is_some_and(|asked| !asked.program && !std::mem::replace(&mut asked.terminal, true));
        if first { session.channel_success(channel) } else { session.channel_failure(channel) }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if may_set(name) { session.channel_success(channel) } else { session.channel_failure(channel) }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.answer_program(channel, true, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answer_program(channel, true, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == "sftp" {
            return self.answer_program(channel, true, session);
        }
        session.channel_failure(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        _: russh::Sig,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.place() {
            Some(place) => {
                tokio::spawn(forward::serve_tcp(channel, reply, host.to_owned(), port, place));
            }
            None => reply.reject(ChannelOpenFailure::ResourceShortage).await,
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.place() {
            Some(place) => {
                tokio::spawn(forward::serve_unix(channel, reply, path.to_owned(), place));
            }
            None => reply.reject(ChannelOpenFailure::ResourceShortage).await,
        }
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        let opened = self.listeners.open_tcp(address, *port, session.handle()).await;
        if let Some(bound) = opened {
            *port = bound;
        }
        Ok(opened.is_some())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.listeners.close_tcp(address, port))
    }

    async fn streamlocal_forward(&mut self, path: &str, session: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.listeners.open_unix(path, session.handle()))
    }

    async fn cancel_streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.listeners.close_unix(path))
    }
}

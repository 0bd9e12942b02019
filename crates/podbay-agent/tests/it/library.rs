//! A client made of the SSH library, for what OpenSSH's cannot do.

use std::sync::Arc;

use russh::client::{Config, Handle, Handler, connect};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};

use crate::support::Agent;

/// Takes whatever host key there is.
pub struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A connection of somebody whose key is known.
pub async fn log_in(agent: &Agent) -> Handle<Trusting> {
    let mut session =
        connect(Arc::new(Config::default()), ("127.0.0.1", agent.port), Trusting).await.unwrap();
    let key = Arc::new(load_secret_key(agent.path("id"), None).unwrap());
    let key = PrivateKeyWithHashAlg::new(key, None);
    assert!(session.authenticate_publickey("root", key).await.unwrap().success());
    session
}

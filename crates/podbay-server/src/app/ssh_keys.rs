//! SSH public keys of an account. All of them are installed in every pod that lets the account in,
//! and a change reaches running pods within a second.

use super::{Actor, App, Error, KeysOf};
use podbay_core::{SshKeyId, limits};
use podbay_store::{Page, SshKeyRecord, StoreError};
use russh::keys::{HashAlg, PublicKey};

/// The account's keys, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn ssh_key_list(
    app: &App,
    actor: &Actor,
    offset: u64,
    limit: u64,
) -> Result<Page<SshKeyRecord>, Error> {
    Ok(app.store.reader().await?.ssh_key_list(&actor.user, offset, limit).await?)
}

/// Adds a key. The first one becomes the primary.
///
/// # Errors
/// [`Error::Invalid`] for what is no key; [`Error::Conflict`] for one that is there already.
pub async fn ssh_key_add(
    app: &App,
    actor: &Actor,
    name: String,
    public_key: &str,
) -> Result<SshKeyRecord, Error> {
    let (line, fingerprint) = parse(public_key)?;
    let now = app.now();
    let record = SshKeyRecord {
        id: app.chance.ssh_key_id(),
        user_id: actor.user.clone(),
        name,
        public_key: line,
        fingerprint,
        is_primary: false,
        created_at: now,
        updated_at: now,
    };
    let user = actor.user.clone();
    let added = app.write_once(actor, move |tx| {
        Box::pin(async move {
            let mut record = record;
            let total = tx.ssh_key_list(&user, 0, 1).await?.total;
            if total >= limits::SSH_KEYS_MAX as u64 {
                return Err(Error::Conflict(format!(
                    "this account has {} SSH keys already; delete one first",
                    limits::SSH_KEYS_MAX
                )));
            }
            record.is_primary = total == 0;
            match tx.ssh_key_insert(&record).await {
                Err(StoreError::Conflict(_)) => {
                    Err(Error::Conflict("this SSH key is registered already".into()))
                }
                other => Ok(other.map(|()| record)?),
            }
        })
    });
    let record = added.await?;
    app.keys_touch(KeysOf::User(actor.user.clone()));
    Ok(record)
}

/// Deletes a key; sessions that it opened end within a second.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn ssh_key_delete(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let id = SshKeyId::parse(id).ok_or(Error::NotFound)?;
    let user = actor.user.clone();
    let deleted = app
        .store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.ssh_key_delete(&user, &id).await?) }))
        .await?;
    if !deleted {
        return Err(Error::NotFound);
    }
    app.keys_touch(KeysOf::User(actor.user.clone()));
    Ok(())
}

/// Makes a key the primary one.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn ssh_key_set_primary(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let id = SshKeyId::parse(id).ok_or(Error::NotFound)?;
    let (user, now) = (actor.user.clone(), app.now());
    let done = app
        .store
        .write(move |tx| {
            Box::pin(async move { Ok::<_, Error>(tx.ssh_key_set_primary(&user, &id, now).await?) })
        })
        .await?;
    if done { Ok(()) } else { Err(Error::NotFound) }
}

/// The key in one clean line, and its fingerprint. Options before the key are refused: they
/// would be instructions to the agent.
fn parse(text: &str) -> Result<(String, String), Error> {
    let wrong = |msg: &str| Error::field("body.publicKey", msg);
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        return Err(wrong(
            "this is a private key: send the public one (the file that ends in .pub), and keep this secret",
        ));
    }
    let no_key = || wrong("no OpenSSH public key: one line such as `ssh-ed25519 AAAA… comment`");
    if text.contains(['\n', '\r']) {
        return Err(no_key());
    }
    let key = PublicKey::from_openssh(text).map_err(|_| no_key())?;
    if matches!(key.algorithm(), russh::keys::Algorithm::Dsa) {
        return Err(wrong("DSA keys are too weak; make one with `ssh-keygen -t ed25519`"));
    }
    if key.comment().to_string().chars().any(char::is_control) {
        return Err(wrong("the comment has control characters"));
    }
    let line = key.to_openssh().map_err(|_| wrong("this kind of key cannot be written back"))?;
    Ok((line, key.fingerprint(HashAlg::Sha256).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ada@lovelace";

    #[test]
    fn a_key_line_is_read_and_normalised() {
        let (line, fingerprint) = parse(&format!("  {KEY}\n")).unwrap();
        assert_eq!(line, KEY);
        assert!(fingerprint.starts_with("SHA256:"));
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_the_reason() {
        let cases = [
            ("", "no OpenSSH public key"),
            ("hello", "no OpenSSH public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
            (&format!("command=\"rm -rf /\" {KEY}"), "no OpenSSH public key"),
            ("ssh-ed25519 AAAA", "no OpenSSH public key"),
        ];
        for (text, expected) in cases {
            let Err(Error::Invalid(fields)) = parse(text) else { panic!("{text} was taken") };
            assert!(fields[0].msg.contains(expected), "{text}: {}", fields[0].msg);
        }
    }
}

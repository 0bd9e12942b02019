//! Logins from elsewhere: a program asks, a person with a key approves, the program gets a key of its own.
//!
//! The new key is sealed with the program's public key in the moment that it is made. **Invariant:**
//! its plaintext is in no row, no log and no reply.

use super::once::{self, Once};
use super::{Actor, App, Error, api_keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podbay_core::permission::Scopes;
use podbay_core::{LoginCode, Timestamp, limits};
use podbay_store::{ApiKeyRecord, Login};
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, RsaPublicKey};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Begins a login: its code, and the token with which the program asks how it went. Anybody may, so the
/// number of those that wait is bounded: a flood makes the oldest forgotten, and locks nobody out. For the same
/// reason no reply is kept for a repeated call: with an idempotency key code and token are made of it.
///
/// # Errors
/// [`Error::Invalid`] for what is no RSA public key of a usable size, and for the idempotency key of another
/// call.
pub async fn login_begin(
    app: &App,
    public_key: String,
    once: Option<Arc<Once>>,
) -> Result<(LoginCode, String), Error> {
    read_key(&public_key)?;
    let drawn = || {
        let token = app.chance.secret().iter().map(|byte| format!("{byte:02x}")).collect();
        (app.chance.login_code(), token)
    };
    let (code, token) = once.as_ref().and_then(|once| once.login()).unwrap_or_else(drawn);
    let now = app.now();
    let login = Login {
        code: code.clone(),
        status_sha256: Sha256::digest(token.as_bytes()).into(),
        public_key,
        created_at: now,
        expires_at: now.plus(limits::LOGIN_LIFE),
        sealed: None,
    };
    let begun = app.store.write(move |tx| {
        Box::pin(async move {
            match tx.login_get(&login.code, now).await? {
                Some(known) if known.status_sha256 == login.status_sha256 => Ok(false),
                Some(_) => Err(once::of_another()),
                None => {
                    tx.login_prune(now, limits::LOGINS_WAITING_MAX - 1).await?;
                    tx.login_insert(&login).await?;
                    Ok(true)
                }
            }
        })
    });
    if !begun.await?
        && let Some(once) = once
    {
        once.found_again();
    }
    Ok((code, token))
}

/// The sealed key of a login, once there is one.
///
/// # Errors
/// [`Error::NotFound`] for one that is unknown, refused or expired, and for another's token.
pub async fn login_status(app: &App, code: &str, token: &str) -> Result<Option<String>, Error> {
    let code = LoginCode::parse(code).ok_or(Error::NotFound)?;
    let login = app.store.reader().await?.login_get(&code, app.now()).await?.ok_or(Error::NotFound)?;
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    if bool::from(hash.ct_eq(&login.status_sha256)) { Ok(login.sealed) } else { Err(Error::NotFound) }
}

/// What an approval leaves behind: the record of the key, which has no secret.
pub struct Approved(pub ApiKeyRecord);

/// What a refusal leaves behind.
pub struct Refused;

/// Makes a key of the caller for the program that waits.
///
/// # Errors
/// [`Error::Invalid`] for a code that nobody waits with, scopes that the calling key does not have, or an
/// expiry in the past; [`Error::Conflict`] if it was approved already.
pub async fn login_approve(
    app: &App,
    actor: &Actor,
    code: LoginCode,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> Result<Approved, Error> {
    api_keys::check(app, actor, &scopes, expires_at)?;
    let now = app.now();
    let login = app.store.reader().await?.login_get(&code, now).await?.ok_or_else(nobody_waits)?;
    let name = format!("prime login {code}");
    let (key, record) = api_keys::make(app, actor.user.clone(), name, scopes, expires_at);
    let sealed = seal(app, &login.public_key, &key.reveal())?;
    let approved = app.write_once(actor, move |tx| {
        Box::pin(async move {
            tx.api_key_insert(&record).await?;
            if tx.login_approve(&code, &record.user_id, &record.id, &sealed, now).await? {
                return Ok(Approved(record));
            }
            // The error undoes the key, too.
            Err(match tx.login_get(&code, now).await? {
                Some(_) => Error::Conflict("this login has been approved already".into()),
                None => nobody_waits(),
            })
        })
    });
    approved.await
}

/// Refuses a login: the program is told that it has expired.
///
/// # Errors
/// [`Error::Invalid`] for a code that nobody waits with.
pub async fn login_refuse(app: &App, actor: &Actor, code: LoginCode) -> Result<Refused, Error> {
    let now = app.now();
    let refused = app.write_once(actor, move |tx| {
        Box::pin(
            async move { if tx.login_refuse(&code, now).await? { Ok(Refused) } else { Err(nobody_waits()) } },
        )
    });
    refused.await
}

fn nobody_waits() -> Error {
    let minutes = limits::LOGIN_LIFE.as_secs() / 60;
    let text =
        format!("no login waits with this code; codes are valid for {minutes} minutes, begin a new one");
    Error::field("body.challenge", text)
}

fn read_key(pem: &str) -> Result<RsaPublicKey, Error> {
    let (least, most) = (limits::RSA_BITS_MIN, limits::RSA_BITS_MAX);
    let key = RsaPublicKey::from_public_key_pem(pem.trim()).ok();
    key.filter(|key| (least..=most).contains(&key.n().bit_width())).ok_or_else(|| {
        let text = format!("write an RSA public key of {least} to {most} bits in PEM (`BEGIN PUBLIC KEY`)");
        Error::field("body.encryptionPublicKey", text)
    })
}

fn seal(app: &App, pem: &str, text: &str) -> Result<String, Error> {
    let sealed = read_key(pem)?.encrypt(&mut Draw(app), Oaep::<Sha256>::new(), text.as_bytes());
    sealed
        .map(|bytes| STANDARD.encode(bytes))
        .map_err(|error| Error::Internal(format!("seal a key: {error}")))
}

/// The app's chance as the encryption draws it.
struct Draw<'a>(&'a App);

impl TryRng for Draw<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.chance.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.chance.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.chance.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Draw<'_> {}

//! Notebooks: the password of an order is turned into what Jupyter compares with, and is then forgotten.

use super::{App, Error};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Memory in KiB and passes of the hash: about 20 ms of one core.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of a password, as Jupyter's configuration takes it.
pub(super) async fn hash(app: &App, password: &str) -> Result<String, Error> {
    let (salt, password) = (app.chance.salt(), password.to_owned());
    // Too long for a thread that serves.
    let hashed = tokio::task::spawn_blocking(move || hash_with(&password, salt)).await;
    hashed.map_err(|error| Error::Internal(format!("hash a password: {error}")))?
}

fn hash_with(password: &str, salt: [u8; 16]) -> Result<String, Error> {
    let wrong = |error: argon2::Error| Error::Internal(format!("hash a password: {error}"));
    let parameters = Params::new(MEMORY, PASSES, LANES, None).map_err(wrong)?;
    let mut out = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password_into(password.as_bytes(), &salt, &mut out).map_err(wrong)?;
    let (salt, out) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out));
    Ok(format!("argon2:$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_one_that_jupyter_knows() {
        // Checked against `jupyter_server.auth.security.passwd_check`.
        let hash = hash_with("open sesame é", [7; 16]).unwrap();
        let expected = "argon2:$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw\
                        $TrTbJpPGCxw7Y4cjq3mYVzYeHnZi3T7yo2wrveMVtFg";
        assert_eq!(hash, expected);
    }
}

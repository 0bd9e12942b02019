//! Secrets that must be had again: sealed before they are rows, or made again of what only the caller has.
//! Whoever gets the database alone gets none.

use super::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

/// The keys of this installation.
pub struct Vault {
    seals: LessSafeKey,
    remakes: hmac::Key,
}

/// What [`Vault::remake`] makes.
pub type Remade = [u8; 64];

impl Vault {
    /// The vault of that secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key of that cipher is any 32 bytes.
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret).expect("32 bytes");
        // The other use of the secret gets a key of its own.
        let other = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"what is made again");
        let remakes = hmac::Key::new(hmac::HMAC_SHA512, other.as_ref());
        Self { seals: LessSafeKey::new(key), remakes }
    }

    /// Secret bytes that are the same for the same `parts`, and tell nothing of those for others.
    #[must_use]
    pub fn remake(&self, parts: &[&[u8]]) -> Remade {
        let mut context = hmac::Context::with_key(&self.remakes);
        for part in parts {
            // With their lengths, or what is moved from one part to the next would change nothing.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut made = [0; 64];
        made.copy_from_slice(context.sign().as_ref());
        made
    }

    /// `secret` as it may be stored. `about` (the row's id) must be the same when it is opened, so that
    /// what is sealed is of no use in another row. `nonce` is drawn for this one call.
    ///
    /// # Errors
    /// The secret is too long for the cipher.
    pub fn seal(&self, about: &str, secret: &str, nonce: [u8; NONCE_LEN]) -> Result<String, Error> {
        let mut bytes = secret.as_bytes().to_vec();
        let sealed = self.seals.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about.as_bytes()),
            &mut bytes,
        );
        sealed.map_err(|_| Error::Internal("a secret cannot be sealed".into()))?;
        Ok(STANDARD.encode([&nonce[..], &bytes].concat()))
    }

    /// What was sealed; `None` if it was with another key, for another row, or was changed since.
    #[must_use]
    pub fn open(&self, about: &str, sealed: &str) -> Option<String> {
        let mut bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let secret = self.seals.open_in_place(nonce, Aad::from(about.as_bytes()), sealed).ok()?;
        String::from_utf8(secret.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_row_only() {
        let vault = Vault::new(&[1; 32]);
        let sealed = vault.seal("c1", "pässword", [9; 12]).unwrap();
        assert!(!sealed.contains("ssword"));
        assert_eq!(vault.open("c1", &sealed).as_deref(), Some("pässword"));
        assert_eq!(vault.open("c2", &sealed), None);
        assert_eq!(Vault::new(&[2; 32]).open("c1", &sealed), None);
        assert_ne!(vault.seal("c1", "pässword", [8; 12]).unwrap(), sealed);
        for broken in ["", "AAAA", "%", &sealed[..sealed.len() - 4]] {
            assert_eq!(vault.open("c1", broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_made_again_is_the_same_for_the_same_parts_only() {
        let vault = Vault::new(&[1; 32]);
        let made = vault.remake(&[b"invitation", b"code", b"key"]);
        assert_eq!(vault.remake(&[b"invitation", b"code", b"key"]), made);
        assert_ne!(vault.remake(&[b"invitation", b"codek", b"ey"]), made);
        assert_ne!(vault.remake(&[b"invitation", b"code"]), made);
        assert_ne!(Vault::new(&[2; 32]).remake(&[b"invitation", b"code", b"key"]), made);
    }
}

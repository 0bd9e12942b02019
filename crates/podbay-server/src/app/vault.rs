//! Secrets that must be had again, sealed before they are rows: whoever gets the database alone gets none.

use super::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The key of this installation.
pub struct Vault(LessSafeKey);

impl Vault {
    /// The vault of that secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key of that cipher is any 32 bytes.
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret).expect("32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// `secret` as it may be stored. `about` (the row's id) must be the same when it is opened, so that
    /// what is sealed is of no use in another row. `nonce` is drawn for this one call.
    ///
    /// # Errors
    /// The secret is too long for the cipher.
    pub fn seal(&self, about: &str, secret: &str, nonce: [u8; NONCE_LEN]) -> Result<String, Error> {
        let mut bytes = secret.as_bytes().to_vec();
        let sealed = self.0.seal_in_place_append_tag(
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
        let secret = self.0.open_in_place(nonce, Aad::from(about.as_bytes()), sealed).ok()?;
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
}

//! The form of an API key: `pbk_ID_SECRETCHECK`.
//!
//! The prefix and the checksum let a scanner find leaked keys offline, and let the server refuse
//! a mistyped one without a look-up. Regular expression: `pbk_[0-9a-z]{12}_[0-9A-Za-z]{46}`.

use crate::ApiKeyId;
use std::fmt;

const PREFIX: &str = "pbk_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 40 base-62 digits carry 238 bits.
const SECRET_DIGITS: usize = 40;
const CHECK_DIGITS: usize = 6;

/// A whole key, secret included. It has no `Debug` and no `Serialize`: it is shown once, on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    id: ApiKeyId,
    secret: String,
}

impl ApiKey {
    /// The key that these random bytes stand for: one byte a digit, near uniform, ≥190 bits in all.
    #[must_use]
    pub fn from_entropy(id: ApiKeyId, entropy: &[u8; SECRET_DIGITS]) -> Self {
        // 256 is no multiple of 62: the first 8 digits are a little likelier, which costs 0.03 bits a digit.
        let secret = entropy.iter().map(|byte| char::from(BASE62[usize::from(*byte) % 62])).collect();
        Self { id, secret }
    }

    /// The key in `text`, if its form and its checksum are right.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = ApiKeyId::parse(id)?;
        let digits = rest.len() == SECRET_DIGITS + CHECK_DIGITS && rest.bytes().all(|b| BASE62.contains(&b));
        if !digits {
            return None;
        }
        let (secret, check) = rest.split_at(SECRET_DIGITS);
        let key = Self { id, secret: secret.to_owned() };
        (key.check() == check).then_some(key)
    }

    /// The part that may be stored and shown.
    #[must_use]
    pub fn id(&self) -> &ApiKeyId {
        &self.id
    }

    /// The whole key as the user keeps it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}{}", self.id, self.secret, self.check())
    }

    fn check(&self) -> String {
        let mut sum = crc32fast::hash(format!("{PREFIX}{}_{}", self.id, self.secret).as_bytes());
        let mut digits = [b'0'; CHECK_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = BASE62[(sum % 62) as usize];
            sum /= 62;
        }
        digits.iter().map(|byte| char::from(*byte)).collect()
    }
}

impl fmt::Display for ApiKey {
    /// The public part only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::from_entropy(ApiKeyId::from_bits(77), &[9; SECRET_DIGITS])
    }

    #[test]
    fn a_revealed_key_is_read_back() {
        assert!(ApiKey::parse(&key().reveal()).is_some_and(|read| read == key()));
        assert!(!key().to_string().contains("999"));
    }

    #[test]
    fn any_single_wrong_character_is_noticed() {
        let text = key().reveal();
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(ApiKey::parse(&changed).is_none(), "{changed}");
        }
        assert!(ApiKey::parse("").is_none());
        assert!(ApiKey::parse("pbk_é_é").is_none());
    }
}

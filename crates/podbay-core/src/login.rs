//! The code of a login that waits for approval: short enough to be typed from one screen into another.

use std::fmt;

/// What is not mistaken for another letter or digit when it is read aloud or typed.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 12 digits carry 60 bits: nobody meets one by trying within its few minutes.
const LENGTH: usize = 12;
/// Digits between two dashes.
const GROUP: usize = 4;

/// A code such as `7K2M-Q9TD-40XB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginCode(String);

impl LoginCode {
    /// The code that the lowest 60 of these bits stand for.
    #[must_use]
    pub fn from_bits(mut bits: u128) -> Self {
        let mut text = String::with_capacity(LENGTH + LENGTH / GROUP - 1);
        for position in 0..LENGTH {
            if position > 0 && position % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(DIGITS[(bits % 32) as usize]));
            bits /= 32;
        }
        Self(text)
    }

    /// The code in what a person typed: dashes, spaces and small letters do not matter, and `O`, `I`
    /// and `L` are the digits that they look like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits = 0;
        let mut shift = 0;
        for typed in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            let meant = match typed.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = DIGITS.iter().position(|digit| *digit == meant)?;
            if shift == 5 * LENGTH {
                return None;
            }
            bits |= (digit as u128) << shift;
            shift += 5;
        }
        (shift == 5 * LENGTH).then(|| Self::from_bits(bits))
    }

    /// Takes a string from our own rows as it is.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The code as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LoginCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = LoginCode::from_bits(0x0123_4567_89AB_CDEF);
        assert_eq!(LoginCode::parse(code.as_str()), Some(code.clone()));
        let typed = code.as_str().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(LoginCode::parse(&typed), Some(code.clone()));
        assert_eq!(code.as_str().len(), 14);
        assert_eq!(LoginCode::from_bits(0).as_str(), "0000-0000-0000");
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let long = "0".repeat(13);
        for text in ["", "0000-0000-000", long.as_str(), "0000-0000-000U", "0000-0000-000é", "../../etc/pa"]
        {
            assert_eq!(LoginCode::parse(text), None, "{text:?}");
        }
    }
}

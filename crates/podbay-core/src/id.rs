//! Typed ids. Each is a short ASCII string whose shape clients depend on.
//!
//! Pod ids are 32 lowercase hex digits (clients extract them with `[a-zA-Z0-9]+`, so no dashes);
//! user and team ids have the shape of a CUID (`c` and 24 of `[a-z0-9]`), which the published
//! client checks. Entropy is an argument: this crate draws no random numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident: $shape:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id that these 128 bits stand for.
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self($shape::format(bits))
            }

            /// The id, if `text` has its shape; `None` for anything else, however long.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                $shape::matches(text).then(|| Self(text.to_owned()))
            }

            /// Takes a string from our own rows as it is.
            #[must_use]
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A pod.
    PodId: hex32;
    /// A persistent disk. Drawn like a pod's, so that the two never share one.
    DiskId: hex32;
    /// An SSH public key of an account.
    SshKeyId: hex32;
    /// The public half of an API key's name; part of the key itself.
    ApiKeyId: base36x12;
    /// This installation, written on every container as a label.
    InstallId: hex32;
    /// A user.
    UserId: cuid;
    /// A team.
    TeamId: cuid;
    /// The wallet of a user or a team.
    WalletId: cuid;
    /// An invitation into a team; no secret.
    InvitationId: hex32;
    /// Money that the owner of the installation has put into a wallet.
    CreditId: hex32;
    /// A template.
    TemplateId: cuid;
    /// Credentials of a registry.
    CredentialsId: cuid;
    /// A machine or cluster that pods are placed on.
    HostId: hostname;
    /// A server, from its start to its end; the next start is another one.
    ServerId: hex32;
}

/// What the reconciler works on: it has a row of its own, events and a bill.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A pod.
    Pod(PodId),
    /// A persistent disk.
    Disk(DiskId),
}

impl Subject {
    /// The id as text. Those of pods and disks are drawn from one space and never meet.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pod(id) => id.as_str(),
            Self::Disk(id) => id.as_str(),
        }
    }

    /// What [`Subject`] is shown as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ')? {
            ("pod", id) => PodId::parse(id).map(Self::Pod),
            ("disk", id) => DiskId::parse(id).map(Self::Disk),
            _ => None,
        }
    }
}

impl From<&PodId> for Subject {
    fn from(id: &PodId) -> Self {
        Self::Pod(id.clone())
    }
}

impl From<&DiskId> for Subject {
    fn from(id: &DiskId) -> Self {
        Self::Disk(id.clone())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(id) => write!(f, "pod {id}"),
            Self::Disk(id) => write!(f, "disk {id}"),
        }
    }
}

mod hex32 {
    pub(super) fn format(bits: u128) -> String {
        format!("{bits:032x}")
    }
    pub(super) fn matches(text: &str) -> bool {
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

fn base36(mut bits: u128, digits: usize) -> String {
    let mut out = Vec::with_capacity(digits);
    for _ in 0..digits {
        out.push(char::from(BASE36[(bits % 36) as usize]));
        bits /= 36;
    }
    out.into_iter().collect()
}

fn is_base36(text: &str) -> bool {
    text.bytes().all(|b| BASE36.contains(&b))
}

mod cuid {
    pub(super) fn format(bits: u128) -> String {
        format!("c{}", super::base36(bits, 24))
    }
    pub(super) fn matches(text: &str) -> bool {
        text.len() == 25 && text.starts_with('c') && super::is_base36(text)
    }
}

mod base36x12 {
    pub(super) fn format(bits: u128) -> String {
        super::base36(bits, 12)
    }
    pub(super) fn matches(text: &str) -> bool {
        text.len() == 12 && super::is_base36(text)
    }
}

mod hostname {
    pub(super) fn format(bits: u128) -> String {
        format!("host-{}", super::base36(bits, 8))
    }
    pub(super) fn matches(text: &str) -> bool {
        (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_from_bits_has_the_shape_that_clients_check() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef] {
            assert!(PodId::parse(PodId::from_bits(bits).as_str()).is_some());
            assert!(UserId::parse(UserId::from_bits(bits).as_str()).is_some());
            assert!(ApiKeyId::parse(ApiKeyId::from_bits(bits).as_str()).is_some());
            assert!(HostId::parse(HostId::from_bits(bits).as_str()).is_some());
        }
    }

    #[test]
    fn foreign_shapes_are_refused() {
        for text in ["", "../../etc/passwd", "A".repeat(32).as_str(), "é".repeat(16).as_str(), "0\0"] {
            assert_eq!(PodId::parse(text), None, "{text:?}");
            assert_eq!(UserId::parse(text), None, "{text:?}");
        }
    }
}

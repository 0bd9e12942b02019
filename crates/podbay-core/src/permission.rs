//! What an API key may do: a level for each scope, named as on the wire.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A family of calls that a key is allowed or denied as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Offers and price summaries.
    Availability,
    /// Pods, their status, logs and history.
    Instances,
    /// SSH public keys of the account.
    SshKeys,
    /// Persistent disks.
    Disks,
    /// Teams and members.
    Teams,
    /// Wallet and bills.
    Billing,
}

impl Scope {
    /// All scopes, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Availability, Self::Instances, Self::SshKeys, Self::Disks, Self::Teams, Self::Billing];

    /// The stable lower-case name of the wire and of the CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Instances => "instances",
            Self::SshKeys => "ssh_keys",
            Self::Disks => "disks",
            Self::Teams => "teams",
            Self::Billing => "billing",
        }
    }

    /// The name as a person reads it in an error.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Availability => "Availability",
            Self::Instances => "Instances",
            Self::SshKeys => "SSH keys",
            Self::Disks => "Disks",
            Self::Teams => "Teams",
            Self::Billing => "Billing",
        }
    }

    /// The scope of that wire name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// How far a key may go within a scope. Ordered: more includes less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Look, not touch.
    Read,
    /// Look and change.
    Write,
}

/// What a call needs of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Any valid key.
    AnyKey,
    /// A level within a scope.
    Needs(Scope, Level),
    /// A key that has every scope at [`Level::Write`].
    FullKey,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyKey => f.write_str("any valid key"),
            Self::Needs(scope, Level::Write) => write!(f, "{} → Read and Write", scope.title()),
            Self::Needs(scope, _) => write!(f, "{} → Read", scope.title()),
            Self::FullKey => f.write_str("Read and Write in every scope"),
        }
    }
}

/// The levels of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// See [`Scope::Availability`].
    pub availability: Level,
    /// See [`Scope::Instances`].
    pub instances: Level,
    /// See [`Scope::SshKeys`].
    pub ssh_keys: Level,
    /// See [`Scope::Disks`].
    pub disks: Level,
    /// See [`Scope::Teams`].
    pub teams: Level,
    /// See [`Scope::Billing`].
    pub billing: Level,
}

impl Scopes {
    /// Everything.
    pub const FULL: Self = Self {
        availability: Level::Write,
        instances: Level::Write,
        ssh_keys: Level::Write,
        disks: Level::Write,
        teams: Level::Write,
        billing: Level::Write,
    };

    /// The level within `scope`.
    #[must_use]
    pub fn level(&self, scope: Scope) -> Level {
        match scope {
            Scope::Availability => self.availability,
            Scope::Instances => self.instances,
            Scope::SshKeys => self.ssh_keys,
            Scope::Disks => self.disks,
            Scope::Teams => self.teams,
            Scope::Billing => self.billing,
        }
    }

    /// These scopes with one of them set.
    #[must_use]
    pub fn with(mut self, scope: Scope, level: Level) -> Self {
        let slot = match scope {
            Scope::Availability => &mut self.availability,
            Scope::Instances => &mut self.instances,
            Scope::SshKeys => &mut self.ssh_keys,
            Scope::Disks => &mut self.disks,
            Scope::Teams => &mut self.teams,
            Scope::Billing => &mut self.billing,
        };
        *slot = level;
        self
    }

    /// Whether a key with these scopes may do what `permission` asks (ownership apart).
    #[must_use]
    pub fn allow(&self, permission: Permission) -> bool {
        match permission {
            Permission::AnyKey => true,
            Permission::Needs(scope, level) => self.level(scope) >= level,
            Permission::FullKey => *self == Self::FULL,
        }
    }

    /// Whether `other` asks for nothing that these do not have: a key cannot mint a wider one.
    #[must_use]
    pub fn include(&self, other: &Self) -> bool {
        Scope::ALL.into_iter().all(|scope| self.level(scope) >= other.level(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_includes_read_and_none_allows_nothing() {
        let read = Scopes::default().with(Scope::Instances, Level::Read);
        assert!(read.allow(Permission::Needs(Scope::Instances, Level::Read)));
        assert!(!read.allow(Permission::Needs(Scope::Instances, Level::Write)));
        assert!(!read.allow(Permission::Needs(Scope::Disks, Level::Read)));
        assert!(read.allow(Permission::AnyKey));
        assert!(!read.allow(Permission::FullKey));
        assert!(Scopes::FULL.include(&read) && !read.include(&Scopes::FULL));
    }
}

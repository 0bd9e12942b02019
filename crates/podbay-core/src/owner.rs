//! Who a resource belongs to, and who pays for it.

use crate::{TeamId, UserId};

/// A user, or the team that the user has ordered for. Their ids never meet: both are random and
/// of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Personal.
    User(UserId),
    /// Every member's.
    Team(TeamId),
}

impl Owner {
    /// The id, whichever it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Team(id) => id.as_str(),
        }
    }

    /// The team, if it is one.
    #[must_use]
    pub fn team(&self) -> Option<&TeamId> {
        match self {
            Self::User(_) => None,
            Self::Team(id) => Some(id),
        }
    }
}

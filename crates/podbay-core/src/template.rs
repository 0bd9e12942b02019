//! Templates: images of one's own, with what a pod of them is started with. And the credentials of
//! the registries that they come from.

use crate::pod::NamedPort;
use crate::{CredentialsId, TeamId, TemplateId, Timestamp, UserId};

/// A template. A pod takes a copy when it is ordered: later changes are for later pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Id.
    pub id: TemplateId,
    /// Whose.
    pub user_id: UserId,
    /// The team that owns it.
    pub team_id: Option<TeamId>,
    /// Display name; not unique.
    pub name: String,
    /// OCI reference.
    pub image: String,
    /// What is run instead of the image's ENTRYPOINT and CMD; `None` for those.
    pub command: Option<Vec<String>>,
    /// Environment, in order; see [`merge_env`].
    pub env: Vec<(String, String)>,
    /// Ports that are published beside those that the image exposes.
    pub ports: Vec<NamedPort>,
    /// Credentials that the image is fetched with.
    pub credentials: Option<CredentialsId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The environment of a pod: the template's variables, with the order's in their place or behind them.
#[must_use]
pub fn merge_env(template: &[(String, String)], order: &[(String, String)]) -> Vec<(String, String)> {
    let mut merged = template.to_vec();
    for (name, value) in order {
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => old.clone_from(value),
            None => merged.push((name.clone(), value.clone())),
        }
    }
    merged
}

/// Credentials of a registry. The password is sealed with a key that is not in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    /// Id.
    pub id: CredentialsId,
    /// Whose.
    pub user_id: UserId,
    /// Display name; not unique.
    pub name: String,
    /// Registry, as it stands at the head of a complete image reference.
    pub server: String,
    /// Login name.
    pub username: String,
    /// Password or token, sealed.
    pub password_sealed: String,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegistryCredentials({}, {} as {})", self.id, self.server, self.username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_wins_over_the_template_and_keeps_its_place() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.into(), value.into()));
            text.split_whitespace().filter_map(pair).collect()
        };
        for (template, order, expected) in [
            ("", "", ""),
            ("A=1 B=2", "", "A=1 B=2"),
            ("", "A=1", "A=1"),
            ("A=1 B=2", "C=3 A=9", "A=9 B=2 C=3"),
        ] {
            assert_eq!(merge_env(&pairs(template), &pairs(order)), pairs(expected), "{template} + {order}");
        }
    }
}

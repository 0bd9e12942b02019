//! From what a person types to the one thing that is meant: an id, the beginning of one, or a name.

use crate::failure::{Failure, Result};
use crate::printable;

/// Shortest beginning of an id that is taken for one.
const PREFIX_CHARS_MIN: usize = 4;
/// Things that an answer names when several are meant.
const NAMED_MAX: usize = 10;

/// Something with an id and a name.
pub trait Named {
    /// Id.
    fn id(&self) -> &str;
    /// Name.
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($kind:ty: $id:ident),*) => {$(
        impl Named for $kind {
            fn id(&self) -> &str { &self.$id }
            fn name(&self) -> &str { &self.name }
        }
    )*};
}

named!(
    podbay_api::pods::Pod: id,
    podbay_api::disks::Disk: id,
    podbay_api::ssh_keys::SshKey: id,
    podbay_api::api_keys::ApiKey: id,
    podbay_api::templates::Template: id,
    podbay_api::templates::RegistryCredentials: id,
    podbay_api::users::User: id,
    podbay_api::teams::Team: team_id
);

impl Named for podbay_api::teams::Member {
    fn id(&self) -> &str {
        &self.user_id
    }
    fn name(&self) -> &str {
        self.user_name.as_deref().unwrap_or_default()
    }
}

/// The one of `things` that `text` means. A whole id wins; otherwise a name and the beginning of
/// an id count the same, so that a pod cannot take another one's place by its name.
pub fn one<T: Named>(things: Vec<T>, text: &str, noun: &str) -> Result<T> {
    if let Some(place) = things.iter().position(|thing| thing.id() == text) {
        return things.into_iter().nth(place).ok_or_else(|| missing(text, noun));
    }
    let is_prefix = |thing: &T| text.len() >= PREFIX_CHARS_MIN && thing.id().starts_with(text);
    let mut meant: Vec<T> =
        things.into_iter().filter(|thing| thing.name() == text || is_prefix(thing)).collect();
    match (meant.pop(), meant.is_empty()) {
        (None, _) => Err(missing(text, noun)),
        (Some(thing), true) => Ok(thing),
        (Some(last), false) => {
            meant.push(last);
            let line =
                |thing: &T| format!("{}  {}", printable::line(thing.id()), printable::line(thing.name()));
            let lines = meant.iter().take(NAMED_MAX).map(line).collect();
            let text = format!("`{text}` means {} of your {noun}s", meant.len());
            Err(Failure::usage(text).more(lines).hint("give the id"))
        }
    }
}

fn missing(text: &str, noun: &str) -> Failure {
    Failure::not_found(format!("there is no {noun} `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, &'static str);

    impl Named for Thing {
        fn id(&self) -> &str {
            self.0
        }
        fn name(&self) -> &str {
            self.1
        }
    }

    fn found(text: &str) -> std::result::Result<&'static str, u8> {
        let things = vec![
            Thing("aaaa1111", "one"),
            Thing("aaaa2222", "two"),
            Thing("bbbb3333", "two"),
            Thing("cccc4444", "bbbb3333"),
            Thing("dddd5555", "cccc"),
        ];
        one(things, text, "pod").map(|thing| thing.0).map_err(|failure| failure.code())
    }

    #[test]
    fn ids_win_and_doubt_is_told() {
        assert_eq!(found("bbbb3333"), Ok("bbbb3333"));
        assert_eq!(found("one"), Ok("aaaa1111"));
        assert_eq!(found("aaaa2"), Ok("aaaa2222"));
        assert_eq!(found("aaaa"), Err(2));
        assert_eq!(found("two"), Err(2));
        assert_eq!(found("cccc"), Err(2), "a name must not shadow the beginning of an id");
        assert_eq!(found("aaa"), Err(5), "too short to be the beginning of an id");
        assert_eq!(found(""), Err(5));
    }
}

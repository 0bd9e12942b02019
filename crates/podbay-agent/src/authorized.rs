//! `authorized_keys`: who may log in now.
//!
//! The file is read at every login, so a key added by the server works at once, and it is polled
//! for changes, so a key removed ends what it opened. The directory is a mount and the file is
//! replaced by rename: watching the inode would watch the wrong file.

use std::path::Path;

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

/// The keys of one reading of the file.
#[derive(Default)]
pub(crate) struct AuthorizedKeys(Vec<KeyData>);

impl AuthorizedKeys {
    /// Reads the file. One that is missing or unreadable authorizes nobody.
    pub(crate) fn read(path: &Path) -> AuthorizedKeys {
        AuthorizedKeys::parse(&std::fs::read(path).unwrap_or_default())
    }

    /// One key per line. A line with options in front is not taken: an option is a restriction, and
    /// this server implements none, so to read past it would grant more than was meant.
    fn parse(text: &[u8]) -> AuthorizedKeys {
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let keys = lines.filter_map(|line| PublicKey::from_openssh(line.trim()).ok());
        AuthorizedKeys(keys.map(|key| key.key_data().clone()).collect())
    }

    /// Whether this key may log in.
    pub(crate) fn contains(&self, key: &KeyData) -> bool {
        self.0.contains(key)
    }
}

/// What changes when the file does: a cheap question, asked often.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    /// The file as it is now.
    pub(crate) fn of(path: &Path) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).ok();
        Stamp(found.map(|file| (file.ino(), file.size(), file.mtime(), file.mtime_nsec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn takes_plain_lines_only() {
        let key = PublicKey::from_openssh(KEY).unwrap();
        let known = |text: &str| AuthorizedKeys::parse(text.as_bytes()).contains(key.key_data());
        assert!(known(KEY));
        assert!(known(&format!("# a comment\n\n  {KEY} somebody@somewhere\r\n")));
        assert!(!known(&format!("restrict {KEY}")));
        assert!(!known(&format!("#{KEY}")));
        assert!(!known(""));
    }
}

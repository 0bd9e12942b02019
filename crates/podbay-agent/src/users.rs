//! Who may log in and as whom their processes run.
//!
//! `/etc/passwd` and `/etc/group` are read and parsed by hand at every login: `getpwnam` of a static
//! glibc loads the image's NSS modules and crashes on a foreign libc. Users of NIS, LDAP or
//! `systemd-homed` are therefore unknown here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid};

use crate::sys::Identity;

/// A user of this container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, with the primary one.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: PathBuf,
    /// As `/etc/passwd` has it; it may not exist.
    pub(crate) shell: Option<PathBuf>,
}

impl User {
    /// What a process has to become to run as this user; `None` when we are that user already.
    pub(crate) fn identity(&self) -> Option<Identity> {
        (self.uid != rustix::process::getuid().as_raw()).then(|| Identity {
            uid: Uid::from_raw(self.uid),
            gid: Gid::from_raw(self.gid),
            groups: self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect(),
        })
    }
}

/// The two tables, as bytes read from disk.
pub(crate) struct Tables {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

impl Tables {
    /// Reads the tables; an image may lack both.
    pub(crate) fn read() -> Tables {
        Tables {
            passwd: std::fs::read("/etc/passwd").unwrap_or_default(),
            group: std::fs::read("/etc/group").unwrap_or_default(),
        }
    }

    /// The user that may log in under `name`, given the uid this program runs as.
    ///
    /// Root may become anybody, so every name of `/etc/passwd` is good. Anybody else can only run
    /// processes as themselves: they log in by their name, their number, or as `root`, which is
    /// what people type when an image does not say.
    pub(crate) fn login(&self, name: &str, own_uid: u32) -> Option<User> {
        if own_uid == 0 {
            let found = self.by_name(name);
            return found.or_else(|| (name == "root").then(|| self.unnamed(0)));
        }
        let own = self.by_uid(own_uid).unwrap_or_else(|| self.unnamed(own_uid));
        (name == own.name || name == "root" || name == own_uid.to_string()).then_some(own)
    }

    /// The user an image's `USER` names: `name`, `uid`, either with `:group` or `:gid`.
    pub(crate) fn image_user(&self, text: &str) -> Option<User> {
        let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
        let mut found = match user.parse() {
            Ok(uid) => self.by_uid(uid).unwrap_or_else(|| self.unnamed(uid)),
            Err(_) => self.by_name(user)?,
        };
        if let Some(group) = group {
            found.gid = group.parse().ok().or_else(|| self.gid_of(group))?;
            found.groups = vec![found.gid];
        }
        Some(found)
    }

    fn by_name(&self, name: &str) -> Option<User> {
        self.users().find(|user| user.name == name).map(|user| self.with_groups(user))
    }

    fn by_uid(&self, uid: u32) -> Option<User> {
        self.users().find(|user| user.uid == uid).map(|user| self.with_groups(user))
    }

    /// A user that `/etc/passwd` does not know.
    fn unnamed(&self, uid: u32) -> User {
        let root = uid == 0;
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let gid = if root { 0 } else { rustix::process::getgid().as_raw() };
        User {
            name: if root { "root".to_owned() } else { uid.to_string() },
            uid,
            gid,
            groups: vec![gid],
            home: home.unwrap_or_else(|| PathBuf::from(if root { "/root" } else { "/" })),
            shell: None,
        }
    }

    fn users(&self) -> impl Iterator<Item = User> + '_ {
        self.passwd.split(|byte| *byte == b'\n').filter_map(parse_user)
    }

    fn with_groups(&self, mut user: User) -> User {
        user.groups = vec![user.gid];
        for line in self.group.split(|byte| *byte == b'\n') {
            let Some((_, gid, members)) = parse_group(line) else { continue };
            let member = members.split(|byte| *byte == b',').any(|name| name == user.name.as_bytes());
            if member && !user.groups.contains(&gid) {
                user.groups.push(gid);
            }
        }
        user
    }

    fn gid_of(&self, name: &str) -> Option<u32> {
        let mut groups = self.group.split(|byte| *byte == b'\n').filter_map(parse_group);
        groups.find(|(group, _, _)| *group == name.as_bytes()).map(|(_, gid, _)| gid)
    }

    /// Names of users and groups for a directory listing.
    pub(crate) fn user_name(&self, uid: u32) -> Option<String> {
        self.users().find(|user| user.uid == uid).map(|user| user.name)
    }

    /// The name of a group, for a directory listing.
    pub(crate) fn group_name(&self, gid: u32) -> Option<String> {
        let mut groups = self.group.split(|byte| *byte == b'\n').filter_map(parse_group);
        let (name, _, _) = groups.find(|(_, other, _)| *other == gid)?;
        String::from_utf8(name.to_vec()).ok()
    }

    /// The group terminals belong to, so that `write` and friends work.
    pub(crate) fn tty_gid(&self) -> Option<u32> {
        self.gid_of("tty")
    }
}

fn parse_number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// `name:password:uid:gid:comment:home:shell`
fn parse_user(line: &[u8]) -> Option<User> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    Some(User {
        name: std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?.to_owned(),
        uid: parse_number(uid)?,
        gid: parse_number(gid)?,
        groups: Vec::new(),
        home: if home.is_empty() { PathBuf::from("/") } else { path(home) },
        shell: (!shell.is_empty()).then(|| path(shell)),
    })
}

/// `name:password:gid:members`
fn parse_group(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    Some((name, parse_number(gid)?, members))
}

/// The shell to run a user's commands with, or `None` if the image has none at all.
pub(crate) fn shell_of(user: &User, configured: Option<&[PathBuf]>) -> Option<PathBuf> {
    let usual = [PathBuf::from("/bin/bash"), PathBuf::from("/bin/sh")];
    let own = user.shell.iter().filter(|_| configured.is_none());
    let candidates = own.chain(configured.unwrap_or(&usual));
    candidates.into_iter().find(|path| is_executable(path)).cloned()
}

/// Whether there is a program.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        Tables {
            passwd: b"root:x:0:0:root:/root:/bin/bash\nbroken line\nann:x:1000:1000:,,,:/home/ann:/bin/zsh\n\
                      bob:x:1001:100::/home/bob:\n"
                .to_vec(),
            group: b"root:x:0:\nusers:x:100:ann,bob\ntty:x:5:\nvideo:x:44:ann\nann:x:1000:\n".to_vec(),
        }
    }

    #[test]
    fn root_may_log_in_as_anybody_known() {
        let ann = tables().login("ann", 0).unwrap();
        assert_eq!((ann.uid, ann.gid), (1000, 1000));
        assert_eq!(ann.groups, [1000, 100, 44]);
        assert_eq!(tables().login("bob", 0).unwrap().groups, [100]);
        assert_eq!(tables().login("eve", 0), None);
        assert_eq!(tables().login("", 0), None);
    }

    #[test]
    fn root_exists_without_a_table() {
        let empty = Tables { passwd: Vec::new(), group: Vec::new() };
        assert_eq!(empty.login("root", 0).unwrap().uid, 0);
        assert_eq!(empty.login("ann", 0), None);
    }

    #[test]
    fn another_user_is_only_ever_itself() {
        for name in ["ann", "root", "1000"] {
            assert_eq!(tables().login(name, 1000).unwrap().uid, 1000, "{name}");
        }
        assert_eq!(tables().login("bob", 1000), None);
        let nameless = tables().login("root", 4242).unwrap();
        assert_eq!((nameless.name.as_str(), nameless.uid), ("4242", 4242));
    }

    #[test]
    fn image_users() {
        assert_eq!(tables().image_user("ann").unwrap().uid, 1000);
        assert_eq!(tables().image_user("1001:video").unwrap().groups, [44]);
        assert_eq!(tables().image_user("7:8").unwrap().gid, 8);
        assert_eq!(tables().image_user("eve"), None);
    }
}

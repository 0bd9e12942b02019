//! OpenSSH's extensions: what `scp`, `sftp` and `sshfs` use when a server offers it.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatVfs, StatVfsMountFlags};

use super::attributes::Attributes;
use super::files::{HANDLES_MAX, Server};
use super::wire::{EXTENDED_REPLY, NAME, Reader, Refusal, Replies, Status};
use super::{DATA_BYTES_MAX, PACKET_BYTES_MAX};

/// What is offered with the version, by name and version.
pub(crate) const OFFERED: [(&str, &str); 8] = [
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
];

const READ_ONLY: u64 = 1;
const NO_SETUID: u64 = 2;

/// Carries out an extended request; `true` when its answer is already in `replies`.
pub(crate) fn answer(
    server: &Server,
    id: u32,
    request: &mut Reader<'_>,
    replies: &mut Replies,
) -> Result<bool, Refusal> {
    match request.bytes()? {
        b"posix-rename@openssh.com" => std::fs::rename(request.path()?, request.path()?)?,
        b"hardlink@openssh.com" => {
            let (from, to) = (request.path()?, request.path()?);
            rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
        }
        b"fsync@openssh.com" => server.file(request.bytes()?)?.sync_all()?,
        b"lsetstat@openssh.com" => {
            let path = request.path()?;
            Attributes::read(request)?.set_link(path)?;
        }
        b"statvfs@openssh.com" => {
            put_space(id, &rustix::fs::statvfs(request.path()?)?, replies);
            return Ok(true);
        }
        b"fstatvfs@openssh.com" => {
            put_space(id, &rustix::fs::fstatvfs(server.file(request.bytes()?)?)?, replies);
            return Ok(true);
        }
        b"limits@openssh.com" => {
            let mut packet = replies.packet(EXTENDED_REPLY);
            packet.u32(id).u64(PACKET_BYTES_MAX as u64);
            packet.u64(DATA_BYTES_MAX as u64).u64(DATA_BYTES_MAX as u64).u64(HANDLES_MAX as u64);
            return Ok(true);
        }
        b"expand-path@openssh.com" => {
            let expanded = real_path(&expand(request.path()?)?)?;
            put_name(id, &expanded, replies);
            return Ok(true);
        }
        _ => return Err(Refusal::new(Status::Unsupported, "unknown extension")),
    }
    Ok(false)
}

/// A name without attributes, as `realpath` and `readlink` answer.
pub(crate) fn put_name(id: u32, path: &Path, replies: &mut Replies) {
    let name = path.as_os_str().as_encoded_bytes();
    replies.packet(NAME).u32(id).u32(1).bytes(name).bytes(name).u32(0);
}

/// `~` and `~/…` for our own home. Other users' homes are left to the client to spell out.
fn expand(path: &Path) -> Result<PathBuf, Refusal> {
    let Ok(rest) = path.strip_prefix("~") else {
        let other = path.as_os_str().as_encoded_bytes().starts_with(b"~");
        return match other {
            true => Err(Refusal::new(Status::Failure, "only ~ itself is expanded")),
            false => Ok(path.to_owned()),
        };
    };
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    Ok(home.join(rest))
}

/// The path without links and dots. Its last part need not exist, so that a client can ask for
/// the name of what it is about to create.
pub(crate) fn real_path(path: &Path) -> Result<PathBuf, Refusal> {
    match std::fs::canonicalize(path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(why.into());
            };
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(std::fs::canonicalize(parent)?.join(name))
        }
        found => Ok(found?),
    }
}

fn put_space(id: u32, space: &StatVfs, replies: &mut Replies) {
    let mut flags = 0;
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) {
        flags |= READ_ONLY;
    }
    if space.f_flag.contains(StatVfsMountFlags::NOSUID) {
        flags |= NO_SETUID;
    }
    let mut packet = replies.packet(EXTENDED_REPLY);
    packet.u32(id).u64(space.f_bsize).u64(space.f_frsize);
    packet.u64(space.f_blocks).u64(space.f_bfree).u64(space.f_bavail);
    packet.u64(space.f_files).u64(space.f_ffree).u64(space.f_favail);
    packet.u64(space.f_fsid).u64(flags).u64(space.f_namemax);
}

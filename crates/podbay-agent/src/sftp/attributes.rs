//! File attributes on the wire, and setting them on a file.

use std::fs::Metadata;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid};

use super::wire::{Packet, Reader, Refusal};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

/// What a client wants set; absent is left alone.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) size: Option<u64>,
    owner: Option<(u32, u32)>,
    pub(crate) mode: Option<u32>,
    times: Option<(u32, u32)>,
}

impl Attributes {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Attributes, Refusal> {
        let flags = reader.u32()?;
        let mut read = Attributes::default();
        if flags & SIZE != 0 {
            read.size = Some(reader.u64()?);
        }
        if flags & OWNER != 0 {
            read.owner = Some((reader.u32()?, reader.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            read.mode = Some(reader.u32()? & 0o7777);
        }
        if flags & TIMES != 0 {
            read.times = Some((reader.u32()?, reader.u32()?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..reader.u32()? {
                reader.bytes()?;
                reader.bytes()?;
            }
        }
        Ok(read)
    }

    fn timestamps(&self) -> Option<Timestamps> {
        let at = |seconds: u32| Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 };
        self.times.map(|(access, modification)| Timestamps {
            last_access: at(access),
            last_modification: at(modification),
        })
    }

    fn owners(&self) -> Option<(Option<Uid>, Option<Gid>)> {
        self.owner.map(|(uid, gid)| (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
    }

    /// Sets them on the file a path leads to. The owner goes before the mode: a change of owner
    /// clears the set-id bits.
    pub(crate) fn set_path(&self, path: &Path) -> Result<(), Refusal> {
        if let Some(size) = self.size {
            std::fs::File::options().write(true).open(path)?.set_len(size)?;
        }
        if let Some((uid, gid)) = self.owners() {
            rustix::fs::chown(path, uid, gid)?;
        }
        if let Some(mode) = self.mode {
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
        }
        if let Some(times) = self.timestamps() {
            rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Sets them on a symbolic link itself. Linux has no mode for links.
    pub(crate) fn set_link(&self, path: &Path) -> Result<(), Refusal> {
        if let Some((uid, gid)) = self.owners() {
            rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some(mode) = self.mode
            && !std::fs::symlink_metadata(path)?.is_symlink()
        {
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
        }
        if let Some(times) = self.timestamps() {
            rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Sets them on an open file.
    pub(crate) fn set_file(&self, file: BorrowedFd<'_>) -> Result<(), Refusal> {
        if let Some(size) = self.size {
            rustix::fs::ftruncate(file, size)?;
        }
        if let Some((uid, gid)) = self.owners() {
            rustix::fs::fchown(file, uid, gid)?;
        }
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        }
        if let Some(times) = self.timestamps() {
            rustix::fs::futimens(file, &times)?;
        }
        Ok(())
    }
}

/// Puts what a file is into an answer. Times after 2106 do not fit version 3 and are cut.
pub(crate) fn put(packet: &mut Packet<'_>, found: &Metadata) {
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    packet.u32(SIZE | OWNER | PERMISSIONS | TIMES);
    packet.u64(found.size()).u32(found.uid()).u32(found.gid()).u32(found.mode());
    packet.u32(seconds(found.atime())).u32(seconds(found.mtime()));
}

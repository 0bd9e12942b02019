//! The requests of SFTP version 3, each carried out at once.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::attributes::{self, Attributes};
use super::extended::{self, put_name, real_path};
use super::list::Lister;
use super::wire::{ATTRS, DATA, HANDLE, NAME, Reader, Refusal, Replies, Status, VERSION};
use super::{DATA_BYTES_MAX, PACKET_BYTES_MAX};

/// Files and directories one client may have open.
pub(crate) const HANDLES_MAX: usize = 512;
/// Entries of one answer to a directory read.
const ENTRIES_MAX: usize = 128;

/// Packet types of requests.
const INIT: u8 = 1;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
const EXTENDED: u8 = 200;

/// Flags of `OPEN`.
const READING: u32 = 1;
const WRITING: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

enum Open {
    File(File),
    Directory { path: PathBuf, entries: std::fs::ReadDir, dots: Vec<OsString> },
}

/// The state of one client: what it has open.
#[derive(Default)]
pub(crate) struct Server {
    open: Vec<Option<Open>>,
    lister: Lister,
}

impl Server {
    /// Answers one request. An error is the end of the conversation: a packet without even a
    /// type and a number cannot be answered.
    pub(crate) fn answer(&mut self, request: &mut Reader<'_>, replies: &mut Replies) -> std::io::Result<()> {
        let broken = |refusal: Refusal| std::io::Error::other(refusal.why);
        let kind = request.u8().map_err(broken)?;
        let id = request.u32().map_err(broken)?;
        if kind == INIT {
            // The number is the client's version here; ours is 3 whatever it is.
            let mut packet = replies.packet(VERSION);
            packet.u32(3);
            for (name, version) in extended::OFFERED {
                packet.bytes(name.as_bytes()).bytes(version.as_bytes());
            }
            return Ok(());
        }
        match self.carry_out(kind, id, request, replies) {
            Ok(true) => {}
            Ok(false) => replies.status(id, Status::Ok, ""),
            Err(refusal) => replies.status(id, refusal.status, &refusal.why),
        }
        Ok(())
    }

    /// `true` when the answer is in `replies`; `false` when it is a plain success.
    fn carry_out(
        &mut self,
        kind: u8,
        id: u32,
        request: &mut Reader<'_>,
        replies: &mut Replies,
    ) -> Result<bool, Refusal> {
        match kind {
            READ => return self.read(id, request, replies),
            WRITE => self.write(request)?,
            OPEN => return self.open_file(id, request, replies),
            OPENDIR => return self.open_directory(id, request, replies),
            READDIR => return self.read_directory(id, request, replies),
            CLOSE => self.close(request.bytes()?)?,
            LSTAT => put_attributes(id, &std::fs::symlink_metadata(request.path()?)?, replies),
            STAT => put_attributes(id, &std::fs::metadata(request.path()?)?, replies),
            FSTAT => put_attributes(id, &self.file(request.bytes()?)?.metadata()?, replies),
            SETSTAT => {
                let path = request.path()?;
                Attributes::read(request)?.set_path(path)?;
            }
            FSETSTAT => {
                let handle = request.bytes()?;
                Attributes::read(request)?.set_file(self.file(handle)?.as_fd())?;
            }
            REMOVE => std::fs::remove_file(request.path()?)?,
            MKDIR => {
                let path = request.path()?;
                let mode = Attributes::read(request)?.mode.unwrap_or(0o777);
                std::fs::DirBuilder::new().mode(mode).create(path)?;
            }
            RMDIR => std::fs::remove_dir(request.path()?)?,
            REALPATH => put_name(id, &real_path(request.path()?)?, replies),
            RENAME => rename(request.path()?, request.path()?)?,
            READLINK => put_name(id, &std::fs::read_link(request.path()?)?, replies),
            SYMLINK => {
                // OpenSSH has these in the order of symlink(2), not of the specification, and
                // every client follows OpenSSH.
                let (target, link) = (request.path()?, request.path()?);
                std::os::unix::fs::symlink(target, link)?;
            }
            EXTENDED => return extended::answer(self, id, request, replies),
            _ => return Err(Refusal::new(Status::Unsupported, "unknown request")),
        }
        Ok(matches!(kind, LSTAT | STAT | FSTAT | REALPATH | READLINK))
    }

    fn read(&self, id: u32, request: &mut Reader<'_>, replies: &mut Replies) -> Result<bool, Refusal> {
        let file = self.file(request.bytes()?)?;
        let offset = request.u64()?;
        let wanted = (request.u32()? as usize).min(DATA_BYTES_MAX);
        let mut packet = replies.packet(DATA);
        packet.u32(id);
        let outcome = packet.fill(wanted, |room| read_full(file, room, offset));
        match outcome {
            Ok(1..) => Ok(true),
            Ok(0) if wanted == 0 => Ok(true),
            Ok(_) => {
                packet.cancel();
                Err(Refusal::new(Status::Eof, "end of file"))
            }
            Err(why) => {
                packet.cancel();
                Err(why.into())
            }
        }
    }

    fn write(&self, request: &mut Reader<'_>) -> Result<(), Refusal> {
        let file = self.file(request.bytes()?)?;
        let offset = request.u64()?;
        // On a file opened for appending the kernel ignores the offset, which is what is meant.
        Ok(file.write_all_at(request.bytes()?, offset)?)
    }

    fn open_file(
        &mut self,
        id: u32,
        request: &mut Reader<'_>,
        replies: &mut Replies,
    ) -> Result<bool, Refusal> {
        let path = request.path()?;
        let flags = request.u32()?;
        let attributes = Attributes::read(request)?;
        let (writing, append) = (flags & WRITING != 0, flags & APPEND != 0);
        let mut options = File::options();
        options.read(flags & READING != 0 || !(writing || append));
        options.write(writing && !append).append(append);
        let mut custom = libc::O_NOCTTY;
        for (flag, raw) in [(CREATE, libc::O_CREAT), (TRUNCATE, libc::O_TRUNC), (EXCLUSIVE, libc::O_EXCL)] {
            // Without `CREATE` the kernel leaves `O_EXCL` undefined.
            if flags & flag != 0 && (flag != EXCLUSIVE || flags & CREATE != 0) {
                custom |= raw;
            }
        }
        // As raw flags: the standard library refuses combinations the kernel takes.
        options.custom_flags(custom).mode(attributes.mode.unwrap_or(0o666));
        let file = options.open(path)?;
        self.put_handle(id, Open::File(file), replies)
    }

    fn open_directory(
        &mut self,
        id: u32,
        request: &mut Reader<'_>,
        replies: &mut Replies,
    ) -> Result<bool, Refusal> {
        let path = request.path()?.to_owned();
        let entries = std::fs::read_dir(&path)?;
        let dots = vec![OsString::from(".."), OsString::from(".")];
        self.put_handle(id, Open::Directory { path, entries, dots }, replies)
    }

    fn read_directory(
        &mut self,
        id: u32,
        request: &mut Reader<'_>,
        replies: &mut Replies,
    ) -> Result<bool, Refusal> {
        let index = index(request.bytes()?)?;
        let Some(Some(Open::Directory { path, entries, dots })) = self.open.get_mut(index) else {
            return Err(Refusal::new(Status::Failure, "not an open directory"));
        };
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        let mut packet = replies.packet(NAME);
        packet.u32(id).u32(0);
        let mut count = 0;
        while count < ENTRIES_MAX as u32 && packet.len() < PACKET_BYTES_MAX / 4 {
            let next =
                dots.pop().map(Ok).or_else(|| entries.next().map(|entry| entry.map(|e| e.file_name())));
            let Some(Ok(name)) = next else { break };
            // A file that is gone by now is not listed.
            let Ok(found) = std::fs::symlink_metadata(path.join(&name)) else { continue };
            let line = self.lister.line(name.as_bytes(), &found, now);
            packet.bytes(name.as_bytes()).bytes(&line);
            attributes::put(&mut packet, &found);
            count += 1;
        }
        if count == 0 {
            packet.cancel();
            return Err(Refusal::new(Status::Eof, "end of directory"));
        }
        packet.patch_u32(4, count);
        Ok(true)
    }

    fn put_handle(&mut self, id: u32, opened: Open, replies: &mut Replies) -> Result<bool, Refusal> {
        let free = self.open.iter().position(Option::is_none);
        let index = free.unwrap_or(self.open.len());
        if index >= HANDLES_MAX {
            return Err(Refusal::new(Status::Failure, "too many open files"));
        }
        if free.is_none() {
            self.open.push(None);
        }
        self.open[index] = Some(opened);
        replies.packet(HANDLE).u32(id).bytes(&(index as u32).to_be_bytes());
        Ok(true)
    }

    fn close(&mut self, handle: &[u8]) -> Result<(), Refusal> {
        let taken = self.open.get_mut(index(handle)?).and_then(Option::take);
        taken.map(drop).ok_or_else(no_handle)
    }

    /// The open file of a handle.
    pub(crate) fn file(&self, handle: &[u8]) -> Result<&File, Refusal> {
        match self.open.get(index(handle)?) {
            Some(Some(Open::File(file))) => Ok(file),
            _ => Err(no_handle()),
        }
    }
}

fn no_handle() -> Refusal {
    Refusal::new(Status::Failure, "no such handle")
}

fn index(handle: &[u8]) -> Result<usize, Refusal> {
    let bytes: [u8; 4] = handle.try_into().map_err(|_| no_handle())?;
    Ok(u32::from_be_bytes(bytes) as usize)
}

fn put_attributes(id: u32, found: &std::fs::Metadata, replies: &mut Replies) {
    let mut packet = replies.packet(ATTRS);
    packet.u32(id);
    attributes::put(&mut packet, found);
}

/// Fills `room` unless the file ends before: clients take a short read for a slow file and ask
/// again for the rest. Files that cannot be read at an offset (a pipe, a terminal) are read once.
fn read_full(file: &File, room: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < room.len() {
        match file.read_at(&mut room[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) if why.raw_os_error() == Some(libc::ESPIPE) && done == 0 => {
                return std::io::Read::read(&mut &*file, room);
            }
            // What was read is an answer; the error comes with the next request.
            Err(_) if done > 0 => break,
            Err(why) => return Err(why),
        }
    }
    Ok(done)
}

/// Version 3 says that a rename does not replace. File systems that cannot promise it in one step
/// get a look first.
fn rename(from: &Path, to: &Path) -> Result<(), Refusal> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if std::fs::symlink_metadata(to).is_ok() {
                return Err(Refusal::new(Status::Failure, "the new name exists"));
            }
            Ok(std::fs::rename(from, to)?)
        }
        result => Ok(result?),
    }
}

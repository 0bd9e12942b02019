//! The bytes of SFTP: numbers are big-endian, strings are counted.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Packet types of answers.
pub(crate) const VERSION: u8 = 2;
pub(crate) const STATUS: u8 = 101;
pub(crate) const HANDLE: u8 = 102;
pub(crate) const DATA: u8 = 103;
pub(crate) const NAME: u8 = 104;
pub(crate) const ATTRS: u8 = 105;
pub(crate) const EXTENDED_REPLY: u8 = 201;

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok = 0,
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    Unsupported = 8,
}

/// A request that was not carried out: the code, and the words for the user.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(status: Status, why: &str) -> Refusal {
        Refusal { status, why: why.to_owned() }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        use std::io::ErrorKind;
        let status = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Status::NoSuchFile,
            ErrorKind::PermissionDenied => Status::PermissionDenied,
            ErrorKind::Unsupported => Status::Unsupported,
            _ => Status::Failure,
        };
        Refusal { status, why: error.to_string() }
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Refusal {
        Refusal::from(std::io::Error::from(error))
    }
}

/// Reads the fields of one request. Every method fails when the field is not there.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(packet: &'a [u8]) -> Reader<'a> {
        Reader(packet)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let short = || Refusal::new(Status::BadMessage, "request is too short");
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Refusal> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Refusal> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_be_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Refusal> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// A path, as any bytes but NUL; the empty one is the current directory.
    pub(crate) fn path(&mut self) -> Result<&'a Path, Refusal> {
        let bytes = self.bytes()?;
        if bytes.contains(&0) {
            return Err(Refusal::new(Status::BadMessage, "path with a NUL byte"));
        }
        let bytes = if bytes.is_empty() { b"." } else { bytes };
        Ok(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
}

/// Gathers answers until they are written.
#[derive(Default)]
pub(crate) struct Replies(Vec<u8>);

impl Replies {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn flush(&mut self, output: &mut impl Write) -> std::io::Result<()> {
        if !self.0.is_empty() {
            output.write_all(&self.0)?;
            output.flush()?;
            self.0.clear();
        }
        Ok(())
    }

    /// Starts an answer; what is put until it is dropped belongs to it.
    pub(crate) fn packet(&mut self, kind: u8) -> Packet<'_> {
        let start = self.0.len();
        self.0.extend([0, 0, 0, 0, kind]);
        Packet { replies: self, start }
    }

    pub(crate) fn status(&mut self, id: u32, status: Status, why: &str) {
        let mut packet = self.packet(STATUS);
        packet.u32(id).u32(status as u32).bytes(why.as_bytes()).bytes(b"");
    }
}

/// An answer under construction. Its length is filled in when it is dropped.
pub(crate) struct Packet<'a> {
    replies: &'a mut Replies,
    start: usize,
}

impl Packet<'_> {
    pub(crate) fn u32(&mut self, number: u32) -> &mut Self {
        self.replies.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn u64(&mut self, number: u64) -> &mut Self {
        self.replies.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(length_field(bytes.len()));
        self.replies.0.extend_from_slice(bytes);
        self
    }

    /// A counted string that `fill` writes in place, up to `room` bytes; it says how many.
    pub(crate) fn fill<E>(
        &mut self,
        room: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let data = &mut self.replies.0;
        let at = data.len();
        data.resize(at + 4 + room, 0);
        let count = fill(&mut data[at + 4..])?;
        data[at..at + 4].copy_from_slice(&length_field(count).to_be_bytes());
        data.truncate(at + 4 + count);
        Ok(count)
    }

    /// Takes everything back, as if the answer had not been started.
    pub(crate) fn cancel(self) {
        self.replies.0.truncate(self.start);
    }

    pub(crate) fn len(&self) -> usize {
        self.replies.0.len() - self.start
    }

    /// Overwrites a number put earlier, at an offset from the start of the packet's body.
    pub(crate) fn patch_u32(&mut self, offset: usize, number: u32) {
        let at = self.start + 5 + offset;
        self.replies.0[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
}

impl Drop for Packet<'_> {
    fn drop(&mut self) {
        // After `cancel` there is nothing to fill in.
        if let Some(body) = self.replies.0.len().checked_sub(self.start + 4) {
            let length = length_field(body).to_be_bytes();
            self.replies.0[self.start..self.start + 4].copy_from_slice(&length);
        }
    }
}

/// Nothing here comes near four gigabytes: packets are bounded.
fn length_field(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

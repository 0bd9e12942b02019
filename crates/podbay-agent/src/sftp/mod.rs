//! An SFTP server on stdin and stdout: protocol version 3, as OpenSSH speaks it.
//!
//! One process per channel, running as the session's user in their home directory, so that the
//! kernel decides what they may do, a slow disk stops nobody else, and the pipes give the right
//! back-pressure. One loop: read as many requests as there are, answer them in order, and write
//! the answers when no complete request is left. Clients keep many requests in flight, so this
//! needs two system calls per batch beside the file's own.

mod attributes;
mod extended;
mod files;
mod list;
mod wire;

use std::io::{Read, Write};
use std::process::ExitCode;

use files::Server;
use wire::{Reader, Replies};

/// The largest request or answer. Clients learn it from `limits@openssh.com`.
pub(crate) const PACKET_BYTES_MAX: usize = 256 * 1024;
/// The most data in one read or write: a packet less its header, as OpenSSH has it.
pub(crate) const DATA_BYTES_MAX: usize = PACKET_BYTES_MAX - 1024;
/// Answers are written at the latest when this much has gathered.
const ANSWERS_BYTES_MAX: usize = 512 * 1024;
/// How much is read from the client at once.
const READ_BYTES: usize = 256 * 1024;

/// Serves until the client closes its side.
pub(crate) fn run() -> ExitCode {
    crate::sys::tune_allocator();
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    match serve(&mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            crate::say(&format!("sftp: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> std::io::Result<()> {
    let mut server = Server::default();
    let mut replies = Replies::default();
    let mut buffer: Vec<u8> = Vec::new();
    let mut start = 0;
    loop {
        while let Some(length) = complete(&buffer[start..])? {
            let packet = &buffer[start + 4..start + 4 + length];
            server.answer(&mut Reader::new(packet), &mut replies)?;
            start += 4 + length;
            if replies.len() >= ANSWERS_BYTES_MAX {
                replies.flush(output)?;
            }
        }
        buffer.drain(..start);
        start = 0;
        replies.flush(output)?;
        let filled = buffer.len();
        buffer.resize(filled + READ_BYTES, 0);
        let count = loop {
            match input.read(&mut buffer[filled..]) {
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        buffer.truncate(filled + count);
        if count == 0 {
            return Ok(());
        }
    }
}

/// The length of the packet `bytes` start with, when all of it is there.
fn complete(bytes: &[u8]) -> std::io::Result<Option<usize>> {
    let Some(head) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if length == 0 || length > PACKET_BYTES_MAX {
        return Err(std::io::Error::other(format!("a packet of {length} bytes")));
    }
    Ok((bytes.len() >= 4 + length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_whole_and_bounded() {
        assert_eq!(complete(&[0, 0]).unwrap(), None);
        assert_eq!(complete(&[0, 0, 0, 2, 1]).unwrap(), None);
        assert_eq!(complete(&[0, 0, 0, 2, 1, 2, 3]).unwrap(), Some(2));
        assert!(complete(&[0, 0, 0, 0]).is_err());
        assert!(complete(&[0xff, 0, 0, 0]).is_err());
    }

    #[test]
    fn hello_is_answered_with_version_3() {
        let mut output = Vec::new();
        serve(&mut &[0, 0, 0, 5, 1, 0, 0, 0, 3][..], &mut output).unwrap();
        assert_eq!(output[4..9], [2, 0, 0, 0, 3]);
    }

    #[test]
    fn truncated_request_is_answered_and_does_not_end_the_server() {
        // A LSTAT whose path is said to be longer than the packet, then a proper hello.
        let mut input = vec![0, 0, 0, 9, 7, 0, 0, 0, 9, 0, 0, 0, 77];
        input.extend([0, 0, 0, 5, 1, 0, 0, 0, 3]);
        let mut output = Vec::new();
        serve(&mut input.as_slice(), &mut output).unwrap();
        assert_eq!(output[4..13], [101, 0, 0, 0, 9, 0, 0, 0, 5]);
    }
}

//! What a client sent on one channel and nobody has consumed yet.
//!
//! Why there is a queue at all: russh 0.65 grants the client new window when data *arrives*, not when
//! it is consumed, and it stops reading the whole connection while one channel's consumer is slow.
//! Stopping has three bad ends: every other channel of the connection stands still; a program that
//! waits for the client to read its output never gets on, because the message that would tell it is
//! behind the data; and nobody notices that the client went away.
//!
//! So each channel is always drained into its inbox, and a full inbox has this answer:
//!
//! 1. Up to `MEMORY_BYTES_MAX` are kept in memory.
//! 2. Beyond, while the consumer gets on and nothing else needs the connection (a plain upload into a
//!    slow program), it is not read on: TCP slows the client down, which is what one wants.
//! 3. Beyond, when another channel is open, a sender waits for the client, or the consumer has taken
//!    nothing for `PATIENCE`, the data goes to an unlinked file, up to `SPILL_BYTES_MAX`.
//! 4. Beyond that, or when no file can be had, 2 again, but not for ever: a consumer that takes nothing
//!    for `HELD_MAX`, or `HELD_ALONE_MAX` if nobody else is known to wait, is given up. The channel
//!    ends, in words where there is somebody to read them, and the connection goes on.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::sys;

/// Bytes of one channel kept in memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one channel kept on disk.
pub(crate) const SPILL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A consumer that takes nothing for this long is stuck rather than slow.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a stuck consumer may hold a connection that others need, when no file helps.
pub(crate) const HELD_MAX: Duration = Duration::from_secs(10);
/// The same when no other channel is open. Nobody can open one meanwhile, and a client that asks
/// whether the server is alive gets no answer; but a program may have a reason to read late.
const HELD_ALONE_MAX: Duration = Duration::from_secs(600);
/// Where the files are made, the first that may be written, and how long they may be. The last is memory.
const FOLDERS: [(&str, u64); 4] = [
    ("/tmp", SPILL_BYTES_MAX),
    ("/var/tmp", SPILL_BYTES_MAX),
    ("/", SPILL_BYTES_MAX),
    ("/dev/shm", 64 * 1024 * 1024),
];
/// What one queued message costs besides its bytes, so that many small ones count.
const MESSAGE_OVERHEAD: usize = 128;
/// How often a stopped channel looks whether it has to go on.
const STALL_CHECK: Duration = Duration::from_millis(100);
/// How much is read back from disk at once.
const SPILL_READ: usize = 128 * 1024;

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in the queue.
    Taken,
    /// The client is gone.
    Gone,
    /// Nobody takes it, and there is no more room for it.
    NoRoom,
}

/// The bounds that a test makes smaller.
struct Bounds {
    folders: &'static [(&'static str, u64)],
    patience: Duration,
    held_max: Duration,
    held_alone_max: Duration,
}

static BOUNDS: Bounds =
    Bounds { folders: &FOLDERS, patience: PATIENCE, held_max: HELD_MAX, held_alone_max: HELD_ALONE_MAX };

/// The queue between the task that drains a channel and the one that feeds its consumer.
pub(crate) struct Inbox {
    bounds: &'static Bounds,
    state: Mutex<State>,
    /// There is something to take: data, or the end.
    ready: Notify,
    /// There is room, or nobody wants data any more.
    room: Notify,
}

#[derive(Default)]
struct State {
    memory: VecDeque<Bytes>,
    memory_bytes: usize,
    /// What came after `memory`.
    spill: Option<Spill>,
    /// How many times the consumer took something.
    taken: u64,
    /// What `taken` was when the consumer was found stuck.
    stuck_at: Option<u64>,
    ended: bool,
    discarding: bool,
    was_large: bool,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox::within(&BOUNDS)
    }
}

impl Inbox {
    fn within(bounds: &'static Bounds) -> Inbox {
        Inbox { bounds, state: Mutex::default(), ready: Notify::new(), room: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the client sent, by the rules above.
    pub(crate) async fn accept(&self, data: Bytes, connection: &Connection) -> Accepted {
        let Err(mut data) = self.push(data) else { return Accepted::Taken };
        let mut since = Instant::now();
        let mut taken = self.state().taken;
        loop {
            let now = self.state().taken;
            if now != taken {
                (taken, since) = (now, Instant::now());
            }
            let stuck = since.elapsed() >= self.bounds.patience || self.state().stuck_at == Some(taken);
            if stuck {
                self.state().stuck_at = Some(taken);
            }
            let needed = connection.must_be_read();
            if stuck || needed {
                match self.spill(data) {
                    Ok(()) => return Accepted::Taken,
                    Err(back) => data = back,
                }
            }
            let held_max = if needed { self.bounds.held_max } else { self.bounds.held_alone_max };
            if since.elapsed() >= held_max {
                return Accepted::NoRoom;
            }
            tokio::select! {
                () = self.room.notified() => {}
                () = tokio::time::sleep(STALL_CHECK) => {}
            }
            if connection.is_gone() {
                return Accepted::Gone;
            }
            match self.push(data) {
                Ok(()) => return Accepted::Taken,
                Err(back) => data = back,
            }
        }
    }

    fn push(&self, data: Bytes) -> Result<(), Bytes> {
        let mut state = self.state();
        if state.discarding {
            return Ok(());
        }
        let full = state.memory_bytes >= MEMORY_BYTES_MAX || state.spill.is_some();
        if full {
            state.was_large = true;
            return Err(data);
        }
        state.memory_bytes += data.len() + MESSAGE_OVERHEAD;
        state.memory.push_back(data);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    fn spill(&self, data: Bytes) -> Result<(), Bytes> {
        let mut state = self.state();
        if state.discarding {
            return Ok(());
        }
        if state.spill.is_none() {
            state.spill = Spill::create(self.bounds.folders);
        }
        let written = state.spill.as_mut().is_some_and(|spill| spill.append(&data));
        if state.spill.as_ref().is_some_and(Spill::is_empty) {
            state.spill = None;
        }
        if written { Ok(()) } else { Err(data) }
    }

    /// The client will send no more.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.ready.notify_one();
    }

    /// Nobody will consume any more: forget what is here and whatever comes.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.discarding = true;
        state.memory.clear();
        state.memory_bytes = 0;
        state.spill = None;
        let trim = state.was_large;
        drop(state);
        if trim {
            sys::trim_memory();
        }
        self.room.notify_one();
        self.ready.notify_one();
    }

    /// The next bytes, or `None` at the end.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    /// `None`: nothing yet. `Some(None)`: the end.
    fn take(&self) -> Option<Option<Bytes>> {
        let mut state = self.state();
        if state.discarding {
            return Some(None);
        }
        state.taken += 1;
        let mut next = state.memory.pop_front();
        match &next {
            Some(data) => state.memory_bytes -= data.len() + MESSAGE_OVERHEAD,
            None => {
                next = state.spill.as_mut().and_then(Spill::take);
                if state.spill.as_ref().is_some_and(Spill::is_empty) {
                    state.spill = None;
                }
            }
        }
        let drained = state.memory.is_empty() && state.spill.is_none();
        let trim = drained && std::mem::take(&mut state.was_large);
        let ended = state.ended;
        drop(state);
        if trim {
            sys::trim_memory();
        }
        match next {
            Some(data) => {
                self.room.notify_one();
                Some(Some(data))
            }
            None => ended.then_some(None),
        }
    }

    /// Writes everything to `consumer`, then shuts it down. Ends early when it takes no more.
    pub(crate) async fn feed(&self, mut consumer: impl AsyncWrite + Unpin) {
        while let Some(data) = self.next().await {
            if consumer.write_all(&data).await.is_err() {
                break;
            }
        }
        let _ = consumer.shutdown().await;
        self.discard();
    }
}

/// An unlinked file used as a queue of bytes.
struct Spill {
    file: File,
    bytes_max: u64,
    read: u64,
    written: u64,
}

impl Spill {
    fn create(folders: &[(&str, u64)]) -> Option<Spill> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        folders.iter().find_map(|(directory, bytes_max)| {
            let path = format!("{directory}/.podbay-{}-{number}", std::process::id());
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path).ok()?;
            let _ = std::fs::remove_file(&path);
            Some(Spill { file, bytes_max: *bytes_max, read: 0, written: 0 })
        })
    }

    fn is_empty(&self) -> bool {
        self.read == self.written
    }

    fn append(&mut self, data: &[u8]) -> bool {
        if self.written - self.read + data.len() as u64 > self.bytes_max {
            return false;
        }
        let done = self.file.write_all_at(data, self.written).is_ok();
        if done {
            self.written += data.len() as u64;
        }
        done
    }

    fn take(&mut self) -> Option<Bytes> {
        let length =
            usize::try_from(self.written - self.read).map_or(SPILL_READ, |left| left.min(SPILL_READ));
        let mut buffer = vec![0; length];
        // A disk that fails here has lost the user's data: end the stream rather than skip a part.
        if self.file.read_exact_at(&mut buffer, self.read).is_err() {
            self.read = self.written;
            return None;
        }
        // Gives its room back. Where the file system cannot, the file stays longer than what is in it.
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(&self.file, hole, self.read, length as u64);
        self.read += length as u64;
        Some(Bytes::from(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 1024 * 1024])
    }

    #[test]
    fn memory_is_bounded_and_order_is_kept_through_the_file() {
        let inbox = Inbox::default();
        let mut sent = 0;
        while inbox.push(block(sent)).is_ok() {
            sent += 1;
        }
        assert_eq!(usize::from(sent), MEMORY_BYTES_MAX / (1024 * 1024));
        for _ in 0..3 {
            inbox.spill(block(sent)).unwrap();
            sent += 1;
        }
        assert!(inbox.push(block(99)).is_err(), "memory may not overtake the file");
        inbox.end();
        let mut got = Vec::new();
        while let Some(Some(data)) = inbox.take() {
            got.extend_from_slice(&data);
        }
        let expected: Vec<u8> = (0..sent).flat_map(|byte| block(byte).to_vec()).collect();
        assert!(got == expected);
        assert!(matches!(inbox.take(), Some(None)));
    }

    fn connection() -> (Connection, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        (Connection::new(address, address, ours.into()), theirs)
    }

    #[test]
    fn what_was_read_back_takes_no_room() {
        use std::os::unix::fs::MetadataExt;
        let mut spill = Spill::create(&FOLDERS).unwrap();
        for _ in 0..3 {
            for byte in 0..20 {
                assert!(spill.append(&block(byte)));
            }
            while spill.take().is_some() && !spill.is_empty() {}
        }
        let kept = spill.file.metadata().unwrap().blocks() * 512;
        assert!(kept < 1024 * 1024, "{kept} of {}", spill.written);
    }

    #[tokio::test]
    async fn without_any_file_a_stuck_consumer_is_given_up_and_a_slow_one_is_not() {
        static NO_FILES: Bounds = Bounds {
            folders: &[("/proc/no/such/folder", SPILL_BYTES_MAX)],
            patience: Duration::ZERO,
            held_max: Duration::MAX,
            held_alone_max: Duration::from_millis(300),
        };
        let (connection, client) = connection();
        let inbox = Inbox::within(&NO_FILES);
        while inbox.push(block(1)).is_ok() {}
        let took = async {
            while inbox.state().stuck_at.is_none() {
                tokio::task::yield_now().await;
            }
            inbox.take()
        };
        let (accepted, took) = tokio::join!(inbox.accept(block(2), &connection), took);
        assert_eq!(accepted, Accepted::Taken);
        assert!(matches!(took, Some(Some(_))));
        assert_eq!(inbox.accept(block(3), &connection).await, Accepted::NoRoom);
        drop(client);
        assert_eq!(inbox.accept(block(4), &connection).await, Accepted::Gone);
        inbox.discard();
        assert_eq!(inbox.accept(block(5), &connection).await, Accepted::Taken, "and forgotten");
    }

    #[test]
    fn discarding_takes_and_forgets() {
        let inbox = Inbox::default();
        inbox.push(block(1)).unwrap();
        inbox.discard();
        for byte in 0..100 {
            inbox.push(block(byte)).unwrap();
        }
        assert_eq!(inbox.state().memory_bytes, 0);
        assert!(matches!(inbox.take(), Some(None)));
    }
}

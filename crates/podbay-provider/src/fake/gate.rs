//! Gates: where a test holds a call, before its effect or between effect and answer.

use super::fault::Call;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Where a call stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    After,
}

#[derive(Default)]
pub(super) struct Gate {
    closed: AtomicBool,
    waiting: AtomicUsize,
    opened: Notify,
    arrived: Notify,
}

#[derive(Default)]
pub(super) struct Gates {
    before: [Gate; Call::ALL.len()],
    after: [Gate; Call::ALL.len()],
}

/// Counts a waiting call, also when its future is dropped.
struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// Passes, at once or when the gate is opened.
    async fn pass(&self) {
        if !self.closed.load(Ordering::SeqCst) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(self);
        self.arrived.notify_waiters();
        loop {
            let mut opened = std::pin::pin!(self.opened.notified());
            opened.as_mut().enable();
            if !self.closed.load(Ordering::SeqCst) {
                return;
            }
            opened.await;
        }
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl Gates {
    pub(super) fn at(&self, call: Call, place: Place) -> &Gate {
        match place {
            Place::Before => &self.before[call as usize],
            Place::After => &self.after[call as usize],
        }
    }

    pub(super) async fn pass(&self, call: Call, place: Place) {
        self.at(call, place).pass().await;
    }

    /// Calls of that kind that stand still now.
    pub(super) fn waiting(&self, call: Call) -> usize {
        self.at(call, Place::Before).waiting() + self.at(call, Place::After).waiting()
    }

    /// Returns once a call of that kind stands still.
    pub(super) async fn reached(&self, call: Call) {
        loop {
            let mut before = std::pin::pin!(self.at(call, Place::Before).arrived.notified());
            let mut after = std::pin::pin!(self.at(call, Place::After).arrived.notified());
            before.as_mut().enable();
            after.as_mut().enable();
            if self.waiting(call) > 0 {
                return;
            }
            tokio::select! {
                () = before => {}
                () = after => {}
            }
        }
    }
}

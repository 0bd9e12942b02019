//! The points of one server: before and after every transaction and every call outside. There the
//! simulator lets it stand still (for ever, which is a crash, or for a while, which is a process that was
//! stopped), refuses its writes or loses their answers. Points are counted, so that a seed meets the same
//! ones again.

use super::draw::Draw;
use async_trait::async_trait;
use podbay_provider::fake;
use podbay_store::{BoxFuture, StoreError};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How often the database does not do what it is asked, in thousandths of all writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// It refuses.
    pub refused: u64,
    /// It has written, and says that it has not.
    pub lost: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Points {
    state: Mutex<State>,
    stopped: Notify,
    go_on: Notify,
}

#[derive(Debug)]
struct State {
    /// Points to pass before the server stands still.
    left: Option<u64>,
    is_stopped: bool,
    is_dead: bool,
    is_stale: bool,
    trouble: Trouble,
    draw: Draw,
    refused: u64,
    lost: u64,
}

impl Points {
    pub(super) fn new(trouble: Trouble, draw: Draw) -> Self {
        let (is_stopped, is_dead, is_stale) = (false, false, false);
        let state = State { left: None, is_stopped, is_dead, is_stale, trouble, draw, refused: 0, lost: 0 };
        Self { state: Mutex::new(state), stopped: Notify::new(), go_on: Notify::new() }
    }

    /// Those of a server whose database is in no trouble.
    #[must_use]
    pub fn calm() -> Self {
        Self::new(Trouble::default(), Draw::of(0, 0))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server stands still at the point after the next `left`.
    pub fn arm(&self, left: u64) {
        self.lock().left = Some(left);
    }

    /// It goes on, not knowing what others did meanwhile if there are others.
    pub(super) fn go_on(&self, is_stale: bool) {
        let mut state = self.lock();
        state.is_stale = is_stale;
        state.is_stopped = false;
        drop(state);
        self.go_on.notify_waiters();
    }

    /// It never goes on: a task of its own that stands still unwinds, and gives back what it holds.
    pub fn die(&self) {
        self.lock().is_dead = true;
        self.go_on.notify_waiters();
    }

    /// What it does from now on, it does knowing.
    pub(super) fn freshen(&self) {
        self.lock().is_stale = false;
    }

    /// Writes that were refused, and writes whose answers were lost.
    pub(super) fn troubles(&self) -> (u64, u64) {
        let state = self.lock();
        (state.refused, state.lost)
    }

    /// Runs `work` to its end, or until the server stands still.
    pub async fn until_stopped<T>(&self, work: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
        loop {
            let mut stopped = pin!(self.stopped.notified());
            // What happens while the work is polled counts, in whichever task.
            stopped.as_mut().enable();
            tokio::select! {
                biased;
                done = work.as_mut() => {
                    let mut state = self.lock();
                    (state.left, state.is_stopped) = (None, false);
                    return Some(done);
                }
                () = stopped => {}
            }
            if self.lock().is_stopped {
                return None;
            }
        }
    }

    async fn point(&self) {
        {
            let mut state = self.lock();
            match state.left {
                None => return,
                Some(0) => {
                    state.left = None;
                    state.is_stopped = true;
                }
                Some(left) => {
                    state.left = Some(left - 1);
                    return;
                }
            }
        }
        self.stopped.notify_waiters();
        loop {
            let mut told = pin!(self.go_on.notified());
            told.as_mut().enable();
            let (is_stopped, is_dead) = {
                let state = self.lock();
                (state.is_stopped, state.is_dead)
            };
            if is_dead {
                // Without a word of a panic: nothing is wrong.
                std::panic::resume_unwind(Box::new("the server died"));
            }
            if !is_stopped {
                return;
            }
            told.await;
        }
    }
}

impl podbay_store::Turnstile for Points {
    fn before(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.point().await;
            let mut state = self.lock();
            if state.is_dead {
                return Err(StoreError::Unavailable("the server died".into()));
            }
            let drawn = state.draw.below(1000);
            if drawn < state.trouble.refused {
                state.refused += 1;
                return Err(StoreError::Busy("the simulated database is busy".into()));
            }
            Ok(())
        })
    }

    fn after(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.point().await;
            let mut state = self.lock();
            let drawn = state.draw.below(1000);
            if drawn < state.trouble.lost {
                state.lost += 1;
                return Err(StoreError::Unavailable("the simulated database's answer was lost".into()));
            }
            Ok(())
        })
    }
}

#[async_trait]
impl fake::Turnstile for Points {
    async fn pass(&self) {
        self.point().await;
    }

    fn is_stale(&self) -> bool {
        self.lock().is_stale
    }
}

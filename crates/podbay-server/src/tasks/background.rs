//! Where the duties run.

use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Tasks that run until they are told to end. Those that go through very many rows at a time have a thread of their
/// own: taking a thousand rows apart is milliseconds in which a thread answers no call, and hears of none.
pub struct Background {
    tasks: JoinSet<()>,
    /// None once it has been told to end.
    aside: Option<Runtime>,
}

impl Background {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// There can be no other thread.
    pub fn new() -> io::Result<Self> {
        let aside =
            Builder::new_multi_thread().worker_threads(1).thread_name("podbay-aside").enable_all().build()?;
        Ok(Self { tasks: JoinSet::new(), aside: Some(aside) })
    }

    /// Runs a task among those that answer calls.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Runs a task beside them.
    pub fn spawn_aside(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(aside) = &self.aside {
            self.tasks.spawn_on(task, aside.handle());
        }
    }

    /// Ends all of them where they stand, and waits for that.
    pub async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(aside) = self.aside.take() {
            // A task may drop this, and no task may wait for a thread.
            aside.shutdown_background();
        }
    }
}

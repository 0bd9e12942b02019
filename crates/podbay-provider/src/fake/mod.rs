//! A scripted world with faults.
//!
//! A [`World`] is one host: its facts, its images, its machines and its time, all in memory. A
//! [`Fake`] is one installation's access to it and keeps the same contract as a real engine. A
//! test holds both: it scripts the world, lets the product work through the fake, and asks the
//! world what happened.
//!
//! Nothing here waits by itself, reads a clock or draws chance: time is a function that the test
//! passes in, chance comes from a seed, and a call is answered at once unless the test holds it.
//! What goes wrong is said in `fault`: for one call to come, or by a [`Swarm`] for all of them.
//!
//! The world also watches. What no order of calls and faults may ever lead to (two machines of
//! one pod, a GPU or a port in two running machines) is kept in [`World::violations`].

mod fault;
mod gate;
mod image;
mod memory;
mod provider;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod volume;
mod watch;

pub use fault::{Call, Fault, Swarm};
pub use image::Image;
pub use provider::{Fake, Turnstile};
pub use state::Machine;
pub use volume::Volume;

use gate::Gates;
use podbay_core::Timestamp;
use podbay_core::place::HostFacts;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One host. Clones are the same host.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    gates: Gates,
    state: Mutex<State>,
}

/// One call, as the world saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What was called.
    pub call: Call,
    /// On what: a machine's name or handle, an image, an address.
    pub on: String,
    /// The fault it met.
    pub fault: Option<Fault>,
    /// Whether the caller was told of a success.
    pub ok: bool,
}

impl World {
    /// A host with these facts, without images and machines, in the time that `clock` gives.
    pub fn new(facts: HostFacts, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let state = Mutex::new(State::new(facts));
        Self(Arc::new(Inner { clock: Box::new(clock), gates: Gates::default(), state }))
    }

    fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panics elsewhere still wants to look.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as it is now: late effects that are due have happened.
    fn present(&self) -> (MutexGuard<'_, State>, Timestamp) {
        let now = self.now();
        let mut state = self.lock();
        state.land(now);
        (state, now)
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        write!(f, "World({} machines, {} calls)", state.machines.len(), state.counts.iter().sum::<u64>())
    }
}

//! What the world remembers of machines, also of those that are gone: what a checker needs to judge
//! what rows say of the past.

use podbay_core::{PodId, Timestamp};
use std::collections::{HashMap, HashSet};

/// From when a machine ran, and until when.
pub type Run = (Timestamp, Option<Timestamp>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How many machines a pod was ever given by callers who knew what they did.
    pub made: HashMap<PodId, u32>,
    /// When machines ran, by name.
    pub runs: HashMap<String, Vec<Run>>,
    /// Machines that somebody else removed.
    pub vanished: HashSet<String>,
    /// Machines whose SSH has greeted somebody who came through a published port.
    pub greeted: HashSet<String>,
}

impl Memory {
    pub fn started(&mut self, name: &str, now: Timestamp) {
        self.runs.entry(name.to_owned()).or_default().push((now, None));
    }

    pub fn ended(&mut self, name: &str, now: Timestamp) {
        if let Some((_, end)) = self.runs.get_mut(name).and_then(|runs| runs.last_mut()) {
            *end = Some(now);
        }
    }
}

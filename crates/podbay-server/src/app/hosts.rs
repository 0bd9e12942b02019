//! The hosts of a server: where pods and disks are put, and what carries steps out there.

use super::{App, Error};
use crate::reconcile::Vain;
use podbay_core::HostId;
use podbay_core::mutation::{self, Mutation};
use podbay_provider::Provider;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One of them.
pub struct Host {
    /// Its name in the rows.
    pub id: HostId,
    /// What carries steps out there.
    pub provider: Arc<dyn Provider>,
    /// Looks at it that got no answer.
    pub vain: Mutex<Vain>,
    /// Its engine, as people are told of it.
    pub engine: String,
}

/// All of them, in the order of their names.
pub struct Hosts(BTreeMap<HostId, Host>);

impl Hosts {
    /// Those, each with what carries steps out there.
    pub fn new(hosts: impl IntoIterator<Item = (HostId, Arc<dyn Provider>)>) -> Self {
        let mut all = BTreeMap::new();
        for (id, provider) in hosts {
            let engine = format!("the container engine of {id}");
            all.insert(id.clone(), Host { id, provider, vain: Mutex::default(), engine });
        }
        if let (1, Some(only)) = (all.len(), all.values_mut().next()) {
            only.engine = "the container engine".into();
        }
        Self(all)
    }

    /// The first of them, where something is until its place is chosen.
    pub(crate) fn first(&self) -> Result<&Host, Error> {
        self.0.values().next().ok_or_else(|| Error::Internal("there is no host".into()))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.0.values()
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, id: &HostId) -> bool {
        self.0.contains_key(id)
    }

    /// Whether there are several.
    pub(crate) fn are_several(&self) -> bool {
        self.0.len() > 1
    }
}

impl App {
    /// The host of that name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for one that rows name and this server does not have.
    pub fn host(&self, id: &HostId) -> Result<&Host, Error> {
        if mutation::on(Mutation::AskTheFirstHost) {
            return self.hosts.first();
        }
        let unknown = || Error::Unavailable(format!("the host {id} is not one of this server's"));
        self.hosts.0.get(id).ok_or_else(unknown)
    }
}

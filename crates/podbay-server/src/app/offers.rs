//! What can be ordered now, and where it is put.

use super::{App, Error};
use podbay_core::HostId;
use podbay_core::place::{self, CpuSize, Free, Offer, Terms};
use podbay_core::published::GpuType;
use podbay_store::{HostState, Tx};

/// An offer and how many pods of it still fit.
#[derive(Clone, Debug)]
pub struct Stocked {
    /// The offer.
    pub offer: Offer,
    /// Pods of it that fit now.
    pub fits: u32,
}

/// Where something has to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Near {
    /// It does not matter.
    Anywhere,
    /// On that host.
    On(HostId),
    /// There is no such place.
    Nowhere,
}

impl Near {
    pub(super) fn takes(&self, host: &HostId) -> bool {
        match self {
            Self::Anywhere => true,
            Self::On(only) => only == host,
            Self::Nowhere => false,
        }
    }
}

/// This server's hosts there, and what is left of them.
///
/// # Errors
/// The database does not answer.
pub async fn hosts(app: &App, near: &Near) -> Result<Vec<HostState>, Error> {
    let mut states = app.store.reader().await?.host_states().await?;
    states.retain(|state| app.hosts.has(&state.id) && near.takes(&state.id));
    Ok(states)
}

/// What is left of the hosts that answer: nothing new is put on one that is silent.
pub fn open(hosts: &[HostState]) -> impl Iterator<Item = (&HostId, &Free)> {
    hosts.iter().filter(|host| host.silent_since.is_none()).map(|host| (&host.id, &host.free))
}

/// Everything on offer there, in a stable order, with the live stock and the owner's terms.
///
/// # Errors
/// The database does not answer.
pub async fn offers(app: &App, near: &Near) -> Result<(Vec<Stocked>, Terms, Vec<HostState>), Error> {
    let terms = app.config.terms();
    let hosts = hosts(app, near).await?;
    let fits = |offer: &Offer| open(&hosts).map(|(_, free)| free.fits(offer)).fold(0, u32::saturating_add);
    let offers = place::offers(hosts.iter().map(|host| &host.facts), &terms).into_iter();
    let stocked = offers.map(|offer| Stocked { fits: fits(&offer), offer }).collect();
    Ok((stocked, terms, hosts))
}

/// The hosts there on which that fits, the best first. Nobody else looks for a place until the transaction ends.
///
/// # Errors
/// The database does not answer.
pub(super) async fn candidates(
    tx: &mut Tx,
    known: &[HostId],
    near: &Near,
    size: &CpuSize,
    gpus: Option<(GpuType, u32)>,
) -> Result<Vec<HostId>, Error> {
    tx.placing_lock().await?;
    let mut hosts = tx.host_states().await?;
    hosts.retain(|host| known.contains(&host.id) && near.takes(&host.id));
    Ok(place::candidates(open(&hosts), size, gpus))
}

/// Why `what` cannot be had, and what can.
pub(super) fn no_capacity(what: &str, hosts: &[HostState]) -> Error {
    let most =
        open(hosts).max_by_key(|(_, free)| (free.gpus.values().sum::<u32>(), free.vcpus, free.disk_gb));
    let count = open(hosts).count();
    let since = hosts.iter().filter_map(|host| host.silent_since).min();
    Error::Conflict(match (most, since) {
        (Some((_, free)), _) if count == 1 => {
            format!("no capacity for {what} now; free are {}", free.describe())
        }
        (Some((host, free)), _) => {
            format!(
                "no capacity for {what} on any of {count} hosts now; most is free on {host}: {}",
                free.describe()
            )
        }
        (None, Some(since)) => {
            format!("no capacity for {what} now: the container engine has not answered since {since}")
        }
        (None, None) => format!("no capacity for {what}: there is no host"),
    })
}

//! What can be ordered now.

use super::{App, Error};
use podbay_core::place::{self, Free, HostFacts, Offer, Terms};

/// An offer and how many pods of it still fit.
#[derive(Clone, Debug)]
pub struct Stocked {
    /// The offer.
    pub offer: Offer,
    /// Pods of it that fit now.
    pub fits: u32,
}

/// What the host has, and what of it is free: what disks are offered from.
///
/// # Errors
/// The database does not answer.
pub async fn room(app: &App) -> Result<(HostFacts, Free), Error> {
    let mut tx = app.store.reader().await?;
    let facts = tx.host_get(&app.host).await?.unwrap_or_default();
    let free = tx.host_free(&app.host).await?.unwrap_or_default();
    Ok((facts, free))
}

/// Everything on offer, in a stable order, with the live stock and the owner's terms.
///
/// # Errors
/// The database does not answer.
pub async fn offers(app: &App) -> Result<(Vec<Stocked>, Terms, Free), Error> {
    let terms = app.config.terms();
    let (facts, free) = room(app).await?;
    let offers = place::offers(&facts, &terms).into_iter();
    let stocked = offers.map(|offer| Stocked { fits: free.fits(&offer), offer }).collect();
    Ok((stocked, terms, free))
}

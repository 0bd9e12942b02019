//! Wallets. What was billed is summed over the intervals at every question; only credits are
//! stored.

use super::{Actor, App, Error, teams, users};
use podbay_core::usage::{billed, total};
use podbay_core::{Micros, Owner, PodId, TeamId, Timestamp, UserId, WalletId};
use podbay_store::{BillingRow, Credit, Page, Tx};
use sha2::{Digest, Sha256};

/// The wallet of an owner: a function of the owner's id, so that it need not be stored.
#[must_use]
pub fn id(owner: &Owner) -> WalletId {
    let digest = Sha256::digest(format!("podbay wallet v1\0{}", owner.as_str()));
    WalletId::from_bits(digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

/// What an owner has left: credits less bills.
async fn balance(tx: &mut Tx, owner: &Owner, now: Timestamp) -> Result<Micros, Error> {
    let owed = billed(&tx.usage_by_price(owner, now).await?);
    Ok(Micros(tx.credit_sum(owner).await?.0.saturating_sub(owed.0)))
}

/// Whether an owner may order, where orders are paid in advance.
pub(super) async fn afford(tx: &mut Tx, prepaid: bool, owner: &Owner, now: Timestamp) -> Result<(), Error> {
    if !prepaid {
        return Ok(());
    }
    let left = balance(tx, owner, now).await?;
    if left > Micros(0) {
        return Ok(());
    }
    let whose = if owner.team().is_some() { "the team's" } else { "your" };
    Err(Error::PaymentRequired(format!(
        "pods are paid in advance here, and {whose} balance is {} USD; ask the owner of this server for credit",
        left.dollars()
    )))
}

/// A wallet and a part of its bill.
#[derive(Clone, Debug)]
pub struct Wallet {
    /// Whose.
    pub owner: Owner,
    /// Dollars left to spend.
    pub balance_usd: f64,
    /// The part of the bill, with what each line has cost.
    pub lines: Page<(BillingRow, Micros)>,
}

/// The caller's wallet, or that of a team that the caller is a member of.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn wallet_get(
    app: &App,
    actor: &Actor,
    team: Option<&str>,
    offset: u64,
    limit: u64,
) -> Result<Wallet, Error> {
    let (user, team, now) = (actor.user.clone(), team.map(str::to_owned), app.now());
    let billing = app.config.billing;
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            let owner = match team {
                Some(team) => Owner::Team(teams::membership(tx, &team, &user).await?.team.id),
                None => Owner::User(user),
            };
            let balance_usd = if billing.prepaid {
                balance(tx, &owner, now).await?.dollars()
            } else {
                billing.unlimited_balance_usd
            };
            let page = tx.billing_list(&owner, now, offset, limit).await?;
            // Intervals know their resource by its id alone.
            let ids: Vec<_> = page.items.iter().map(|row| PodId::from_stored(row.resource.clone())).collect();
            let usage = tx.usage_of(&ids).await?;
            let cost = |id| usage.get(id).map_or(Micros(0), |intervals| total(intervals, now).billed);
            let items = page.items.into_iter().zip(&ids).map(|(row, id)| (row, cost(id))).collect();
            Ok(Wallet { owner, balance_usd, lines: Page { items, total: page.total } })
        })
    });
    read.await
}

/// Whose wallet a credit is for.
#[derive(Clone, Debug)]
pub enum Payee {
    /// The caller's own.
    Caller,
    /// That of the user of this id.
    User(String),
    /// That of the team of this id.
    Team(String),
}

/// Puts money into a wallet; the credit, and the balance after it.
///
/// # Errors
/// [`Error::Denied`] but to the owner of the installation; [`Error::Invalid`] for nobody's wallet.
pub async fn credit_add(
    app: &App,
    actor: &Actor,
    payee: Payee,
    amount: Micros,
    note: String,
) -> Result<(Credit, Micros), Error> {
    users::owner_only(app, actor).await?;
    let (now, id, made_by) = (app.now(), app.chance.credit_id(), actor.user.clone());
    let owed = owed(app, payee.clone(), made_by.clone(), now).await?;
    let added = app.write_once(actor, move |tx| {
        Box::pin(async move {
            let owner = payee_find(tx, payee, &made_by).await?;
            let credit = Credit { id, owner, amount, note, made_by, created_at: now };
            tx.credit_insert(&credit).await?;
            let left = tx.credit_sum(&credit.owner).await?.0.saturating_sub(owed.0);
            Ok::<_, Error>((credit, Micros(left)))
        })
    });
    added.await
}

/// What is billed by `now`. Summed before the credit is written: nobody else may write meanwhile, and a
/// long bill takes its time.
async fn owed(app: &App, payee: Payee, caller: UserId, now: Timestamp) -> Result<Micros, Error> {
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            match payee_find(tx, payee, &caller).await {
                Ok(owner) => Ok(billed(&tx.usage_by_price(&owner, now).await?)),
                // Nobody's wallet: to be told by the write, unless it answers a repeated call.
                Err(Error::Invalid(_)) => Ok(Micros(0)),
                Err(error) => Err(error),
            }
        })
    });
    read.await
}

async fn payee_find(tx: &mut Tx, payee: Payee, caller: &UserId) -> Result<Owner, Error> {
    match payee {
        Payee::Caller => Ok(Owner::User(caller.clone())),
        Payee::User(id) => {
            let unknown = || Error::field("body.userId", "no such user; GET /api/v1/users lists them");
            let id = UserId::parse(&id).ok_or_else(unknown)?;
            tx.user_get(&id).await?.map(|user| Owner::User(user.id)).ok_or_else(unknown)
        }
        Payee::Team(id) => {
            let unknown = || Error::field("body.teamId", "no such team");
            let id = TeamId::parse(&id).ok_or_else(unknown)?;
            tx.team_get(&id).await?.map(|team| Owner::Team(team.id)).ok_or_else(unknown)
        }
    }
}

//! What owners were given, and the lines of their bills. What they owe is stored nowhere: it is
//! summed over the intervals.

use crate::account::bound;
use crate::{Page, Result, Tx, all, exec, opt};
use podbay_core::{CreditId, Micros, Owner, PricePerHour, Timestamp, UserId};

/// Money put into a wallet, or, if negative, taken out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Id.
    pub id: CreditId,
    /// Whose wallet.
    pub owner: Owner,
    /// How much.
    pub amount: Micros,
    /// What for.
    pub note: String,
    /// Who did it.
    pub made_by: UserId,
    /// When.
    pub created_at: Timestamp,
}

/// A line of a bill: one resource, over all its intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingRow {
    /// The resource.
    pub resource: String,
    /// What it is, in the word of the wire.
    pub kind: String,
    /// First billed moment.
    pub first_at: Timestamp,
    /// Last billed moment; the present one for a resource that is billed now.
    pub last_at: Timestamp,
}

/// Whatever the owner `$1` is billed for.
macro_rules! owned {
    () => {
        "(SELECT id, 'compute' AS kind FROM pods WHERE owner_id = $1 \
         UNION ALL SELECT id, 'disks' AS kind FROM disks WHERE owner_id = $1)"
    };
}

impl Tx {
    /// Adds a credit.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credit_insert(&mut self, credit: &Credit) -> Result<()> {
        exec!(
            self,
            "INSERT INTO credits (id, owner_id, amount, note, made_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            credit.id.as_str(),
            credit.owner.as_str(),
            credit.amount.0,
            &credit.note,
            credit.made_by.as_str(),
            credit.created_at.as_millis()
        )?;
        Ok(())
    }

    /// The sum of an owner's credits.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn credit_sum(&mut self, owner: &Owner) -> Result<Micros> {
        let sql = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM credits WHERE owner_id = $1";
        let row = opt!(self, (i64,), sql, owner.as_str())?;
        Ok(row.map_or(Micros(0), |(sum,)| Micros(sum)))
    }

    /// Billed milliseconds of an owner by `now`, for each price. An interval that a jumping clock
    /// has turned around counts as nothing.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn usage_by_price(
        &mut self,
        owner: &Owner,
        now: Timestamp,
    ) -> Result<Vec<(PricePerHour, i64)>> {
        let rows = all!(
            self,
            (i64, i64),
            concat!(
                "SELECT u.price, CAST(SUM(COALESCE(u.ended_at, $2) - u.started_at) AS BIGINT) FROM ",
                owned!(),
                " o JOIN usage_intervals u ON u.pod_id = o.id \
                 WHERE COALESCE(u.ended_at, $2) > u.started_at GROUP BY u.price"
            ),
            owner.as_str(),
            now.as_millis()
        )?;
        Ok(rows.into_iter().map(|(price, millis)| (Micros(price), millis)).collect())
    }

    /// A part of an owner's bill at `now`, last billed first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn billing_list(
        &mut self,
        owner: &Owner,
        now: Timestamp,
        offset: u64,
        limit: u64,
    ) -> Result<Page<BillingRow>> {
        let rows = all!(
            self,
            (String, String, i64, i64, i64),
            concat!(
                "SELECT o.id, o.kind, MIN(u.started_at), MAX(COALESCE(u.ended_at, $2)) AS last_at, \
                 COUNT(*) OVER () FROM ",
                owned!(),
                " o JOIN usage_intervals u ON u.pod_id = o.id GROUP BY o.id, o.kind \
                 ORDER BY last_at DESC, o.id LIMIT $3 OFFSET $4"
            ),
            owner.as_str(),
            now.as_millis(),
            bound(limit),
            bound(offset)
        )?;
        let total = match rows.first() {
            Some(row) => Some((row.4,)),
            None => {
                let sql = concat!(
                    "SELECT COUNT(*) FROM ",
                    owned!(),
                    " o WHERE EXISTS (SELECT 1 FROM usage_intervals u WHERE u.pod_id = o.id)"
                );
                opt!(self, (i64,), sql, owner.as_str())?
            }
        };
        let row = |(resource, kind, first, last, _)| BillingRow {
            resource,
            kind,
            first_at: Timestamp::from_millis(first),
            last_at: Timestamp::from_millis(last),
        };
        Ok(Page {
            items: rows.into_iter().map(row).collect(),
            total: total.map_or(0, |(total,)| total.unsigned_abs()),
        })
    }
}

//! `/api/v1/billing`.

use super::body::Body;
use super::params::Params;
use super::reply::kept;
use crate::app::once::Replay;
use crate::app::wallet::{self, Payee};
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::billing::{AddCredit, BillingEntry, Credit, Wallet};
use podbay_core::{Micros, Owner, limits};
use podbay_store::{BillingRow, Credit as StoredCredit};
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

/// The one currency.
const USD: &str = "USD";

fn line((row, cost): &(BillingRow, Micros)) -> BillingEntry {
    BillingEntry {
        id: row.resource.clone(),
        created_at: row.first_at.to_string(),
        updated_at: row.last_at.to_string(),
        last_billed_at: Some(row.last_at.to_string()),
        amount_usd: cost.dollars(),
        currency: USD.into(),
        resource_type: row.kind.clone(),
        resource_id: Some(row.resource.clone()),
    }
}

pub(super) async fn wallet(
    State(app): AppState,
    Extension(actor): Caller,
    mut params: Params,
) -> Result<Json<Wallet>, Error> {
    let offset = params.offset();
    let limit = params.within("limit", limits::BILLING_LIMIT_DEFAULT, 1..=limits::BILLING_LIMIT_MAX);
    let team = params.get("teamId").map(str::to_owned);
    params.finish()?;
    let wallet = wallet::wallet_get(&app, &actor, team.as_deref(), offset, limit.into()).await?;
    Ok(Json(Wallet {
        wallet_id: wallet::id(&wallet.owner).to_string(),
        team_id: wallet.owner.team().map(ToString::to_string),
        balance_usd: wallet.balance_usd,
        currency: USD.into(),
        total_billings: wallet.lines.total,
        recent_billings: wallet.lines.items.iter().map(line).collect(),
    }))
}

fn credited(credit: &StoredCredit, left: Micros) -> Credit {
    Credit {
        id: credit.id.to_string(),
        user_id: matches!(credit.owner, Owner::User(_)).then(|| credit.owner.as_str().to_owned()),
        team_id: credit.owner.team().map(ToString::to_string),
        amount_usd: credit.amount.dollars(),
        note: credit.note.clone(),
        created_at: credit.created_at.to_string(),
        balance_usd: left.dollars(),
    }
}

impl Replay for (StoredCredit, Micros) {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(credited(&self.0, self.1)))
    }
}

pub(super) async fn credit(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Credit>, Error> {
    let AddCredit { user_id, team_id, amount_usd, note } = AddCredit::parse(&body)?;
    let payee = match (user_id, team_id) {
        (Some(user), _) => Payee::User(user),
        (None, Some(team)) => Payee::Team(team),
        (None, None) => Payee::Caller,
    };
    let amount = Micros::from_dollars(amount_usd).unwrap_or_default();
    let (credit, left) = wallet::credit_add(&app, &actor, payee, amount, note.unwrap_or_default()).await?;
    Ok(Json(credited(&credit, left)))
}

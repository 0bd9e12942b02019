//! Wallets: what an owner has, and what was billed.

use crate::check::{name, parse, wrong};
use crate::error::FieldError;
use podbay_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The wallet of a user or a team. Published in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Wallet {
    /// Id.
    pub wallet_id: String,
    /// The team, or null for a user's own.
    pub team_id: Option<String>,
    /// What is left to spend.
    pub balance_usd: f64,
    /// Always USD here.
    pub currency: String,
    /// Lines of the whole bill.
    pub total_billings: u64,
    /// The asked part of the bill, last billed first.
    pub recent_billings: Vec<BillingEntry>,
}

/// A line of a bill: one resource, from its first to its last billed moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BillingEntry {
    /// Id of the line; the same each time.
    pub id: String,
    /// First billed moment.
    pub created_at: String,
    /// When the amount last changed.
    pub updated_at: String,
    /// Last billed moment; the present one for what is billed now.
    pub last_billed_at: Option<String>,
    /// What it has cost.
    pub amount_usd: f64,
    /// Always USD here.
    pub currency: String,
    /// `compute`; published are also training, inference, disks, sandboxes, images.
    pub resource_type: String,
    /// The resource.
    pub resource_id: Option<String>,
}

/// Money to put into a wallet (an addition). Without user and team into the caller's own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct AddCredit {
    /// A user's.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub user_id: Option<String>,
    /// A team's.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub team_id: Option<String>,
    /// Dollars; negative ones are taken out again.
    #[cfg_attr(
        feature = "openapi",
        schemars(range(min = -limits::CREDIT_DOLLARS_MAX, max = limits::CREDIT_DOLLARS_MAX))
    )]
    pub amount_usd: f64,
    /// What for.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub note: Option<String>,
}

impl AddCredit {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let user_id = fields.optional("userId", name);
            let team_id = fields.optional("teamId", name);
            let amount_usd = fields.required("amountUsd", |value| {
                let dollars = value.as_f64().ok_or_else(|| wrong("float_type", "must be a number"))?;
                let most = limits::CREDIT_DOLLARS_MAX;
                if dollars.abs() < 1e-6 || dollars.abs() > most {
                    return Err(wrong(
                        "value_error",
                        format!("must be from 0.000001 to {most}, or as much below 0"),
                    ));
                }
                Ok(dollars)
            });
            let note = fields.optional("note", crate::check::text);
            if user_id.is_some() && team_id.is_some() {
                fields.complain("teamId", &[], wrong("value_error", "name a user or a team, not both"));
            }
            fields.deny_others();
            Some(Self { user_id, team_id, amount_usd: amount_usd?, note })
        })
    }
}

/// A credit that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Credit {
    /// Id.
    pub id: String,
    /// The user whose wallet it is, or null.
    pub user_id: Option<String>,
    /// The team whose wallet it is, or null.
    pub team_id: Option<String>,
    /// Dollars.
    pub amount_usd: f64,
    /// What for.
    pub note: String,
    /// When.
    pub created_at: String,
    /// All credits of that wallet less all its bills now, whether or not anything is paid in advance.
    pub balance_usd: f64,
}

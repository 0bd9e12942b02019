//! `/billing`.

use super::{Operation, get, number, post, text};
use crate::billing::{AddCredit, Credit, Wallet};
use crate::paths::{CREDITS, WALLET};
use podbay_core::limits::{BILLING_LIMIT_DEFAULT, BILLING_LIMIT_MAX};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let mut limit = number(1, BILLING_LIMIT_DEFAULT);
    limit["maximum"] = BILLING_LIMIT_MAX.into();
    vec![
        get(WALLET, "getWallet", "What is left to spend, and what was billed")
            .asks("limit", "Most lines of the bill.", &limit)
            .asks("offset", "Lines to skip.", &number(0, 0))
            .asks("teamId", "A team's wallet, not the caller's own.", &text())
            .refuses(404, "The caller is not in that team.")
            .gives::<Wallet>(),
        post(CREDITS, "addCredit", "Put money into a wallet")
            .about("Without user and team into the caller's own. Only the owner of the installation may do this.")
            .takes::<AddCredit>(json!({ "amountUsd": 25.0, "note": "for the start" }))
            .gives::<Credit>()
            .ours(),
    ]
}

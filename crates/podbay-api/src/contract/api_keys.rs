//! `/api_keys`: ours, beside the published calls.

use super::{Operation, delete, get, post};
use crate::Data;
use crate::api_keys::{ApiKey, ApiKeyCreated, CreateApiKey};
use crate::paths::{API_KEY, API_KEYS};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(API_KEYS, "listApiKeys", "API keys of the account")
            .about("Without their secrets, and with those that were revoked.")
            .gives::<Data<Vec<ApiKey>>>()
            .ours(),
        post(API_KEYS, "createApiKey", "Make an API key")
            .about("The reply is the only one that ever shows it. A key cannot make one that may do more.")
            .takes::<CreateApiKey>(json!({
                "name": "ci", "scopes": { "availability": "read", "instances": "write" }, "expiresAt": null }))
            .gives::<ApiKeyCreated>()
            .ours(),
        delete(API_KEY, "revokeApiKey", "Revoke an API key").ours(),
    ]
}

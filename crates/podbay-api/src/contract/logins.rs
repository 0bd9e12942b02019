//! `/auth_challenge`: a program logs in, a person approves.

use super::{Operation, get, post, text};
use crate::api_keys::ApiKey;
use crate::logins::{ApproveLogin, BeginLogin, LoginBegun, LoginStatus, RefuseLogin};
use crate::paths::{LOGIN_APPROVE, LOGIN_BEGIN, LOGIN_PAGE, LOGIN_REFUSE, LOGIN_STATUS};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    const OFTEN: &str = "Too many calls. `Retry-After` says when to try again.";
    const LATER: &str = "It cannot be done now. `Retry-After` says when to try again.";
    const NOBODY: &str = "No login waits with this code.";
    vec![
        post(LOGIN_BEGIN, "beginLogin", "Ask for an API key")
            .about("The key is handed over sealed for the RSA public key (2048 to 8192 bits, PEM).")
            .takes::<BeginLogin>(json!({ "encryptionPublicKey": "-----BEGIN PUBLIC KEY-----…" }))
            .refuses(429, OFTEN)
            .refuses(503, LATER)
            .gives::<LoginBegun>(),
        get(LOGIN_STATUS, "getLoginStatus", "How a login went")
            .about("The bearer token is the login's own, not an API key.")
            .asks("challenge", "The login's code.", &text())
            .gives::<LoginStatus>()
            .refuses(429, OFTEN)
            .refuses(503, LATER)
            .refuses(404, "There is no such login, it was refused, it has expired, or the token is another's."),
        post(LOGIN_APPROVE, "approveLogin", "Let a program have an API key")
            .takes::<ApproveLogin>(
                json!({ "challenge": "7K2M-Q9TD-40XB", "scopes": { "instances": "write" }, "expiresAt": null }),
            )
            .gives::<ApiKey>()
            .refuses(409, "It has been approved already.")
            .refuses(422, NOBODY)
            .ours(),
        post(LOGIN_REFUSE, "refuseLogin", "Refuse a login")
            .takes::<RefuseLogin>(json!({ "challenge": "7K2M-Q9TD-40XB" }))
            .refuses(422, NOBODY)
            .ours(),
        get(LOGIN_PAGE, "loginPage", "The page on which a login is approved")
            .outside()
            .gives_other("text/html")
            .ours(),
    ]
}

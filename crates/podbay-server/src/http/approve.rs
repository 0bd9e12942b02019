//! The page on which a person approves a login. It is the same for everybody: what it says comes from the
//! calls it makes with the key that is typed into it.
//!
//! The policy in its header lets it run its own script and style, known by their digests, and speak to
//! this server; nothing else is loaded, and it cannot be framed.

use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podbay_core::permission::Scope;
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("approve/page.html");
const STYLE: &str = include_str!("approve/page.css");
const SCRIPT: &str = include_str!("approve/page.js");

pub(super) async fn page() -> Response {
    let page = HTML.replace("{SCOPES}", &scopes()).replace("{STYLE}", STYLE).replace("{SCRIPT}", SCRIPT);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (headers, page).into_response()
}

fn scopes() -> String {
    let row = |scope: Scope| {
        let (name, title) = (scope.name(), scope.title());
        format!(
            "<label>{title} <select data-scope=\"{name}\"><option value=\"write\">Read and Write</option>\
             <option value=\"read\">Read</option><option value=\"none\">nothing</option></select></label>\n"
        )
    };
    Scope::ALL.into_iter().map(row).collect()
}

fn policy() -> HeaderValue {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    // Base64 and words: always a header value. Without one, the strictest policy there is.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

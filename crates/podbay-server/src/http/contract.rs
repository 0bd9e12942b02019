//! `/openapi.json` and `/docs`: made once from the route table, and served from memory.

use super::page;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use podbay_api::contract::{Document, Routed, document};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The page needs nothing but itself; a browser is told to hold it to that.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The document of this server, with what it does not tell.
#[must_use]
pub fn contract() -> Document {
    let routes: Vec<Routed> = super::routes()
        .iter()
        .map(|route| Routed {
            method: route.method.to_string(),
            path: route.path.to_owned(),
            permission: route.permission,
        })
        .collect();
    document(&routes)
}

/// The document as it is served and checked in.
#[must_use]
pub fn contract_text() -> String {
    let mut text = format!("{:#}", contract().json);
    text.push('\n');
    text
}

/// Bytes that never change while the program runs.
struct Kept {
    bytes: Bytes,
    media_type: &'static str,
    tag: HeaderValue,
}

impl Kept {
    fn new(text: String, media_type: &'static str) -> Self {
        let mut tag = String::from("\"");
        for byte in &Sha256::digest(&text)[..16] {
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes: text.into(), media_type, tag }
    }

    fn reply(&self, request: &HeaderMap) -> Response {
        let mut response = if request.get(header::IF_NONE_MATCH) == Some(&self.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.media_type)], self.bytes.clone()).into_response()
        };
        response.headers_mut().insert(header::ETAG, self.tag.clone());
        response
    }
}

static JSON: LazyLock<Kept> = LazyLock::new(|| Kept::new(contract_text(), "application/json"));
static PAGE: LazyLock<Kept> =
    LazyLock::new(|| Kept::new(page::render(&contract().json), "text/html; charset=utf-8"));

pub(super) async fn openapi(headers: HeaderMap) -> Response {
    JSON.reply(&headers)
}

pub(super) async fn docs(headers: HeaderMap) -> Response {
    let mut response = PAGE.reply(&headers);
    let secure: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in secure {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

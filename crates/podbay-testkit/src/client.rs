//! A user of the API in a test.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use podbay_server::connections::Peer;
use serde_json::Value;
use tower::ServiceExt;

/// Somebody with a key, or without.
#[derive(Clone)]
pub struct Client {
    router: Router,
    key: Option<String>,
    headers: HeaderMap,
    peer: Option<Peer>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as JSON; null for pages and the catalog, which are meant for other readers.
    pub json: Value,
    /// The body as it came.
    pub text: String,
}

impl Reply {
    /// The body of a reply that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.json);
        assert!(self.json.is_object(), "every success is an object: {}", self.json);
        self.json
    }

    /// The `detail` of a reply that must have that code.
    #[track_caller]
    pub fn error(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        match &self.json["detail"] {
            Value::String(text) => text.clone(),
            _ => {
                self.json["message"].as_str().unwrap_or_else(|| panic!("no text in {}", self.json)).to_owned()
            }
        }
    }
}

impl Client {
    /// A client with that bearer token.
    #[must_use]
    pub fn new(router: Router, key: Option<String>) -> Self {
        Self { router, key, headers: HeaderMap::new(), peer: None }
    }

    /// The same client at another server.
    #[must_use]
    pub fn through(&self, router: &Router) -> Self {
        Self { router: router.clone(), ..self.clone() }
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same client with one more header.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.append(name, value.parse().expect("a header's value"));
        client
    }

    /// The same client with an `Idempotency-Key`.
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        self.with_header("idempotency-key", key)
    }

    /// The same client as if it called from an address.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        let address = address.parse().expect("an IP address");
        Self { peer: Some(Peer::of(address)), ..self.clone() }
    }

    /// The token.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Sends raw bytes.
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Reply {
        let mut request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let mut request = request.body(Body::from(body)).expect("a request");
        request.headers_mut().extend(self.headers.clone());
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let kind = parts.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        let is_other = kind.is_none_or(|kind| kind.starts_with(b"text/"));
        let json = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(_) if is_other => Value::Null,
            Err(error) => panic!("{path} answered no JSON ({error}): {text:?}"),
        };
        Reply { status: parts.status, headers: parts.headers, json, text }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Vec::new()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, Vec::new()).await
    }

    /// POST of a JSON value.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, body.to_string().into_bytes()).await
    }

    /// PATCH of a JSON value.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PATCH, path, body.to_string().into_bytes()).await
    }
}

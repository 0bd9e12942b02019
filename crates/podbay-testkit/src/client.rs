//! A user of the API in a test.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

/// Somebody with a key, or without.
#[derive(Clone)]
pub struct Client {
    router: Router,
    key: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, where it is JSON: on every path below `/api`.
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
        Self { router, key }
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { router: self.router.clone(), key: Some(key.to_owned()) }
    }

    /// The token.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Sends raw bytes.
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Reply {
        let json =
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.send_with(method, path, json, body).await
    }

    /// Sends raw bytes with these headers, and the token.
    pub async fn send_with(&self, method: Method, path: &str, headers: HeaderMap, body: Vec<u8>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let json = match serde_json::from_str(&text) {
            Err(error) if path.starts_with("/api") => panic!("{path} answered no JSON ({error}): {text:?}"),
            parsed => parsed.unwrap_or_default(),
        };
        Reply { status: parts.status, headers: parts.headers, json, text }
    }

    /// GET with these headers.
    pub async fn get_with(&self, path: &str, headers: HeaderMap) -> Reply {
        self.send_with(Method::GET, path, headers, Vec::new()).await
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

//! A typed client of the contract.
//!
//! A call is tried again when the server answers 429 or 503, after the wait that it asks for. What
//! makes something new (POST) carries an `Idempotency-Key`, the same one each time, so that the
//! server does it once however often it is told to.
//!
//! The program must have installed a TLS provider (`rustls::crypto::…::install_default`) before
//! the first [`Client`] is made.
//!
//! ```no_run
//! use podbay_api::client::Client;
//!
//! # async fn example() -> Result<(), podbay_api::client::Error> {
//! let client = Client::new("http://127.0.0.1:8080", Some("pbk_…"))?;
//! for pod in client.pods_all().await? {
//!     println!("{} is {}", pod.name, pod.status);
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod calls;
mod error;
mod lists;
mod retry;

pub use calls::{DiskOfferFilter, HistoryQuery, OfferFilter, SortBy, SortOrder};
pub use error::Error;
pub use retry::Retry;

use crate::error::Problem;
use crate::paths;
use rand::TryRngCore;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for one answer, from the first byte sent.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The header under which a server does the same thing once.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A client of one server, with one key. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    retry: Retry,
    once: Option<String>,
}

/// What an address without a key answered.
#[derive(Clone, Debug)]
pub struct Probe {
    /// HTTP status.
    pub status: u16,
    /// The server's clock, as in the `Date` header.
    pub date: Option<String>,
    /// The body's message, or the body, shortened.
    pub text: String,
}

impl Client {
    /// A client of the server at `base` (a trailing slash or `/api/v1` does no harm).
    ///
    /// # Errors
    /// [`Error::Setup`] for an address that is none, or a key that cannot be one.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let wrong = |_| Error::Setup("the API key has characters that no key has".to_owned());
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("podbay/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_WAIT_MAX)
            .timeout(ANSWER_WAIT_MAX)
            .build()
            .map_err(|error| Error::Setup(error::cause(&error)))?;
        Ok(Self { http, base: base_url(base)?, retry: Retry::default(), once: None })
    }

    /// The same client with another idea of patience.
    ///
    /// ```no_run
    /// use podbay_api::client::{Client, Retry};
    ///
    /// # fn example() -> Result<(), podbay_api::client::Error> {
    /// let hasty = Client::new("http://127.0.0.1:8080", None)?.with_retry(Retry::never());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same client for one call that makes something, under an idempotency key of the caller's: a
    /// program that ends before it has the answer can call again with the same key and the same
    /// content, and nothing is made twice. Without this, each call has a key of its own.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: podbay_api::client::Client,
    /// #     order: podbay_api::pods::CreatePod,
    /// # ) -> Result<(), podbay_api::client::Error> {
    /// let pod = client.once("nightly-2030-01-31").pod_create(&order).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn once(&self, key: impl Into<String>) -> Self {
        Self { once: Some(key.into()), ..self.clone() }
    }

    /// The address of the server, without `/api/v1`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Asks for [`paths::HEALTHZ`] or [`paths::READYZ`], and takes any answer for one.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn probe(&self, path: &str) -> Result<Probe, Error> {
        let url = self.url("", &path.split('/').skip(1).collect::<Vec<_>>());
        let response = self.http.get(url).send().await.map_err(|error| self.unreachable(error))?;
        let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (status, date) = (response.status().as_u16(), header(DATE));
        let body = self.read(response).await?;
        let problem = Problem::read(&body);
        let raw = || String::from_utf8_lossy(&body).trim().chars().take(200).collect();
        Ok(Probe { status, date, text: if problem.text.is_empty() { raw() } else { problem.text } })
    }

    /// `segments` below `root`, each escaped.
    fn url(&self, root: &str, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(root.split('/').skip(1)).extend(segments);
        }
        url
    }

    /// One call of the API: `segments` below `/api/v1`.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Error> {
        if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
            return Err(Error::Setup("no id consists of dots".to_owned()));
        }
        let mut url = self.url(paths::BASE, segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        if method == Method::POST {
            let key = match &self.once {
                Some(key) => key.clone(),
                None => format!("{:016x}{:016x}", chance()?, chance()?),
            };
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        self.send(request.build().map_err(|error| Error::Setup(error::cause(&error)))?).await
    }

    /// What is answered, read.
    async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let url = request.url().to_string();
        let bytes = self.answer(request).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Malformed { url, cause: error.to_string() })
    }

    /// Sends a request until it has an answer or patience ends.
    async fn answer(&self, request: Request) -> Result<Vec<u8>, Error> {
        let mut waits = self.retry.waits();
        loop {
            // Bodies are in memory, so a copy can always be had.
            let copy = request.try_clone().ok_or_else(|| Error::Setup("a body cannot be repeated".into()))?;
            let response = self.http.execute(copy).await.map_err(|error| self.unreachable(error))?;
            let status = response.status().as_u16();
            if (200..300).contains(&status) {
                return self.read(response).await;
            }
            let wait = match status {
                429 | 503 => waits.next(retry::asked(response.headers()), chance()?),
                _ => None,
            };
            let Some(wait) = wait else {
                let problem = Problem::read(&self.read(response).await?);
                return Err(Error::Status { status, problem });
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// A document that is not below `/api/v1`.
    async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let url = self.url("", &path.split('/').skip(1).collect::<Vec<_>>());
        self.send(Request::new(Method::GET, url)).await
    }

    /// A text that is not below `/api/v1`.
    async fn bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.answer(Request::new(Method::GET, self.url(path, &[]))).await
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let cause = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Malformed { url: response.url().to_string(), cause });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        Error::Unreachable { url: self.base().to_owned(), cause: error::cause(&error.without_url()) }
    }
}

fn base_url(text: &str) -> Result<Url, Error> {
    let trimmed = text.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(paths::BASE).unwrap_or(trimmed);
    let wrong = |why: &str| Error::Setup(format!("`{text}` is not the address of a server: {why}"));
    let url = Url::parse(trimmed).map_err(|_| wrong("write it as in http://127.0.0.1:8080"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Setup("the address must not carry a user name or a password".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must have no `?` and no `#`"));
    }
    Ok(url)
}

/// Chance of the machine.
fn chance() -> Result<u64, Error> {
    let drawn = rand::rngs::OsRng.try_next_u64();
    drawn.map_err(|error| Error::Setup(format!("the machine gives no random numbers: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_all_its_forms() {
        for text in ["http://h:1", "http://h:1/", " http://h:1/api/v1 ", "http://h:1/api/v1/"] {
            assert_eq!(base_url(text).unwrap().as_str(), "http://h:1/", "{text}");
        }
        assert_eq!(base_url("https://h/below/api/v1").unwrap().as_str(), "https://h/below");
        for text in ["", "h:1", "ftp://h", "http://", "http://me:secret@h", "http://h/?a"] {
            let error = base_url(text).unwrap_err().to_string();
            assert!(!error.contains("secret@"), "{error}");
        }
    }
}

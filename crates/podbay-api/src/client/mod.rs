//! A typed client of the contract.
//!
//! A call that cannot have had an effect twice (GET and DELETE) is tried again when the server
//! answers 429 or 503, after the wait that it asks for. An order is never repeated: the answer to
//! the first one may only have been lost.
//!
//! The program must have installed a TLS provider (`rustls::crypto::…::install_default`) before
//! the first [`Client`] is made.

mod calls;
mod error;

pub use calls::{HistoryQuery, OfferFilter, SortBy, SortOrder};
pub use error::Error;

use crate::error::Problem;
use crate::paths;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for one answer, from the first byte sent.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often and how soon to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Calls in all, the first one included.
    pub attempts_max: u32,
    /// First wait; doubles each time.
    pub wait_min: Duration,
    /// Longest wait. A server that asks for a longer one gets no further call.
    pub wait_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 5, wait_min: Duration::from_millis(500), wait_max: Duration::from_secs(30) }
    }
}

impl Retry {
    /// The wait before the next call, if there is to be one. `attempt` counts from 1.
    fn wait(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts_max {
            return None;
        }
        match asked {
            Some(asked) => (asked <= self.wait_max).then_some(asked),
            None => Some(self.wait_min.saturating_mul(1 << (attempt - 1).min(16)).min(self.wait_max)),
        }
    }
}

/// A client of one server, with one key. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    retry: Retry,
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
        Ok(Self { http, base: base_url(base)?, retry: Retry::default() })
    }

    /// The same client with another idea of patience.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
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
        let repeatable = method == Method::GET || method == Method::DELETE;
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await.map_err(|error| self.unreachable(error))?;
            let status = response.status().as_u16();
            if (200..300).contains(&status) {
                let bytes = self.read(response).await?;
                return serde_json::from_slice(&bytes)
                    .map_err(|error| Error::Malformed { url: url.to_string(), cause: error.to_string() });
            }
            let wait = if repeatable && matches!(status, 429 | 503) {
                self.retry.wait(attempt, retry_after(&response))
            } else {
                None
            };
            let Some(wait) = wait else {
                let problem = Problem::read(&self.read(response).await?);
                return Err(Error::Status { status, problem });
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
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

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
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

    #[test]
    fn waits_double_and_end() {
        let retry = Retry::default();
        let wait = |attempt| retry.wait(attempt, None).map(|wait| wait.as_millis());
        assert_eq!([1, 2, 3, 4, 5].map(wait), [Some(500), Some(1000), Some(2000), Some(4000), None]);
        assert_eq!(retry.wait(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(retry.wait(1, Some(Duration::from_secs(3600))), None);
    }
}

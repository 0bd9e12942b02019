//! Asks a registry what it has under a reference. Fetching is the engine's; this only looks.

mod challenge;
mod guard;

pub use guard::{Forbidden, Guard, is_public};

use crate::Credentials;
use crate::reference::Reference;
use challenge::Challenge;
use guard::Checked;
use podbay_core::limits::{IMAGE_CHECK_MAX, REGISTRY_BYTES_MAX};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};

/// Manifests of one platform, and indexes of several, in both families.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
const REDIRECTS_MAX: usize = 5;

/// What a registry has under a reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Digest of the manifest, if the registry says.
    pub digest: Option<String>,
    /// Platforms, as in `linux/amd64`.
    pub platforms: Vec<String>,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// The registry must not be asked.
    #[error("{0}")]
    Forbidden(String),
    /// The registry wants other credentials, or has no such repository: many do not tell the two apart.
    #[error("the registry does not give this image to {0}: it does not exist, or wants other credentials")]
    Denied(&'static str),
    /// There is a registry, and it has no such image.
    #[error("the registry has no such image or tag")]
    Missing,
    /// The registry did not answer, or not as a registry does.
    #[error("the registry {0}")]
    Trouble(String),
}

/// Asks registries.
#[derive(Debug)]
pub struct Registry {
    guard: Arc<Guard>,
    client: OnceLock<Client>,
}

impl Registry {
    /// One that asks where `guard` lets it.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { guard: Arc::new(guard), client: OnceLock::new() }
    }

    /// What may be asked.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What the registry has under that reference.
    ///
    /// # Errors
    /// See [`Miss`].
    pub async fn look(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Found, Miss> {
        let late = || Miss::Trouble(format!("did not answer within {} s", IMAGE_CHECK_MAX.as_secs()));
        let asked = self.ask(reference, credentials);
        tokio::time::timeout(IMAGE_CHECK_MAX, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn ask(&self, reference: &Reference, credentials: Option<&Credentials>) -> Result<Found, Miss> {
        let base = self.guard.base(&reference.registry)?;
        let client = self.client()?;
        let mut session = Session { client, guard: &self.guard, reference, credentials, authorization: None };
        let below = |rest: String| {
            base.join(&format!("{}/{rest}", reference.path)).map_err(|error| Miss::Trouble(error.to_string()))
        };
        let manifest = session.get(below(format!("manifests/{}", reference.version()))?).await?;
        let digest = manifest.headers().get("docker-content-digest");
        let digest =
            digest.and_then(|digest| digest.to_str().ok()).filter(|text| text.starts_with("sha256:"));
        let digest = digest.map(str::to_owned);
        let manifest: Manifest = read_json(manifest).await?;
        let mut platforms: Vec<Platform> =
            manifest.manifests.into_iter().filter_map(|entry| entry.platform).collect();
        if let Some(config) = manifest.config.filter(|_| platforms.is_empty()) {
            platforms.push(read_json(session.get(below(format!("blobs/{}", config.digest))?).await?).await?);
        }
        // What build tools add beside the images says `unknown`.
        platforms.retain(|platform| platform.os != "unknown");
        let mut platforms: Vec<String> = platforms.iter().map(Platform::name).collect();
        platforms.dedup();
        Ok(Found { digest, platforms })
    }

    fn client(&self) -> Result<&Client, Miss> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Whoever was first has chosen the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = self.guard.clone();
        let follow = move |attempt: Attempt<'_>| {
            if attempt.previous().len() > REDIRECTS_MAX {
                return attempt.error(Forbidden("the registry redirects without end".to_owned()));
            }
            match guard.admit(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(forbidden) => attempt.error(forbidden),
            }
        };
        let made = Client::builder()
            .user_agent(concat!("podbay/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(follow))
            .dns_resolver(Arc::new(Checked(self.guard.clone())))
            // A proxy would resolve names for us, and could be led anywhere.
            .no_proxy()
            .build()
            .map_err(|error| Miss::Trouble(format!("cannot be asked: {error}")))?;
        Ok(self.client.get_or_init(|| made))
    }
}

impl From<Forbidden> for Miss {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden.0)
    }
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Entry>,
    config: Option<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    fn name(&self) -> String {
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
        format!("{}/{}{variant}", self.os, self.architecture)
    }
}

#[derive(Debug, Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The questions about one image: the answer to the first challenge is good for all.
struct Session<'a> {
    client: &'a Client,
    guard: &'a Guard,
    reference: &'a Reference,
    credentials: Option<&'a Credentials>,
    authorization: Option<HeaderValue>,
}

impl Session<'_> {
    async fn get(&mut self, url: Url) -> Result<Response, Miss> {
        let mut answer = self.send(&url).await?;
        if answer.status() == 401 && self.authorization.is_none() {
            self.authorization = Some(self.authorize(&answer).await?);
            answer = self.send(&url).await?;
        }
        match answer.status().as_u16() {
            200 => Ok(answer),
            401 | 403 => Err(self.denied()),
            404 => Err(Miss::Missing),
            429 => Err(Miss::Trouble("has been asked too often; try again later".to_owned())),
            status => Err(Miss::Trouble(format!("answered HTTP {status}"))),
        }
    }

    fn denied(&self) -> Miss {
        Miss::Denied(if self.credentials.is_some() {
            "these credentials"
        } else {
            "callers without credentials"
        })
    }

    async fn send(&self, url: &Url) -> Result<Response, Miss> {
        self.guard.admit(url)?;
        let mut request = self.client.get(url.clone()).header(ACCEPT, MANIFESTS);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(trouble)
    }

    /// What the registry's challenge is answered with.
    async fn authorize(&self, answer: &Response) -> Result<HeaderValue, Miss> {
        let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = headers.filter_map(|header| Challenge::parse(header.to_str().ok()?));
        let odd = || Miss::Trouble("asks for a log-in of an unknown kind".to_owned());
        match challenges.into_iter().next().ok_or_else(odd)? {
            Challenge::Basic => {
                let request =
                    self.basic(self.client.get(answer.url().clone())).ok_or_else(|| self.denied())?;
                let request = request.build().map_err(trouble)?;
                request.headers().get(AUTHORIZATION).cloned().ok_or_else(odd)
            }
            Challenge::Bearer { realm, service, scope } => {
                let mut realm = Url::parse(&realm).map_err(|_| odd())?;
                self.guard.admit(&realm)?;
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.path));
                realm.query_pairs_mut().extend_pairs(service.map(|service| ("service", service)));
                realm.query_pairs_mut().append_pair("scope", &scope);
                let request = self.client.get(realm);
                let request = match self.basic(request.try_clone().ok_or_else(odd)?) {
                    Some(with_login) => with_login,
                    None => request,
                };
                let answer = request.send().await.map_err(trouble)?;
                match answer.status().as_u16() {
                    200 => {}
                    401 | 403 => return Err(self.denied()),
                    status => return Err(Miss::Trouble(format!("answered the log-in with HTTP {status}"))),
                }
                let Token { token, access_token } = read_json(answer).await?;
                let token = token.or(access_token).ok_or_else(odd)?;
                let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| odd())?;
                value.set_sensitive(true);
                Ok(value)
            }
        }
    }

    fn basic(&self, request: RequestBuilder) -> Option<RequestBuilder> {
        let Credentials { username, password } = self.credentials?;
        Some(request.basic_auth(username, Some(password)))
    }
}

/// Nothing that was read is repeated: the answer may come from somewhere that the caller may not see.
async fn read_json<T: DeserializeOwned>(mut answer: Response) -> Result<T, Miss> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(trouble)? {
        if bytes.len() + chunk.len() > REGISTRY_BYTES_MAX {
            return Err(Miss::Trouble(format!("answered more than {REGISTRY_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no type");
    serde_json::from_slice(&bytes)
        .map_err(|_| Miss::Trouble(format!("answered something else than a registry does ({kind:.100})")))
}

fn trouble(error: reqwest::Error) -> Miss {
    let mut cause: &dyn std::error::Error = &error;
    loop {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return Miss::Forbidden(forbidden.0.clone());
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => return Miss::Trouble(format!("cannot be reached: {cause}")),
        }
    }
}

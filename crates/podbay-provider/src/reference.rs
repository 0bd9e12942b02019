//! Image references, read once and the same way for every engine.
//!
//! Engines complete a short reference differently (Podman asks a list of registries, Docker means
//! its own, and an API call without a tag fetches *all* of them from Docker). So it is completed
//! here, before any engine sees it.

use std::fmt;

const REGISTRY_DEFAULT: &str = "docker.io";
const TAG_DEFAULT: &str = "latest";
/// The registry that stands for "built on this machine".
const REGISTRY_LOCAL: &str = "localhost";
const TAG_BYTES_MAX: usize = 128;
const REFERENCE_BYTES_MAX: usize = 1_024;

/// A complete reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host of the registry, with its port if it is named.
    pub registry: String,
    /// Repository within the registry.
    pub path: String,
    /// With its separator: `:tag` or `@digest`.
    version: String,
}

impl Reference {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?} is no image reference: {what}");
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(format!("an image reference has at most {REFERENCE_BYTES_MAX} characters"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash is a tag's, one before it a port's.
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[slash..].find(':') {
            Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
            None => (name, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first.to_owned(), rest.to_owned()),
            Some(_) => (REGISTRY_DEFAULT.to_owned(), name.to_owned()),
            None => (REGISTRY_DEFAULT.to_owned(), format!("library/{name}")),
        };
        if !is_host(&registry) {
            return Err(wrong("the registry is no host name"));
        }
        if !path.split('/').all(is_component) {
            return Err(wrong("a name has lower-case letters, digits, and single separators between them"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("the tag has other characters than letters, digits, `_`, `.` and `-`"));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("the digest is not of the form sha256:<hex digits>"));
        }
        // A digest says more than a tag.
        let version = match digest {
            Some(digest) => format!("@{digest}"),
            None => format!(":{}", tag.unwrap_or(TAG_DEFAULT)),
        };
        Ok(Self { registry, path, version })
    }

    /// Tag or digest, as registries are asked for it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version[1..]
    }

    /// Whether it can only have been built here.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.registry == REGISTRY_LOCAL
    }

    /// Whether `digest`, as in `docker.io/library/x@sha256:…` or `x@sha256:…`, is one of its repository.
    #[must_use]
    pub fn owns(&self, digest: &str) -> bool {
        Self::parse(digest).is_ok_and(|other| other.registry == self.registry && other.path == self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.path, self.version)
    }
}

/// Whether the first part of a name is a registry's rather than a folder's.
fn is_registry(first: &str) -> bool {
    first == REGISTRY_LOCAL || first.contains(['.', ':'])
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !host.is_empty() && host.bytes().all(fine) && port.parse::<u16>().is_ok()
}

fn is_component(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.as_bytes().first().is_some_and(plain) && text.as_bytes().last().is_some_and(plain);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .filter(|part| !part.is_empty())
        .all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && (32..=128).contains(&hex.len())
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_references_are_completed() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let cases = [
            ("ubuntu", "docker.io/library/ubuntu:latest".to_owned()),
            ("ubuntu:24.04", "docker.io/library/ubuntu:24.04".to_owned()),
            ("nvidia/cuda:12.4.1-base", "docker.io/nvidia/cuda:12.4.1-base".to_owned()),
            ("ghcr.io/a/b__c/d-e.f", "ghcr.io/a/b__c/d-e.f:latest".to_owned()),
            ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1".to_owned()),
            ("localhost/podbay/base:latest", "localhost/podbay/base:latest".to_owned()),
            (&format!("q.io/x:1@{digest}"), format!("q.io/x@{digest}")),
        ];
        for (text, whole) in cases {
            assert_eq!(Reference::parse(text).unwrap().to_string(), whole, "{text}");
        }
        assert!(Reference::parse("localhost/x").unwrap().is_local());
        assert!(!Reference::parse("localhost:5000/x").unwrap().is_local());
        assert!(Reference::parse("x:1").unwrap().owns(&format!("x@{digest}")));
        assert!(!Reference::parse("x:1").unwrap().owns(&format!("y@{digest}")));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a".repeat(REFERENCE_BYTES_MAX + 1);
        for text in [
            "",
            ":",
            "/",
            "a/",
            "/a",
            "Ubuntu",
            "ubuntu:",
            "ubuntu:a b",
            "a//b",
            "a..b",
            "a___b",
            "-a",
            "a@sha256:12",
            "a@",
            "é",
            "a:b:c",
            "ex.io:port/a",
            "https://ex.io/a",
            "a\nb",
            "a?b",
            long.as_str(),
        ] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }
}

//! How often one may call: a bucket for each key and class of calls, and one for the failed log-ins
//! of each address.
//!
//! In memory only, and bounded: a bucket that has filled up again is forgotten first. What is
//! forgotten begins anew with a full bucket, so an honest client is never the worse for it.

use crate::app::{App, Error, api_keys};
use crate::config::LimitsConfig;
use crate::connections::Peer;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use podbay_core::bucket::{Bucket, Quota};
use podbay_core::key::ApiKey;
use podbay_core::{ApiKeyId, Timestamp, limits};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Calls that share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What changes nothing.
    Read,
    /// What changes something.
    Write,
    /// Orders of pods.
    Create,
}

impl Class {
    /// The class of a route.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Self {
        match (method, path) {
            (&Method::GET, _) => Self::Read,
            (&Method::POST, "/api/v1/pods") => Self::Create,
            _ => Self::Write,
        }
    }

    fn policy(self, config: &LimitsConfig) -> Policy {
        match self {
            Self::Read => Policy { name: "read", quota: config.read },
            Self::Write => Policy { name: "write", quota: config.write },
            Self::Create => Policy { name: "create", quota: config.create },
        }
    }
}

/// A quota with its name on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    name: &'static str,
    quota: Quota,
}

impl Policy {
    /// The fields `RateLimit-Policy` and `RateLimit`: how many may be done at once, in how many
    /// seconds that many come back, and how many are left (`wait` until there is one).
    pub(super) fn write(self, left: u32, wait: Option<Duration>, headers: &mut HeaderMap) {
        let Self { name, quota } = self;
        let policy = format!("\"{name}\";q={};w={}", quota.burst, quota.window());
        let mut limit = format!("\"{name}\";r={left}");
        if let Some(wait) = wait {
            let seconds = whole_seconds(wait);
            limit.push_str(&format!(";t={seconds}"));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (field, text) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(field, value);
            }
        }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// All buckets.
#[derive(Default)]
pub struct Limits {
    keys: Mutex<HashMap<ApiKeyId, OfKey>>,
    failures: Mutex<HashMap<Peer, Bucket>>,
}

/// What is kept of a key that has proved itself.
struct OfKey {
    secret_sha256: [u8; 32],
    buckets: [Bucket; 3],
}

impl Limits {
    /// Takes a call of `class` from the bucket of a key that was given as `token` and is right. The
    /// policy and what is left of it, once that is less than half: before, nobody needs to know.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub(super) fn take(
        &self,
        app: &App,
        key: &ApiKeyId,
        token: &str,
        class: Class,
    ) -> Result<Option<(Policy, u32)>, Error> {
        let (config, now) = (&app.config.limits, app.now());
        let policy = class.policy(config);
        let mut keys = lock(&self.keys);
        if !keys.contains_key(key) {
            make_room(&mut keys, |of_key| of_key.is_idle(config, now));
            let Some(key) = ApiKey::parse(token) else { return Err(Error::InvalidToken) };
            keys.insert(key.id().clone(), OfKey::new(&key, config, now));
        }
        let Some(of_key) = keys.get_mut(key) else { return Ok(None) };
        match of_key.buckets[class as usize].take(policy.quota, now) {
            Ok(left) => Ok((left < policy.quota.burst / 2).then_some((policy, left))),
            Err(wait) => Err(Error::TooMany(policy, wait)),
        }
    }

    /// Whether a key may be tried from `peer`, where too many wrong ones may have come from. One
    /// that has proved itself before always may; nothing is looked up for that.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub(super) fn may_try(&self, app: &App, peer: Peer, token: &str) -> Result<(), Error> {
        let policy = failures(&app.config.limits);
        let wait = lock(&self.failures).get(&peer).map(|bucket| bucket.wait(policy.quota, app.now()));
        match wait {
            Some(wait) if !wait.is_zero() && !self.has_proved(token) => Err(Error::TooMany(policy, wait)),
            _ => Ok(()),
        }
    }

    fn has_proved(&self, token: &str) -> bool {
        let Some(key) = ApiKey::parse(token) else { return false };
        let keys = lock(&self.keys);
        keys.get(key.id()).is_some_and(|known| known.secret_sha256.ct_eq(&api_keys::hash(&key)).into())
    }

    /// Counts a wrong key from `peer`.
    pub(super) fn failed(&self, app: &App, peer: Peer) {
        let (Policy { quota, .. }, now) = (failures(&app.config.limits), app.now());
        let mut failures = lock(&self.failures);
        if !failures.contains_key(&peer) {
            make_room(&mut failures, |bucket| bucket.is_full(quota, now));
        }
        let _ = failures.entry(peer).or_insert_with(|| Bucket::full(quota, now)).take(quota, now);
    }
}

fn failures(config: &LimitsConfig) -> Policy {
    Policy { name: "failed-logins", quota: config.failed_logins }
}

impl OfKey {
    fn new(key: &ApiKey, config: &LimitsConfig, now: Timestamp) -> Self {
        let full = |quota| Bucket::full(quota, now);
        let buckets = [full(config.read), full(config.write), full(config.create)];
        Self { secret_sha256: api_keys::hash(key), buckets }
    }

    fn is_idle(&self, config: &LimitsConfig, now: Timestamp) -> bool {
        let quotas = [config.read, config.write, config.create];
        self.buckets.iter().zip(quotas).all(|(bucket, quota)| bucket.is_full(quota, now))
    }
}

/// Room for one more. Only a flood of callers of which none is at rest makes all be forgotten.
fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, is_idle: impl Fn(&V) -> bool) {
    if map.len() >= limits::BUCKETS_MAX {
        map.retain(|_, value| !is_idle(value));
    }
    if map.len() >= limits::BUCKETS_MAX {
        map.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_by_forgetting_those_at_rest_first() {
        let mut map: HashMap<usize, bool> = (0..limits::BUCKETS_MAX).map(|nth| (nth, nth == 7)).collect();
        make_room(&mut map, |is_busy| !is_busy);
        assert_eq!(map, HashMap::from([(7, true)]));
        let mut map: HashMap<usize, ()> = (0..limits::BUCKETS_MAX).map(|nth| (nth, ())).collect();
        make_room(&mut map, |()| false);
        assert!(map.len() < limits::BUCKETS_MAX);
    }

    #[test]
    fn the_fields_are_whole_seconds() {
        let mut headers = HeaderMap::new();
        let policy = Policy { name: "read", quota: Quota { rate: 3, burst: 10 } };
        policy.write(0, Some(Duration::from_millis(1001)), &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"read\";q=10;w=4");
        assert_eq!(headers["ratelimit"], "\"read\";r=0;t=2");
        assert_eq!(headers["retry-after"], "2");
    }
}

//! When to try again, and when not any more.

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::time::Duration;

/// How often and how soon to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Calls in all, the first one included.
    pub attempts_max: u32,
    /// First wait; doubles each time. Up to half of a wait is left to chance, so that many clients
    /// that were turned away together do not come back together.
    pub wait_min: Duration,
    /// Longest wait. A server that asks for a longer one gets no further call.
    pub wait_max: Duration,
    /// All waits of one call together.
    pub total_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            wait_min: Duration::from_millis(500),
            wait_max: Duration::from_secs(30),
            total_max: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// The first answer is the answer.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// The waits of one call.
    pub(super) fn waits(self) -> Waits {
        Waits { retry: self, attempt: 1, waited: Duration::ZERO }
    }
}

/// What is left of the patience with one call.
pub(super) struct Waits {
    retry: Retry,
    attempt: u32,
    waited: Duration,
}

impl Waits {
    /// The wait before the next attempt, if there is to be one; `chance` is any number.
    pub(super) fn next(&mut self, asked: Option<Duration>, chance: u64) -> Option<Duration> {
        let Retry { attempts_max, wait_min, wait_max, total_max } = self.retry;
        let wait = asked.unwrap_or_else(|| {
            let full = wait_min.saturating_mul(1 << (self.attempt - 1).min(16)).min(wait_max);
            full.mul_f64(1.0 - chance as f64 / u64::MAX as f64 / 2.0)
        });
        if self.attempt >= attempts_max || wait > wait_max || self.waited.saturating_add(wait) > total_max {
            return None;
        }
        self.attempt += 1;
        self.waited += wait;
        Some(wait)
    }
}

/// What `Retry-After` asks for, in seconds or as a date. The date is read by the server's own clock.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (then, now) = (httpdate::parse_http_date(after).ok()?, httpdate::parse_http_date(text(DATE)?).ok()?);
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 0;
    const LAST: u64 = u64::MAX;

    #[test]
    fn waits_double_and_end() {
        let mut waits = Retry::default().waits();
        let waited = [FIRST; 5].map(|chance| waits.next(None, chance).map(|wait| wait.as_millis()));
        assert_eq!(waited, [Some(500), Some(1000), Some(2000), Some(4000), None]);
        let mut waits = Retry::default().waits();
        let waited = [LAST; 5].map(|chance| waits.next(None, chance).map(|wait| wait.as_millis()));
        assert_eq!(waited, [Some(250), Some(500), Some(1000), Some(2000), None]);
        assert_eq!(Retry::never().waits().next(Some(Duration::ZERO), FIRST), None);
    }

    #[test]
    fn the_server_is_heard_within_bounds() {
        let seconds = Duration::from_secs;
        let mut waits = Retry::default().waits();
        assert_eq!(waits.next(Some(seconds(3600)), FIRST), None, "longer than any wait");
        for asked in [28, 29] {
            assert_eq!(waits.next(Some(seconds(asked)), FIRST), Some(seconds(asked)));
        }
        assert_eq!(waits.next(Some(seconds(4)), FIRST), None, "28 s + 29 s + 4 s are too much in all");
        assert_eq!(waits.next(Some(seconds(3)), FIRST), Some(seconds(3)));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let read = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            date.map(|date| headers.insert(DATE, date.parse().unwrap()));
            asked(&headers).map(|wait| wait.as_secs())
        };
        let (noon, later) = ("Thu, 20 Aug 2026 12:00:00 GMT", "Thu, 20 Aug 2026 12:00:07 GMT");
        assert_eq!(read(" 12 ", None), Some(12));
        assert_eq!(read(later, Some(noon)), Some(7));
        assert_eq!(read(noon, Some(later)), Some(0), "the time has come already");
        assert_eq!(read(later, None), None, "a date alone says nothing about how long");
        assert_eq!(read("soon", Some(noon)), None);
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}

//! A token bucket: how often something may be done, as a function of the time that it is told.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So many at once, and in the long run so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// A second; zero allows everything.
    pub rate: u32,
    /// At once.
    #[serde(default)]
    pub burst: u32,
}

impl Quota {
    /// Everything is allowed.
    pub const OFF: Self = Self { rate: 0, burst: 0 };

    /// Whether everything is allowed.
    #[must_use]
    pub fn is_off(self) -> bool {
        self.rate == 0
    }

    /// Seconds in which an empty bucket fills, at least one.
    #[must_use]
    pub fn window(self) -> u64 {
        u64::from(self.burst).div_ceil(u64::from(self.rate.max(1))).max(1)
    }
}

/// Thousandths of a token in one token.
const TOKEN: u64 = 1000;

/// How much of a [`Quota`] is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Thousandths of tokens: at one token a second, one a millisecond.
    level: u64,
    at: Timestamp,
}

impl Bucket {
    /// A bucket from which nothing has been taken.
    #[must_use]
    pub fn full(quota: Quota, now: Timestamp) -> Self {
        Self { level: u64::from(quota.burst) * TOKEN, at: now }
    }

    /// What is in it now. A clock that jumps back adds nothing, and takes nothing away.
    fn level(&self, quota: Quota, now: Timestamp) -> u64 {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let gained = millis.saturating_mul(u64::from(quota.rate));
        self.level.saturating_add(gained).min(u64::from(quota.burst) * TOKEN)
    }

    /// Whether it is as good as new, and need not be kept.
    #[must_use]
    pub fn is_full(&self, quota: Quota, now: Timestamp) -> bool {
        quota.is_off() || self.level(quota, now) == u64::from(quota.burst) * TOKEN
    }

    /// How long until there is a token; zero if there is one.
    #[must_use]
    pub fn wait(&self, quota: Quota, now: Timestamp) -> Duration {
        if quota.is_off() {
            return Duration::ZERO;
        }
        let missing = TOKEN.saturating_sub(self.level(quota, now));
        Duration::from_millis(missing.div_ceil(u64::from(quota.rate)))
    }

    /// Takes a token; how many are left.
    ///
    /// # Errors
    /// There is none; how long until there is one.
    pub fn take(&mut self, quota: Quota, now: Timestamp) -> Result<u32, Duration> {
        if quota.is_off() {
            return Ok(u32::MAX);
        }
        // Also when `now` lies before: from here on the clock counts again.
        *self = Self { level: self.level(quota, now), at: now };
        match self.level.checked_sub(TOKEN) {
            Some(level) => {
                self.level = level;
                Ok(u32::try_from(level / TOKEN).unwrap_or(u32::MAX))
            }
            None => Err(self.wait(quota, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTA: Quota = Quota { rate: 2, burst: 3 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let mut bucket = Bucket::full(QUOTA, at(0));
        assert_eq!([bucket.take(QUOTA, at(0)), bucket.take(QUOTA, at(0))], [Ok(2), Ok(1)]);
        assert_eq!(bucket.take(QUOTA, at(0)), Ok(0));
        assert_eq!(bucket.take(QUOTA, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(QUOTA, at(499)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(QUOTA, at(500)), Ok(0));
        assert!(!bucket.is_full(QUOTA, at(1_999)));
        assert!(bucket.is_full(QUOTA, at(2_000)));
    }

    #[test]
    fn a_clock_that_jumps_back_locks_nobody_out() {
        let mut bucket = Bucket::full(QUOTA, at(10_000_000));
        while bucket.take(QUOTA, at(10_000_000)).is_ok() {}
        assert!(bucket.take(QUOTA, at(0)).is_err());
        assert_eq!(bucket.take(QUOTA, at(500)), Ok(0));
    }

    #[test]
    fn a_rate_of_zero_allows_everything() {
        let mut bucket = Bucket::full(Quota::OFF, at(0));
        assert!((0..1000).all(|_| bucket.take(Quota::OFF, at(0)).is_ok()));
        assert_eq!(bucket.wait(Quota::OFF, at(0)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_allow(
            rate in 1u32..1000, burst in 1u32..100, steps in prop::collection::vec(0i64..2000, 1..200),
        ) {
            let quota = Quota { rate, burst };
            let mut bucket = Bucket::full(quota, at(0));
            let (mut now, mut taken) = (0, 0u64);
            for step in steps {
                now += step;
                match bucket.take(quota, at(now)) {
                    Ok(_) => taken += 1,
                    // What it says is when it will be true.
                    Err(wait) => prop_assert!(bucket.wait(quota, at(now).plus(wait)).is_zero()),
                }
            }
            prop_assert!(taken * TOKEN <= u64::from(burst) * TOKEN + now as u64 * u64::from(rate));
        }
    }
}

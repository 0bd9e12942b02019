//! Money and seconds: integer micro-dollars over closed intervals.
//!
//! A bill is never stored and never incremented. It is the sum over the intervals of
//! `price × length`, taken in one integer (micro-dollar milliseconds per hour) and divided once
//! at the end, so that cutting an interval in two never changes a total.

use crate::Timestamp;
use crate::mutation::{self, Mutation};
use serde::{Deserialize, Serialize};

/// Millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// From dollars as a client or an owner writes them; `None` if absurd or not a number.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        (micros.is_finite() && micros.abs() < 1e15).then_some(Self(micros as i64))
    }

    /// Dollars for the wire.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// A price in micro-dollars per hour.
pub type PricePerHour = Micros;

/// What a pod was doing while an interval ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageState {
    /// Its machine ran and was reachable.
    Running,
    /// It was stopped, holding its disk.
    Stopped,
}

/// One stretch of time at one price. `ended_at` is written once, and may become earlier while its pod is
/// being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// What the pod was doing.
    pub state: UsageState,
    /// The price while it did.
    pub price: PricePerHour,
    /// First billed moment.
    pub started_at: Timestamp,
    /// First moment no longer billed; `None` while it runs.
    pub ended_at: Option<Timestamp>,
}

/// The sum of some intervals, and how long they lasted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// What they cost, rounded half up once.
    pub billed: Micros,
    /// Their length in milliseconds.
    pub millis: i64,
    /// The average price per hour over that length, zero if there is none. Taken from the exact
    /// sum, not from the rounded bill: a pod of a few seconds has cost its price, too.
    pub average: PricePerHour,
}

const MILLIS_PER_HOUR: i64 = 3_600_000;

/// What `intervals` cost by `now`. An open interval counts up to `now`; one that a jumping clock
/// has turned around counts as nothing.
#[must_use]
pub fn total(intervals: &[Interval], now: Timestamp) -> Total {
    let mut numerator: i128 = 0;
    let mut millis: i64 = 0;
    let again = intervals.last().filter(|_| mutation::on(Mutation::BillTwice));
    for interval in intervals.iter().chain(again) {
        let length = interval.ended_at.unwrap_or(now).since(interval.started_at).as_millis() as i64;
        numerator += i128::from(interval.price.0) * i128::from(length);
        millis = millis.saturating_add(length);
    }
    Total {
        billed: per_hour(numerator),
        millis,
        average: Micros(saturate(round_div(numerator, i128::from(millis.max(1))))),
    }
}

/// The same intervals, each of which goes on as long as its state and price do: no total changes.
#[must_use]
pub fn merged(intervals: &[Interval]) -> Vec<Interval> {
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last)
                if last.ended_at == Some(interval.started_at)
                    && (last.state, last.price) == (interval.state, interval.price)
                    // One that a jumping clock has turned around counts as nothing, and must go on to.
                    && last.started_at <= interval.started_at
                    && interval.ended_at.is_none_or(|end| end >= interval.started_at) =>
            {
                last.ended_at = interval.ended_at;
            }
            _ => merged.push(*interval),
        }
    }
    merged
}

/// What milliseconds at a price cost, all of them together: rounded half up once.
#[must_use]
pub fn billed(parts: &[(PricePerHour, i64)]) -> Micros {
    per_hour(parts.iter().map(|(price, millis)| i128::from(price.0) * i128::from(*millis)).sum())
}

fn per_hour(numerator: i128) -> Micros {
    Micros(saturate(round_div(numerator, i128::from(MILLIS_PER_HOUR))))
}

fn round_div(numerator: i128, denominator: i128) -> i128 {
    (numerator + denominator / 2).div_euclid(denominator)
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(price: i64, start: i64, end: Option<i64>) -> Interval {
        Interval {
            state: UsageState::Running,
            price: Micros(price),
            started_at: Timestamp::from_millis(start),
            ended_at: end.map(Timestamp::from_millis),
        }
    }

    #[test]
    fn one_hour_costs_the_price() {
        let total = total(&[interval(1_500_000, 0, Some(3_600_000))], Timestamp::EPOCH);
        assert_eq!(total.billed, Micros(1_500_000));
        assert_eq!(total.average, Micros(1_500_000));
    }

    #[test]
    fn a_moment_has_the_average_of_its_price() {
        assert_eq!(total(&[interval(26_000, 0, Some(7))], Timestamp::EPOCH).average, Micros(26_000));
    }

    #[test]
    fn nothing_billed_has_no_average() {
        assert_eq!(total(&[], Timestamp::EPOCH), Total::default());
        assert_eq!(total(&[interval(5, 10, Some(3))], Timestamp::EPOCH), Total::default());
    }

    proptest! {
        #[test]
        fn merging_never_changes_the_total(
            parts in proptest::collection::vec((0i64..3, -5i64..100, -5i64..3), 0..20), now in 0i64..1000,
        ) {
            let mut at = 0;
            let intervals: Vec<Interval> = parts.into_iter().map(|(price, length, gap)| {
                let start = at + gap.max(0);
                at = start + length;
                interval(price * 1_000_000_007, start, Some(at))
            }).collect();
            let (merged, now) = (merged(&intervals), Timestamp::from_millis(now));
            prop_assert!(merged.len() <= intervals.len());
            prop_assert_eq!(total(&intervals, now), total(&merged, now));
        }

        #[test]
        fn cutting_an_interval_never_changes_the_total(
            price in 0i64..10_000_000_000, start in 0i64..1_000_000_000, a in 0i64..10_000_000, b in 0i64..10_000_000,
        ) {
            let now = Timestamp::from_millis(start + a + b);
            let whole = total(&[interval(price, start, None)], now);
            let cut = total(&[interval(price, start, Some(start + a)), interval(price, start + a, None)], now);
            prop_assert_eq!(whole, cut);
            prop_assert_eq!(whole.billed, billed(&[(Micros(price), a), (Micros(price), now.as_millis() - start - a)]));
        }
    }
}

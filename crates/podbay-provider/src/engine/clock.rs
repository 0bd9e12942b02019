//! Time as engines write it, and the time of looking.

use podbay_core::Timestamp;

/// When something outside was seen.
pub(super) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the moment of looking at the outside is a fact of the outside; no decision is made from it here"
    )]
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus(since_epoch)
}

/// `2026-01-02T03:04:05.678901234Z`, or with an offset such as `+01:00`; precise to the
/// millisecond. `None` for anything else, and for the year 1 that engines write for "never".
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("", rest),
    };
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds =
        days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(Timestamp::from_millis(seconds * 1_000 + millis))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours: i64 = zone.get(1..3)?.parse().ok()?;
    let minutes: i64 = zone.get(4..6)?.parse().ok()?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Years are counted from March, so that the leap day is the last one of a year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_of_months = (153 * month + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + days_of_months + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_times_are_read() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-08-20T10:00:00.123456789Z", Some(1_787_220_000_123)),
            ("2026-08-20T12:00:00.1+02:00", Some(1_787_220_000_100)),
            ("2024-02-29T23:59:59-00:30", Some(1_709_252_999_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
            ("2026-08-20T10:00:00", None),
            ("ééééééééééééééééééééé", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text).map(Timestamp::as_millis), millis, "{text}");
        }
    }
}

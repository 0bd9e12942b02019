//! The time of this machine: the one place that asks for it.

use podbay_core::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "the program's only clock")]
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

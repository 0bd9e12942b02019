//! `prime login` and `prime config`.

use super::Step;

pub const STEPS: &[Step] = &[];

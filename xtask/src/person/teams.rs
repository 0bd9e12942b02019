//! Teams, their members, and what they share.

use super::Step;

pub const STEPS: &[Step] = &[];

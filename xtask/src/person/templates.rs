//! Images and templates.

use super::Step;

pub const STEPS: &[Step] = &[];

//! The two published MCP servers, driven over their standard input and output.

use super::Step;

pub const STEPS: &[Step] = &[];

//! Sizes of persistent disks. Their price is among the other prices.

use super::check::Findings;
use podbay_core::limits::SIZE_MAX;
use serde::Deserialize;

/// `[disks]`, the persistent ones
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct DisksConfig {
    /// Size in GB that the offer names as the default.
    pub size_default_gb: u32,
    /// Largest size of one disk in GB.
    pub size_max_gb: u32,
}

impl Default for DisksConfig {
    fn default() -> Self {
        Self { size_default_gb: 100, size_max_gb: 10_000 }
    }
}

impl DisksConfig {
    /// Whether the sizes make sense together.
    pub(super) fn check(&self, findings: &mut Findings) {
        let Self { size_default_gb, size_max_gb } = *self;
        if size_max_gb > SIZE_MAX {
            findings.add(&["disks.size_max_gb"], format!("write a number not above {SIZE_MAX}"));
        }
        if !(1..=size_max_gb).contains(&size_default_gb) {
            let text = "`size_default_gb` must be at least 1 and not above `size_max_gb`";
            findings.add(&["disks.size_default_gb", "disks.size_max_gb"], text);
        }
    }
}

//! Sizes of persistent disks. Their price is among the other prices.

use super::ConfigError;
use podbay_core::limits::SIZE_MAX;
use serde::Deserialize;

/// `[disks]`, the persistent ones
#[derive(Clone, Copy, Debug, Deserialize)]
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
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { size_default_gb, size_max_gb } = *self;
        if (1..=size_max_gb).contains(&size_default_gb) && size_max_gb <= SIZE_MAX {
            return Ok(());
        }
        let text = format!(
            "`size_default_gb` must be at least 1 and not above `size_max_gb`, and that not above {SIZE_MAX}"
        );
        Err(ConfigError::Value { key: "disks", text })
    }
}

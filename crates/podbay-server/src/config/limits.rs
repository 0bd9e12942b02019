//! `[limits]`: what one client may ask for.

use super::check::Findings;
use podbay_core::bucket::Quota;
use podbay_core::limits;
use serde::Deserialize;

/// `[limits]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Connections at the same time; fewer if the system allows fewer open files.
    pub connections: usize,
    /// Connections of one address (one /64 of IPv6).
    pub connections_per_address: usize,
    /// Calls of one key that change nothing.
    pub read: Quota,
    /// Calls of one key that change something.
    pub write: Quota,
    /// Pods that one key orders.
    pub create: Quota,
    /// Wrong keys from one address.
    pub failed_logins: Quota,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_MAX,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
            read: Quota { rate: 100, burst: 1000 },
            write: Quota { rate: 50, burst: 1000 },
            create: Quota { rate: 20, burst: 1000 },
            failed_logins: Quota { rate: 10, burst: 100 },
        }
    }
}

impl LimitsConfig {
    /// The same without quotas: every caller may call as often as it can.
    #[must_use]
    pub fn without_quotas(self) -> Self {
        let off = Quota::OFF;
        Self { read: off, write: off, create: off, failed_logins: off, ..self }
    }

    pub(super) fn check(&self, findings: &mut Findings) {
        for (key, connections) in [
            ("limits.connections", self.connections),
            ("limits.connections_per_address", self.connections_per_address),
        ] {
            if connections == 0 {
                findings.add(&[key], "with no connection nobody could call: write a number above zero");
            }
        }
        for (key, Quota { rate, burst }) in [
            ("limits.read", self.read),
            ("limits.write", self.write),
            ("limits.create", self.create),
            ("limits.failed_logins", self.failed_logins),
        ] {
            let most = limits::QUOTA_MAX;
            if rate > 0 && (burst == 0 || rate > most || burst > most) {
                let text =
                    format!("write a rate of 0 for no limit, else a rate and a burst from 1 to {most}");
                findings.add(&[key], text);
            }
        }
    }
}

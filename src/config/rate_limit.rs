//! `[rate_limit]`: how much of one process a single tenant may use.

use std::num::NonZeroU32;

use serde::Deserialize;

use super::error::Problems;

/// The per-tenant request rate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Requests per second of one tenant; 0 for no limit.
    pub per_tenant_per_second: u32,
    /// Requests at once before the rate applies; 0 for no limit.
    pub burst: u32,
}

impl RateLimitSettings {
    /// Rate and burst, or `None` when the limit is off.
    #[must_use]
    pub fn quota(&self) -> Option<(NonZeroU32, NonZeroU32)> {
        NonZeroU32::new(self.per_tenant_per_second).zip(NonZeroU32::new(self.burst))
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range(
            "rate_limit.per_tenant_per_second",
            self.per_tenant_per_second,
            0..=1_000_000,
        );
        problems.range("rate_limit.burst", self.burst, 0..=1_000_000);
        if (self.burst == 0) != (self.per_tenant_per_second == 0) {
            problems.add(
                "rate_limit.burst",
                "and `rate_limit.per_tenant_per_second` are either both 0 (no limit) or both above 0",
            );
        }
    }
}

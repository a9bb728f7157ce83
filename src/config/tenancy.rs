//! `[tenancy]`: how many tenants share a login, a connection and the cache.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::values;

/// Lanes, pools and caches of the tenant plane.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenancySettings {
    /// Tenants per lane (one database login).
    pub lane_capacity: u32,
    /// Connections of this process per lane.
    pub lane_pool: usize,
    /// Connections of a lane that one tenant may have in use at once; 0 for all but one.
    pub tenant_connections: usize,
    /// Requests of one tenant that are served at once.
    pub tenant_requests: usize,
    /// Prepared statements kept per connection.
    pub statements_per_connection: usize,
    /// Tenants whose statements are kept per connection.
    pub tenants_per_connection: usize,
    /// Resolved tenants kept in memory.
    pub cache_capacity: u64,
    /// How long an unknown tenant stays known as unknown.
    #[serde(rename = "negative_cache_secs", deserialize_with = "values::seconds")]
    pub negative_cache: Duration,
    /// After how long an onboarding that stands still is taken over.
    #[serde(rename = "provisioning_lease_secs", deserialize_with = "values::seconds")]
    pub provisioning_lease: Duration,
}

impl TenancySettings {
    /// Connections of a lane that one tenant may have in use at once.
    #[must_use]
    pub fn connections_of_one_tenant(&self) -> usize {
        match self.tenant_connections {
            0 => self.lane_pool.saturating_sub(1).max(1),
            some => some,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range("tenancy.lane_capacity", self.lane_capacity, 1..=250);
        problems.range("tenancy.lane_pool", self.lane_pool, 1..=100);
        problems.range(
            "tenancy.tenant_connections",
            self.tenant_connections,
            0..=self.lane_pool,
        );
        problems.range("tenancy.tenant_requests", self.tenant_requests, 1..=100_000);
        problems.range(
            "tenancy.statements_per_connection",
            self.statements_per_connection,
            10..=100_000,
        );
        problems.range(
            "tenancy.tenants_per_connection",
            self.tenants_per_connection,
            1..=100_000,
        );
        problems.range("tenancy.cache_capacity", self.cache_capacity, 1..=10_000_000);
        problems.range(
            "tenancy.negative_cache_secs",
            self.negative_cache.as_secs(),
            0..=3600,
        );
        problems.range(
            "tenancy.provisioning_lease_secs",
            self.provisioning_lease.as_secs(),
            5..=3600,
        );
    }
}

//! Requests of a tenant that is on its way to another place: they wait a moment inside and go on there.
//!
//! Only a guard that has refused is tried again: nothing of the request has run, and no result of it has been seen. The
//! registry decides: a tenant that it calls suspended is refused at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::master::moves;
use crate::db::tenant::TenantHome;
use crate::domain::tenant::TenantStatus;
use crate::platform::Platform;
use crate::telemetry::metrics::count_followed;
use crate::tenancy::resolve::ResolvedTenant;

/// The first wait; each is twice the one before, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(80);
/// Tries without a move in the registry: for a restore that takes the tenant's place, or a suspension that is being written.
const MOST_STILL: u32 = 4;
/// The part of a request's time that it may wait.
const SHARE: u32 = 3;

/// The attempts of one request.
pub(super) struct Following<'a> {
    platform: &'a Platform,
    tenant: &'a ResolvedTenant,
    /// Where it was tried last.
    home: Arc<TenantHome>,
    since: Option<Instant>,
    wait: Duration,
    still: u32,
}

impl<'a> Following<'a> {
    pub(super) fn new(platform: &'a Platform, tenant: &'a ResolvedTenant) -> Self {
        Self {
            platform,
            tenant,
            home: Arc::clone(&tenant.home),
            since: None,
            wait: FIRST_WAIT,
            still: 0,
        }
    }

    /// Where to try next; `None` when the refusal stands.
    pub(super) async fn next(&mut self) -> Option<Arc<TenantHome>> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.platform.settings.server.request_timeout / SHARE {
            return None;
        }
        if !self.look().await? {
            let moving = moves::is_moving(&self.platform.master, self.home.id);
            if !moving.await.ok()? {
                self.still += 1;
                if self.still > MOST_STILL {
                    return None;
                }
            }
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
            self.look().await?;
        }
        count_followed();
        Some(Arc::clone(&self.home))
    }

    /// Asks the registry; answers whether the tenant is somewhere else now, and nothing when it is not served.
    async fn look(&mut self) -> Option<bool> {
        let tenant = self.platform.resolver.find_fresh(&self.tenant.key).await.ok()?;
        // A key may have become another tenant's: credentials would not fit, but neither is it this one.
        if tenant.status != TenantStatus::Active || tenant.home.id != self.home.id {
            return None;
        }
        let elsewhere = tenant.home.lane != self.home.lane || tenant.home.role != self.home.role;
        self.home = Arc::clone(&tenant.home);
        Some(elsewhere)
    }
}

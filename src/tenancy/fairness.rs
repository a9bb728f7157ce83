//! How much of this process one tenant may use: a rate of requests with a burst, the same for every tenant.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::ids::TenantId;

/// Forgets idle tenants when it knows more than this many.
const KEPT: usize = 10_000;

/// Counts requests per tenant. Cheap to clone.
#[derive(Clone, Default)]
pub struct RequestRate(Option<Arc<DefaultKeyedRateLimiter<TenantId>>>);

impl RequestRate {
    /// `(requests per second, burst)`; `None` for no limit.
    pub fn new(quota: Option<(NonZeroU32, NonZeroU32)>) -> Self {
        let limiter =
            |(rate, burst)| Arc::new(RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)));
        Self(quota.map(limiter))
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The whole seconds to wait, when the tenant has used its share.
    pub fn count(&self, tenant: TenantId) -> Result<(), u32> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        if limiter.len() > KEPT {
            limiter.retain_recent();
        }
        limiter.check_key(&tenant).map_err(|until| {
            let wait = until
                .wait_time_from(DefaultClock::default().now())
                .as_secs_f64()
                .ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few seconds, never negative"
            )]
            let wait = wait as u32;
            wait.max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_in_a_loop_does_not_use_up_another_s_share() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let rate = RequestRate::new(NonZeroU32::new(1).zip(NonZeroU32::new(3)));
        let served = (0..100).filter(|_| rate.count(one).is_ok()).count();
        assert_eq!(served, 3);
        assert_eq!(rate.count(one), Err(1));
        assert_eq!(rate.count(two), Ok(()));
        assert!((0..100).all(|_| RequestRate::new(None).count(one).is_ok()));
    }
}

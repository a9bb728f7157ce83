//! How much of this process one tenant may use: a rate of requests with a burst, the same for every tenant.
//!
//! A request counts towards its tenant's share only when what it presents has proven good before: whether it is, only
//! the database knows, and a stranger who sends nonsense must not use up the share of those who work. All others count
//! for the address that they come from, at this tenant; so does the first request of a credential.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use lru::LruCache;

use crate::domain::ids::TenantId;
use crate::domain::token::TokenHash;

/// Forgets idle tenants and addresses when it knows more than this many.
const KEPT: usize = 10_000;
/// So many credentials are remembered as good.
const PROVEN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(49_999);

/// Counts requests. Cheap to clone.
#[derive(Clone, Default)]
pub struct RequestRate(Option<Arc<Counters>>);

struct Counters {
    tenants: DefaultKeyedRateLimiter<TenantId>,
    strangers: DefaultKeyedRateLimiter<(TenantId, IpAddr)>,
    proven: Mutex<LruCache<(TenantId, TokenHash), ()>>,
}

/// Who has used up a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hasty {
    /// `tenant_rate` or `address_rate`: for the metrics.
    pub who: &'static str,
    /// The whole seconds to wait.
    pub seconds: u32,
}

impl RequestRate {
    /// `(requests per second, burst)` of each tenant and of each address; `None` for no limit.
    pub fn new(quota: Option<(NonZeroU32, NonZeroU32)>) -> Self {
        Self(quota.map(|(rate, burst)| {
            let quota = Quota::per_second(rate).allow_burst(burst);
            Arc::new(Counters {
                tenants: RateLimiter::keyed(quota),
                strangers: RateLimiter::keyed(quota),
                proven: Mutex::new(LruCache::new(PROVEN)),
            })
        }))
    }

    /// Counts one request at a tenant, which presents this credential and comes from there.
    ///
    /// # Errors
    /// When the share is used up.
    pub fn count(
        &self,
        tenant: TenantId,
        presented: Option<TokenHash>,
        from: impl FnOnce() -> IpAddr,
    ) -> Result<(), Hasty> {
        let Some(counters) = &self.0 else { return Ok(()) };
        if presented.is_some_and(|presented| counters.is_proven(tenant, presented)) {
            check(&counters.tenants, &tenant, "tenant_rate")
        } else {
            check(&counters.strangers, &(tenant, from()), "address_rate")
        }
    }

    /// Notes that the database has found this credential good.
    pub fn proven(&self, tenant: TenantId, presented: TokenHash) {
        if let Some(counters) = &self.0 {
            counters.memory().put((tenant, presented), ());
        }
    }

    /// Notes that it is good no more.
    pub fn refused(&self, tenant: TenantId, presented: TokenHash) {
        if let Some(counters) = &self.0 {
            counters.memory().pop(&(tenant, presented));
        }
    }
}

impl Counters {
    fn memory(&self) -> std::sync::MutexGuard<'_, LruCache<(TenantId, TokenHash), ()>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_proven(&self, tenant: TenantId, presented: TokenHash) -> bool {
        self.memory().get(&(tenant, presented)).is_some()
    }
}

fn check<K: std::hash::Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
    who: &'static str,
) -> Result<(), Hasty> {
    if limiter.len() > KEPT {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|until| {
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
        Hasty {
            who,
            seconds: wait.max(1),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::token::{NewToken, TokenKind};

    fn rate() -> RequestRate {
        RequestRate::new(NonZeroU32::new(1).zip(NonZeroU32::new(3)))
    }

    fn address(host: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, host).into()
    }

    #[test]
    fn one_tenant_in_a_loop_does_not_use_up_another_s_share() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let token = NewToken::generate(TokenKind::ApiKey).hash;
        let rate = rate();
        rate.proven(one, token);
        rate.proven(two, token);
        let count = |tenant| rate.count(tenant, Some(token), || address(1));
        let served = (0..100).filter(|_| count(one).is_ok()).count();
        assert_eq!(served, 3);
        let hasty = Hasty {
            who: "tenant_rate",
            seconds: 1,
        };
        assert_eq!(count(one), Err(hasty));
        assert_eq!(count(two), Ok(()));
        let unlimited = RequestRate::new(None);
        assert!((0..100).all(|_| unlimited.count(one, None, || address(1)).is_ok()));
    }

    #[test]
    fn strangers_use_up_the_share_of_their_address_alone() {
        let tenant = TenantId::new();
        let (good, bad) = (
            NewToken::generate(TokenKind::Session).hash,
            NewToken::generate(TokenKind::Session).hash,
        );
        let rate = rate();
        rate.proven(tenant, good);
        for presented in [None, Some(bad)] {
            for host in [1, 2] {
                let from = if presented.is_some() { host } else { host + 10 };
                let served = (0..50).filter(|_| rate.count(tenant, presented, || address(from)).is_ok());
                assert_eq!(served.count(), 3);
            }
        }
        assert_eq!(rate.count(tenant, Some(good), || address(1)), Ok(()));
        rate.refused(tenant, good);
        let refused = rate.count(tenant, Some(good), || address(1));
        assert_eq!(refused.map_err(|hasty| hasty.who), Err("address_rate"));
    }
}

//! How much of this process one tenant may use: so many requests at once, and where it is set a rate of them with a burst. The
//! same for every tenant. Its share of connections is kept by the lanes, that of the registry's counters by metering.
//!
//! A request counts towards its tenant's share only when what it presents has proven good before: whether it is, only
//! the database knows, and a stranger who sends nonsense must not use up the share of those who work. All others count
//! for the address that they come from, at this tenant; so does the first request of a credential.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use lru::LruCache;

use crate::domain::ids::TenantId;
use crate::domain::token::TokenHash;
use crate::domain::turns::{Busy, Share, Shares};

/// Forgets idle tenants and addresses when it knows more than this many.
const KEPT: usize = 10_000;
/// So many credentials are remembered as good.
const PROVEN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(49_999);

/// Admits requests. Cheap to clone.
#[derive(Clone)]
pub struct Fairness {
    proven: Arc<Mutex<LruCache<(TenantId, TokenHash), ()>>>,
    rate: Option<Arc<DefaultKeyedRateLimiter<Who>>>,
    at_once: Shares<Who>,
}

/// Whose share a request is counted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Tenant(TenantId),
    Stranger(TenantId, IpAddr),
}

/// Why a request is not served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfair {
    /// More requests than the rate allows.
    Rate {
        /// `tenant_rate` or `address_rate`: for the metrics.
        who: &'static str,
        /// The whole seconds to wait.
        seconds: u32,
    },
    /// More requests at once than are served.
    AtOnce {
        /// `tenant_share` or `address_share`: for the metrics.
        who: &'static str,
    },
}

impl Fairness {
    /// `rate` is `(requests per second, burst)` of each tenant and of each address, `None` for no limit; of each `at_once` are
    /// served, and more of them wait for `wait` at most.
    pub fn new(rate: Option<(NonZeroU32, NonZeroU32)>, at_once: usize, wait: Duration) -> Self {
        let rate = rate.map(|(rate, burst)| {
            let quota = Quota::per_second(rate).allow_burst(burst);
            Arc::new(RateLimiter::keyed(quota))
        });
        Self {
            proven: Arc::new(Mutex::new(LruCache::new(PROVEN))),
            rate,
            at_once: Shares::new(at_once, wait),
        }
    }

    /// Admits one request at a tenant, which presents this credential and comes from there, until what it gets is dropped.
    ///
    /// # Errors
    /// When the share is used up.
    pub async fn admit(
        &self,
        tenant: TenantId,
        presented: Option<TokenHash>,
        from: impl FnOnce() -> IpAddr,
    ) -> Result<Share, Unfair> {
        let proven = presented.is_some_and(|presented| self.is_proven(tenant, presented));
        let who = if proven {
            Who::Tenant(tenant)
        } else {
            Who::Stranger(tenant, from())
        };
        if let Some(rate) = &self.rate {
            check(rate, who)?;
        }
        let share = self.at_once.share(who).await;
        share.map_err(|Busy| Unfair::AtOnce {
            who: who.word("tenant_share", "address_share"),
        })
    }

    /// Whether the database has found this credential good before.
    pub fn is_proven(&self, tenant: TenantId, presented: TokenHash) -> bool {
        self.memory().get(&(tenant, presented)).is_some()
    }

    /// Notes that the database has found this credential good.
    pub fn proven(&self, tenant: TenantId, presented: TokenHash) {
        self.memory().put((tenant, presented), ());
    }

    /// Notes that it is good no more.
    pub fn refused(&self, tenant: TenantId, presented: TokenHash) {
        self.memory().pop(&(tenant, presented));
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, LruCache<(TenantId, TokenHash), ()>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Who {
    const fn word(self, tenant: &'static str, stranger: &'static str) -> &'static str {
        match self {
            Self::Tenant(_) => tenant,
            Self::Stranger(..) => stranger,
        }
    }
}

fn check(limiter: &DefaultKeyedRateLimiter<Who>, who: Who) -> Result<(), Unfair> {
    if limiter.len() > KEPT {
        limiter.retain_recent();
    }
    limiter.check_key(&who).map_err(|until| {
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
        Unfair::Rate {
            who: who.word("tenant_rate", "address_rate"),
            seconds: wait.max(1),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::token::{NewToken, TokenKind};

    fn fairness(rate: Option<(u32, u32)>, at_once: usize) -> Fairness {
        let rate = rate.and_then(|(rate, burst)| NonZeroU32::new(rate).zip(NonZeroU32::new(burst)));
        Fairness::new(rate, at_once, Duration::from_millis(20))
    }

    fn address(host: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, host).into()
    }

    #[tokio::test]
    async fn one_tenant_in_a_loop_does_not_use_up_another_s_share() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let token = NewToken::generate(TokenKind::ApiKey).hash;
        let rate = fairness(Some((1, 3)), 10);
        rate.proven(one, token);
        rate.proven(two, token);
        let admit = async |tenant| rate.admit(tenant, Some(token), || address(1)).await.map(drop);
        let mut served = 0;
        for _ in 0..100 {
            served += u32::from(admit(one).await.is_ok());
        }
        assert_eq!(served, 3);
        let hasty = Unfair::Rate {
            who: "tenant_rate",
            seconds: 1,
        };
        assert_eq!(admit(one).await, Err(hasty));
        assert_eq!(admit(two).await, Ok(()));
        let unlimited = fairness(None, 10);
        for _ in 0..100 {
            assert!(unlimited.admit(one, None, || address(1)).await.is_ok());
        }
    }

    #[tokio::test]
    async fn strangers_use_up_the_share_of_their_address_alone() {
        let tenant = TenantId::new();
        let (good, bad) = (
            NewToken::generate(TokenKind::Session).hash,
            NewToken::generate(TokenKind::Session).hash,
        );
        let rate = fairness(Some((1, 3)), 10);
        rate.proven(tenant, good);
        let admit = async |presented, host| rate.admit(tenant, presented, || address(host)).await.map(drop);
        for presented in [None, Some(bad)] {
            for host in [1, 2] {
                let from = if presented.is_some() { host } else { host + 10 };
                let mut served = 0;
                for _ in 0..50 {
                    served += u32::from(admit(presented, from).await.is_ok());
                }
                assert_eq!(served, 3);
            }
        }
        assert_eq!(admit(Some(good), 1).await, Ok(()));
        rate.refused(tenant, good);
        let refused = Unfair::Rate {
            who: "address_rate",
            seconds: 1,
        };
        assert_eq!(admit(Some(good), 1).await, Err(refused));
    }

    #[tokio::test]
    async fn what_is_under_way_is_counted_until_it_ends() {
        let (one, two) = (TenantId::new(), TenantId::new());
        let token = NewToken::generate(TokenKind::ApiKey).hash;
        let fairness = fairness(None, 2);
        fairness.proven(one, token);
        let admit = |tenant, presented| fairness.admit(tenant, presented, || address(1));
        let first = admit(one, Some(token)).await.unwrap();
        let _second = admit(one, Some(token)).await.unwrap();
        let refused = Unfair::AtOnce { who: "tenant_share" };
        assert_eq!(admit(one, Some(token)).await.unwrap_err(), refused);
        // Neither another tenant nor a stranger at this one is kept waiting.
        assert!(admit(two, None).await.is_ok());
        assert!(admit(one, None).await.is_ok());
        drop(first);
        assert!(admit(one, Some(token)).await.is_ok());
    }
}

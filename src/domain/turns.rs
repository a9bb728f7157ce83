//! Whose turn it is: nobody takes more than a share of what this process has, and of some things there is only so much.
//!
//! [`Shares`] bounds what each one does at once; [`Guarded`] also what strangers do of it; [`Turns`] also what all of them do.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ids::TenantId;

/// So much at once for each key. Those who are idle take no memory. Cheap to clone.
#[derive(Clone)]
pub struct Shares<K> {
    each: usize,
    wait: Duration,
    keys: Arc<Mutex<HashMap<K, Weak<Semaphore>>>>,
}

/// A part of a share, until it is dropped.
#[derive(Debug)]
pub struct Share {
    _permit: OwnedSemaphorePermit,
}

/// It did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl<K: Hash + Eq> Shares<K> {
    /// `each` at once; who waits longer than `wait` is sent away.
    pub fn new(each: usize, wait: Duration) -> Self {
        Self {
            each: each.max(1),
            wait,
            keys: Arc::default(),
        }
    }

    /// The same shares for somebody who waits for so long.
    #[must_use]
    pub fn waiting(&self, wait: Duration) -> Self {
        Self {
            each: self.each,
            wait,
            keys: Arc::clone(&self.keys),
        }
    }

    /// Waits for a part of the share; whoever came first is served first.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn share(&self, key: K) -> Result<Share, Busy> {
        let own = self.of(key);
        let permit = match Arc::clone(&own).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(self.wait, own.acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(Busy)?,
        };
        Ok(Share { _permit: permit })
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        // Now and then, before the map would grow: those who are idle go.
        if keys.len() == keys.capacity() {
            keys.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(self.each));
        keys.insert(key, Arc::downgrade(&own));
        own
    }
}

/// So much at once for each key, of which those who are not known leave a part to those who are. Where there is but one part,
/// they take turns. Cheap to clone.
#[derive(Clone)]
pub struct Guarded<K> {
    all: Shares<K>,
    of_strangers: Shares<K>,
}

/// A part of a guarded share, until it is dropped.
#[derive(Debug)]
pub struct GuardedShare {
    _of_all: Share,
    _of_strangers: Option<Share>,
}

impl<K: Hash + Eq + Copy> Guarded<K> {
    /// `each` at once, one less for strangers; who waits longer than `wait` is sent away.
    pub fn new(each: usize, wait: Duration) -> Self {
        Self {
            all: Shares::new(each, wait),
            of_strangers: Shares::new(each.saturating_sub(1), wait),
        }
    }

    /// The same shares for somebody who waits for so long.
    #[must_use]
    pub fn waiting(&self, wait: Duration) -> Self {
        Self {
            all: self.all.waiting(wait),
            of_strangers: self.of_strangers.waiting(wait),
        }
    }

    /// Waits for a part of the share. Strangers wait for one another first: nobody who is known stands behind more of them
    /// than there are parts.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn share(&self, key: K, is_known: bool) -> Result<GuardedShare, Busy> {
        let both = async {
            let of_strangers = match is_known {
                true => None,
                false => Some(self.of_strangers.share(key).await?),
            };
            Ok(GuardedShare {
                _of_all: self.all.share(key).await?,
                _of_strangers: of_strangers,
            })
        };
        tokio::time::timeout(self.all.wait, both)
            .await
            .unwrap_or(Err(Busy))
    }
}

/// Hands out turns. Cheap to clone.
#[derive(Clone)]
pub struct Turns {
    all: Arc<Semaphore>,
    tenants: Shares<TenantId>,
}

/// The right to work until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: Share,
}

impl Turns {
    /// `all` at once, `per_tenant` of them for one tenant; who waits longer than `wait` is sent away.
    pub fn new(all: usize, per_tenant: usize, wait: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.max(1))),
            tenants: Shares::new(per_tenant, wait),
        }
    }

    /// Waits for a turn. First for the tenant's own, so that whoever queues for everybody's is of different tenants.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn turn(&self, tenant: TenantId) -> Result<Turn, Busy> {
        let both = async {
            let of_tenant = self.tenants.share(tenant).await?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.map_err(|_| Busy)?;
            Ok(Turn {
                _of_all: of_all,
                _of_tenant: of_tenant,
            })
        };
        tokio::time::timeout(self.tenants.wait, both)
            .await
            .unwrap_or(Err(Busy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tenant_leaves_room_for_another() {
        let turns = Turns::new(2, 1, Duration::from_millis(20));
        let (one, two, three) = (TenantId::new(), TenantId::new(), TenantId::new());
        let first = turns.turn(one).await.unwrap();
        assert_eq!(turns.turn(one).await.unwrap_err(), Busy);
        let second = turns.turn(two).await.unwrap();
        assert_eq!(turns.turn(three).await.unwrap_err(), Busy);
        drop(first);
        let third = turns.turn(three).await.unwrap();
        drop((second, third));
        assert!(turns.turn(one).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_is_served_when_a_turn_ends() {
        let turns = Turns::new(1, 1, Duration::from_secs(60));
        let tenant = TenantId::new();
        let first = turns.turn(tenant).await.unwrap();
        let mut waiting = std::pin::pin!(turns.turn(tenant));
        let soon = tokio::time::timeout(Duration::from_millis(20), waiting.as_mut());
        assert!(soon.await.is_err());
        drop(first);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_longer_waits_for_the_same() {
        let hasty = Shares::new(1, Duration::from_millis(1));
        let patient = hasty.waiting(Duration::from_secs(60));
        let first = patient.share(1).await.unwrap();
        assert_eq!(hasty.share(1).await.unwrap_err(), Busy);
        let mut waiting = std::pin::pin!(patient.share(1));
        let soon = tokio::time::timeout(Duration::from_millis(20), waiting.as_mut());
        assert!(soon.await.is_err());
        drop(first);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn strangers_leave_a_part_to_those_who_are_known() {
        let shares = Guarded::new(3, Duration::from_millis(20));
        let strangers = [
            shares.share(1, false).await.unwrap(),
            shares.share(1, false).await.unwrap(),
        ];
        assert_eq!(shares.share(1, false).await.unwrap_err(), Busy);
        let known = shares.share(1, true).await.unwrap();
        assert_eq!(shares.share(1, true).await.unwrap_err(), Busy);
        assert!(shares.share(2, false).await.is_ok());
        drop(strangers);
        let more = [
            shares.share(1, true).await.unwrap(),
            shares.share(1, true).await.unwrap(),
        ];
        assert_eq!(shares.share(1, false).await.unwrap_err(), Busy);
        drop((known, more));
        assert!(shares.share(1, false).await.is_ok());
        // Of a single part nothing can be left; it is for both.
        let single = Guarded::new(1, Duration::from_millis(20));
        let stranger = single.share(1, false).await.unwrap();
        assert_eq!(single.share(1, true).await.unwrap_err(), Busy);
        drop(stranger);
        assert!(single.share(1, true).await.is_ok());
    }

    #[tokio::test]
    async fn the_idle_are_forgotten() {
        let shares = Shares::new(1, Duration::from_millis(20));
        let kept = shares.share(0).await.unwrap();
        for key in 1..10_000 {
            drop(shares.share(key).await.unwrap());
        }
        assert!(shares.keys.lock().unwrap().capacity() < 100);
        assert_eq!(shares.share(0).await.unwrap_err(), Busy);
        drop(kept);
        assert!(shares.share(0).await.is_ok());
    }
}

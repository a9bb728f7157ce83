//! Whose turn it is: so much work at once in this process, and no tenant takes all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ids::TenantId;

/// Hands out turns. Cheap to clone.
#[derive(Clone)]
pub struct Turns {
    all: Arc<Semaphore>,
    per_tenant: usize,
    wait: Duration,
    tenants: Arc<Mutex<HashMap<TenantId, Weak<Semaphore>>>>,
}

/// The right to work until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: OwnedSemaphorePermit,
}

/// It did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl Turns {
    /// `all` at once, `per_tenant` of them for one tenant; who waits longer than `wait` is sent away.
    pub fn new(all: usize, per_tenant: usize, wait: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.max(1))),
            per_tenant: per_tenant.max(1),
            wait,
            tenants: Arc::default(),
        }
    }

    /// Waits for a turn. First for the tenant's own, so that whoever queues for everybody's is of different tenants.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn turn(&self, tenant: TenantId) -> Result<Turn, Busy> {
        let own = self.of(tenant);
        let both = async {
            let of_tenant = own.acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some((of_tenant, of_all))
        };
        match tokio::time::timeout(self.wait, both).await {
            Ok(Some((of_tenant, of_all))) => Ok(Turn {
                _of_all: of_all,
                _of_tenant: of_tenant,
            }),
            Ok(None) | Err(_) => Err(Busy),
        }
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(&tenant).and_then(Weak::upgrade) {
            return known;
        }
        // A new one is rare enough to look at all of them.
        tenants.retain(|_, semaphore| semaphore.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.per_tenant));
        tenants.insert(tenant, Arc::downgrade(&own));
        own
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
        assert!(turns.tenants.lock().unwrap().len() <= 3);
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
}

//! The tenants of those who call, remembered for a moment: a heap of news does not ask the registry once for each.
//!
//! What is remembered is never believed against the database: a tenant that has moved or is put away refuses there, is forgotten here,
//! and whoever called comes again.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::Channels;
use super::standing::Standing;
use crate::db::DbError;
use crate::db::tenant::TenantDb;
use crate::domain::ids::TenantId;

/// For how long a tenant is remembered.
const REMEMBERED: Duration = Duration::from_secs(15);
/// Tenants that are remembered.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// A tenant that is called.
pub(super) struct Served {
    /// Its database.
    pub(super) db: TenantDb,
    /// What its subscription allows.
    pub(super) standing: Standing,
    since: Instant,
}

/// Tenants that were called lately. Cheap to clone.
#[derive(Clone)]
pub struct Called(Arc<Mutex<LruCache<TenantId, Arc<Served>>>>);

impl Default for Called {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(MOST))))
    }
}

impl Called {
    fn find(&self, tenant: TenantId) -> Option<Arc<Served>> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let served = map.get(&tenant)?;
        (served.since.elapsed() < REMEMBERED).then(|| Arc::clone(served))
    }

    /// The next one who calls for it asks the registry.
    pub fn forget(&self, tenant: TenantId) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.pop(&tenant);
    }
}

impl Channels {
    /// A tenant that somebody calls for; `None` when it is not served.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(super) async fn served(&self, tenant: TenantId) -> Result<Option<Arc<Served>>, DbError> {
        if let Some(served) = self.called.find(tenant) {
            return Ok(Some(served));
        }
        let Some(db) = self.db(tenant).await? else {
            return Ok(None);
        };
        let served = Arc::new(Served {
            db,
            standing: Standing::new(tenant),
            since: Instant::now(),
        });
        let mut map = self.called.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.put(tenant, Arc::clone(&served));
        Ok(Some(served))
    }
}

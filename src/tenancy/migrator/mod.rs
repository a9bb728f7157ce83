//! Brings every tenant's schema to the template of this program: chosen ones first, then the others, some at a time.
//!
//! What is to be done is one question to the registry's mirror of the ledgers; what was done, a schema's own history says,
//! in the transaction that did it. Killed anywhere, a run is repeated: it finds what is left. [`work`] does one tenant,
//! [`waves`] all of them, [`status`] tells how far they are.

mod status;
mod waves;
mod work;

use std::num::NonZeroUsize;
use std::time::Duration;

pub use status::{Failed, Status, VersionShare};
pub use waves::{Outcome, Trouble};

use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::ledger;
use crate::db::master::tenants::find_record;
use crate::db::shard::template::Template;
use crate::domain::clock::Clock;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::keeper::OnProgress;
use crate::tenancy::lifecycle::Origin;

/// Migrates tenants.
pub struct Migrator {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Tells the time.
    pub clock: Clock,
    /// What the schemas are brought to.
    pub template: &'static Template,
    /// How it deals with who is in the way.
    pub patience: Patience,
}

/// How often something that passes is tried, and how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a table that somebody uses. Requests that come later wait behind the migration: less than the second after
    /// which the server looks for deadlocks, so that the migration gives way, never a request.
    pub lock: Duration,
    /// How often those that were in use are tried again.
    pub rounds: u32,
    /// Before the first of these rounds; twice as long before the next, up to sixteen times.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock: Duration::from_millis(500),
            rounds: 6,
            pause: Duration::from_millis(500),
        }
    }
}

/// In which order, and when to stop.
#[derive(Debug, Clone)]
pub struct Order {
    /// Migrated first; the others only when all of these are done.
    pub canaries: Vec<TenantKey>,
    /// How many tenants at a time.
    pub jobs: NonZeroUsize,
    /// When more than this many have failed, no other is begun.
    pub max_failures: usize,
    /// Looks at every schema, whatever the registry says of it.
    pub all: bool,
}

/// Why nothing is migrated, or why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no such tenant.
    #[error("there is no tenant {0}")]
    Unknown(TenantKey),
    /// The registry failed; a repeated run goes on.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Migrator {
    /// Migrates the tenants that are behind.
    ///
    /// # Errors
    /// See [`MigrateError`]. What goes wrong with single tenants is in the [`Outcome`].
    pub async fn run(
        &self,
        order: &Order,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Outcome, MigrateError> {
        let pending = ledger::list_pending(&self.master, &self.template.newest(), order.all).await?;
        self.check_canaries(order, &pending).await?;
        let parts = pending
            .into_iter()
            .partition(|tenant| order.canaries.iter().any(|key| key.as_str() == tenant.key));
        Ok(self.waves(parts, order, origin, progress).await?)
    }

    /// A canary that is up to date is none to be migrated, one that does not exist is a mistake.
    async fn check_canaries(&self, order: &Order, pending: &[ledger::Pending]) -> Result<(), MigrateError> {
        for key in &order.canaries {
            let is_pending = pending.iter().any(|tenant| tenant.key == key.as_str());
            if !is_pending && find_record(&self.master, key).await?.is_none() {
                return Err(MigrateError::Unknown(key.clone()));
            }
        }
        Ok(())
    }
}

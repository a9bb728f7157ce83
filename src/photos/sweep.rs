//! Removes files that no row names: of uploads and removals that a crash has interrupted.
//!
//! A file is older than any request could still be before it is looked at, and it goes only when its tenant's own
//! schema, asked as that tenant, says that it has no such photo. A folder of nobody, or of a tenant that cannot be
//! asked or is being restored, whose files come before its rows, is left alone.

use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Photos;
use crate::db::DbError;
use crate::db::master::{MasterDb, restores, tenants};
use crate::db::tenant::photos::PhotosOf;
use crate::db::tenant::{Access, Lanes, TenantDb};
use crate::domain::clock::Clock;
use crate::domain::ids::{PhotoId, TenantId};

/// Far longer than a request takes from its file to its row.
const OLD: Duration = Duration::from_secs(3600);
/// How many photos are asked for at once.
const ASKED: usize = 1000;

/// Looks through the files of all tenants.
#[derive(Clone)]
pub struct Sweeper {
    /// Where the files are.
    pub photos: Photos,
    /// The registry.
    pub master: MasterDb,
    /// The tenants' schemas.
    pub lanes: Lanes,
    /// The time.
    pub clock: Clock,
}

/// Why a tenant's files could not be swept.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store cannot be used.
    #[error("the store of photos cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// The database cannot be asked.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Sweeper {
    /// Removes the old files without a row of all tenants; returns of how many photos.
    ///
    /// # Errors
    /// When the store cannot be listed. A tenant that cannot be swept is left for the next time.
    pub async fn sweep(&self) -> Result<usize, SweepError> {
        let mut removed = 0;
        for tenant in self.photos.store.tenants().await? {
            match self.sweep_tenant(tenant).await {
                Ok(photos) => removed += photos,
                Err(error) => {
                    tracing::warn!(tenant_id = %tenant, %error, "the photos of tenant {tenant} are swept another time");
                }
            }
        }
        Ok(removed)
    }

    async fn sweep_tenant(&self, tenant: TenantId) -> Result<usize, SweepError> {
        let before = SystemTime::from(self.clock.now()) - OLD;
        let listed = self.photos.store.list(tenant).await?;
        let old = listed.iter().filter(|stored| stored.modified < before);
        let old: Vec<PhotoId> = old.map(|stored| stored.photo).collect();
        if old.is_empty() {
            return Ok(0);
        }
        let Some(found) = tenants::find_active_by_id(&self.master, tenant).await? else {
            return Ok(0);
        };
        let Some(of) = PhotosOf::niche(found.niche.as_str()) else {
            return Ok(0);
        };
        let db = TenantDb::new(self.lanes.clone(), found.home);
        let mut removed = 0;
        for some in old.chunks(ASKED) {
            let access = Access::system(self.clock.now());
            // As long as the transaction lasts no restore comes to its end: what is unknown stays so.
            let (tx, unknown) = db.begin(&access, of.unknown(some)).await?;
            let left_alone = !unknown.output.is_empty() && self.is_being_restored(tenant).await?;
            if !left_alone {
                for photo in &unknown.output {
                    self.photos.store.remove(tenant, *photo).await?;
                }
                removed += unknown.output.len();
            }
            tx.rollback().await?;
            if left_alone {
                break;
            }
        }
        if removed > 0 {
            tracing::info!(tenant_id = %tenant, "the files of {removed} photos without a row were removed");
        }
        Ok(removed)
    }

    async fn is_being_restored(&self, tenant: TenantId) -> Result<bool, DbError> {
        let mut tx = self.master.begin().await?;
        restores::is_being_restored(&mut tx, tenant).await
    }
}

/// Sweeps at start and then every `every`, until `stop`.
pub fn spawn(sweeper: Sweeper, every: Duration, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = sweeper.sweep().await {
                tracing::warn!(%error, "photos cannot be swept");
            }
        }
    })
}

//! Removes files that no row names, of photos and of messages: of uploads and removals that a crash has interrupted.
//!
//! A file is older than any request could still be before it is looked at, and it goes only when its tenant's own
//! schema, asked as that tenant, says that it has no such photo or message. A folder of nobody, or of a tenant that cannot be
//! asked or is being restored, whose files come before its rows, is left alone.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Photos;
use crate::db::DbError;
use crate::db::master::{MasterDb, restores, tenants};
use crate::db::tenant::photos::PhotosOf;
use crate::db::tenant::{Access, Lanes, Query, TenantDb, message_files};
use crate::domain::clock::Clock;
use crate::domain::ids::{MessageId, PhotoId, TenantId};
use crate::storage::{Stored, TenantFile};

/// Far longer than a request takes from its file to its row.
const OLD: Duration = Duration::from_secs(3600);
/// How many photos or messages are asked for at once.
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
    #[error("the store of files cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// The database cannot be asked.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Sweeper {
    /// Removes the old files without a row of all tenants; returns of how many photos and messages.
    ///
    /// # Errors
    /// When the store cannot be listed. A tenant that cannot be swept is left for the next time.
    pub async fn sweep(&self) -> Result<usize, SweepError> {
        let mut removed = 0;
        for tenant in self.photos.store.tenants().await? {
            match self.sweep_tenant(tenant).await {
                Ok(photos) => removed += photos,
                Err(error) => {
                    tracing::warn!(tenant_id = %tenant, %error, "the files of tenant {tenant} are swept another time");
                }
            }
        }
        Ok(removed)
    }

    async fn sweep_tenant(&self, tenant: TenantId) -> Result<usize, SweepError> {
        let before = SystemTime::from(self.clock.now()) - OLD;
        let (photos, messages) = sort(&self.photos.store.list(tenant).await?, before);
        if photos.is_empty() && messages.is_empty() {
            return Ok(0);
        }
        let Some(found) = tenants::find_active_by_id(&self.master, tenant).await? else {
            return Ok(0);
        };
        let db = TenantDb::new(self.lanes.clone(), found.home);
        let mut removed = 0;
        if let Some(of) = PhotosOf::niche(found.niche.as_str()) {
            for some in photos.chunks(ASKED) {
                let unknown = of.unknown(some);
                removed += self
                    .remove_unknown(&db, tenant, unknown, TenantFile::of_photo)
                    .await?;
            }
        }
        for some in messages.chunks(ASKED) {
            let unknown = message_files::unknown(some);
            let file = |message| [TenantFile::Message(message)];
            removed += self.remove_unknown(&db, tenant, unknown, file).await?;
        }
        if removed > 0 {
            tracing::info!(tenant_id = %tenant, "the files of {removed} photos and messages without a row were removed");
        }
        Ok(removed)
    }

    /// Removes the files of what a tenant's schema does not know; of how many.
    async fn remove_unknown<T: Copy + Send + Sync + 'static, const N: usize>(
        &self,
        db: &TenantDb,
        tenant: TenantId,
        unknown: Query<Vec<T>>,
        files: impl Fn(T) -> [TenantFile; N] + Send + Sync,
    ) -> Result<usize, SweepError> {
        let access = Access::system(self.clock.now());
        // As long as the transaction lasts no restore comes to its end: what is unknown stays so.
        let (tx, unknown) = db.begin(&access, unknown).await?;
        let left_alone = unknown.output.is_empty() || self.is_being_restored(tenant).await?;
        if !left_alone {
            for file in unknown.output.iter().flat_map(|one| files(*one)) {
                self.photos.store.remove(tenant, file).await?;
            }
        }
        tx.rollback().await?;
        Ok(if left_alone { 0 } else { unknown.output.len() })
    }

    async fn is_being_restored(&self, tenant: TenantId) -> Result<bool, DbError> {
        let mut tx = self.master.begin().await?;
        restores::is_being_restored(&mut tx, tenant).await
    }
}

/// The photos and messages of which no file was written since.
fn sort(stored: &[Stored], before: SystemTime) -> (Vec<PhotoId>, Vec<MessageId>) {
    let (mut photos, mut messages): (BTreeMap<PhotoId, SystemTime>, _) = (BTreeMap::new(), Vec::new());
    for Stored { file, modified } in stored {
        match file {
            TenantFile::Photo(photo, _) => {
                let newest = photos.entry(*photo).or_insert(*modified);
                *newest = (*newest).max(*modified);
            }
            TenantFile::Message(message) if *modified < before => messages.push(*message),
            TenantFile::Message(_) => {}
        }
    }
    photos.retain(|_, newest| *newest < before);
    (photos.into_keys().collect(), messages)
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
                tracing::warn!(%error, "files cannot be swept");
            }
        }
    })
}

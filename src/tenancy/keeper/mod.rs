//! What keeps a tenant's data: snapshots ([`backup`]), restores ([`restore`]), tenants that are put away ([`archive`]) and
//! brought back ([`bring_back`]), the end ([`purge`]); and another key ([`rename`]).
//!
//! A deletion is an archive with a date. Both are decided in one transaction of the registry, which stops the tenant; what
//! follows is carried out by whoever decided it, and by the reconciler when they are gone.
//!
//! A restore is one transaction on the shard, noted in the registry before and after. Whoever finds it unfinished asks the
//! shard whether that transaction was committed ([`settle`]): then the registry is brought to it, else the note is taken
//! back. So it may be killed anywhere, and be repeated.

mod archive;
mod archive_folder;
mod backup;
mod bring_back;
mod clone;
mod export;
mod files;
mod fill;
mod mask;
mod purge;
mod rehearse;
mod rename;
mod restore;
mod settle;
mod target;
mod verify;
mod writing;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Duration;
use tokio::sync::Semaphore;

pub use archive::{AT_ONCE, Decided, Fate};
pub use archive_folder::ArchiveFolder;
pub use backup::{BackedUp, Target};
pub use clone::{Cloned, MaskedLogin};
pub use export::Exported;
pub use purge::{Purge, Purged};
pub use rehearse::Rehearsed;
pub use restore::{RestoreRequest, Restored};
pub use settle::Settled;

use super::provision::{OnboardError, Provisioner};
use super::shards::Shards;
use super::snapshot::SnapshotError;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::domain::clock::Clock;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::TenantStatus;
use crate::storage::{DeviceFolder, Store};

/// Told of every step: what is being done, how much of it is done, and how much there is.
pub type OnProgress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Backs up, restores and deletes tenants. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Finds places for restored tenants.
    pub provisioner: Provisioner,
    /// Seals snapshots.
    pub platform_key: PlatformKey,
    /// Where tenants' files are.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Clock,
    /// Where each tenant has a log file; `None` for nowhere.
    pub tenant_logs: Option<PathBuf>,
    /// Where copies of linked devices are.
    pub devices: DeviceFolder,
    /// Where the snapshots of archived tenants are.
    pub archives: ArchiveFolder,
    /// How long a deleted tenant can be brought back.
    pub delete_grace: Duration,
    /// How long a former key leads to its tenant.
    pub rename_grace: Duration,
    /// Who may put away or bring back a tenant just now.
    pub at_once: Arc<Semaphore>,
}

/// Why an operation did not come to its end. Nothing is half-done then, or it is finished later.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// The tenant is in a state in which this cannot be done.
    #[error("a tenant that is {0} cannot be worked on like this")]
    WrongState(TenantStatus),
    /// Another operation on the tenant is at work.
    #[error("another operation on the tenant is at work: try again in a moment")]
    Busy,
    /// Another tenant has, or had, the key that is to be this one's.
    #[error("another client has or had this key: choose another")]
    NewKeyTaken,
    /// The key belongs to another tenant, or is kept for one.
    #[error("the key belongs to another tenant than the snapshot's: restore it under a key that is free")]
    KeyTaken,
    /// The tenant of the snapshot has another key now.
    #[error("the snapshot's tenant is {0} now: name that key to restore over it, or a free one for a copy")]
    Renamed(String),
    /// All lanes of all shards are full.
    #[error("no shard has room")]
    NoRoom,
    /// The snapshot is whole, but does not fit this program's template.
    #[error("the snapshot does not fit: {0}")]
    Misfit(String),
    /// The tenant's own files cannot be read or written.
    #[error("the tenant's files cannot be used: {0}")]
    Files(std::io::Error),
    /// The file cannot be used or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A database failed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for KeeperError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(_) => Self::Busy,
            other => Self::Db(other),
        }
    }
}

impl From<OnboardError> for KeeperError {
    fn from(error: OnboardError) -> Self {
        match error {
            OnboardError::NoRoom => Self::NoRoom,
            OnboardError::Db(error) => error.into(),
            // A place is asked for without an idempotency key and without a plan.
            OnboardError::KeyTaken
            | OnboardError::UnknownPlan
            | OnboardError::KeyReused
            | OnboardError::InProgress => Self::KeyTaken,
        }
    }
}

impl Keeper {
    /// Finishes what a crash interrupted, and removes deleted tenants whose time is up; answers how many. One that fails is
    /// left for the next round.
    ///
    /// # Errors
    /// When the registry cannot be searched.
    pub async fn finish_expired(&self) -> Result<usize, DbError> {
        let settled = self.settle_expired().await?;
        let archives = self.archive_expired().await? + self.bring_back_expired().await?;
        self.sweep_archives().await?;
        self.purge_due().await?;
        Ok(settled + archives + self.purge_expired().await?)
    }
}

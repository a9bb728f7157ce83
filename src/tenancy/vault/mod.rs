//! Backups by the clock: each tenant has its turn, whose worker writes a snapshot, proves it, notes it, and lets go of
//! older ones.
//!
//! A turn is taken with a lease that its worker renews, so several processes share the work and none waits for a dead one. The
//! order makes it safe to kill anywhere: the file, its proof, then one transaction that notes it, forgets what is not kept and
//! ends the turn, then the files that were forgotten. What lies in a tenant's folder and is named by no row is removed by
//! its next turn; of a tenant that is gone, by [`Vault::forget_the_gone`].

mod background;
mod files;
mod tell;
mod turn;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use background::spawn;

use super::keeper::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::backups::{self, BackupRecord};
use crate::domain::ids::TenantId;
use crate::domain::retention::Schedule;

/// Makes backups when they are due. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    /// Makes and proves snapshots.
    pub keeper: Keeper,
    /// When, where to and in which form.
    pub schedule: Schedule,
}

/// What one round has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Round {
    /// Snapshots written.
    pub written: usize,
    /// Of these, how many were restored into a scratch schema and found good.
    pub verified: usize,
    /// Turns that came to no snapshot, or to one that is not to be trusted.
    pub failed: usize,
}

/// Why a tenant's turn has come to nothing.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    /// Another worker has taken the turn meanwhile.
    #[error("another process has taken over")]
    Lost,
    /// The folder of backups cannot be used.
    #[error("the folder of backups cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// There is no snapshot.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The registry cannot be used.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Vault {
    /// Makes backups of the tenants of this keeper.
    pub fn new(keeper: Keeper, schedule: Schedule) -> Self {
        Self { keeper, schedule }
    }

    /// Where a snapshot is.
    pub fn path(&self, backup: &BackupRecord) -> Option<PathBuf> {
        let file = backup.file.as_ref()?;
        Some(files::folder_of(&self.schedule.folder, backup.tenant).join(&file.name))
    }

    /// Backs up every tenant that is due, or every tenant at all, a few at a time, until none is left or `stop`.
    ///
    /// # Errors
    /// When the registry cannot be used. A tenant that fails is noted, and comes again later.
    pub async fn run(&self, all: bool, stop: &CancellationToken) -> Result<Round, DbError> {
        let now = self.keeper.clock.now();
        backups::enrol(&self.keeper.master, self.schedule.every.num_seconds(), now).await?;
        // Nobody is due later than one period from now.
        let due_before = if all { now + self.schedule.every } else { now };
        let served = Mutex::default();
        let workers = (0..self.schedule.jobs).map(|_| self.work((due_before, now), &served, stop));
        let mut round = Round::default();
        for done in join_all(workers).await {
            let done = done?;
            round.written += done.written;
            round.verified += done.verified;
            round.failed += done.failed;
        }
        Ok(round)
    }

    /// Takes one turn after the other, and no tenant's twice in a round, whichever process was first.
    async fn work(
        &self,
        (due_before, began): (DateTime<Utc>, DateTime<Utc>),
        served: &Mutex<Vec<Uuid>>,
        stop: &CancellationToken,
    ) -> Result<Round, DbError> {
        let mut round = Round::default();
        while !stop.is_cancelled() {
            let now = self.keeper.clock.now();
            let without = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (worker, until) = (Uuid::now_v7(), now + turn::LEASE);
            let claimed = backups::claim(
                &self.keeper.master,
                worker,
                due_before,
                (&without, began),
                until,
                now,
            )
            .await?;
            let Some(turn) = claimed else { break };
            crate::kill_point!("vault.claimed");
            self.serve(&turn, &mut round, stop).await?;
            let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
            served.push(turn.tenant.as_uuid());
        }
        Ok(round)
    }

    /// Lets go of the snapshots of tenants that are gone, as they become too old. Answers how many.
    ///
    /// # Errors
    /// When the registry cannot be used.
    pub async fn forget_the_gone(&self) -> Result<usize, DbError> {
        let mut of_each: HashMap<TenantId, Vec<BackupRecord>> = HashMap::new();
        for backup in backups::list_of_nobody(&self.keeper.master).await? {
            of_each.entry(backup.tenant).or_default().push(backup);
        }
        let mut forgotten = 0;
        for (tenant, known) in of_each {
            let dropped = self.not_kept(&known, false, self.keeper.clock.now());
            if dropped.is_empty() {
                continue;
            }
            let ids: Vec<Uuid> = dropped.iter().map(|backup| backup.id).collect();
            let mut tx = self.keeper.master.begin().await?;
            backups::delete_backups(&mut tx, tenant, &ids).await?;
            tx.commit().await?;
            forgotten += dropped.len();
            self.remove_files(tenant, &dropped).await;
        }
        self.remove_what_is_left().await?;
        Ok(forgotten)
    }

    /// Removes the files of tenants that this registry knows to be gone when no row speaks of any of their snapshots: a worker
    /// was killed, or was at work when its tenant went. A folder of which it knows nothing may be another platform's, or
    /// older than this registry: it is all that is left of somebody.
    async fn remove_what_is_left(&self) -> Result<(), DbError> {
        let (master, root) = (&self.keeper.master, &self.schedule.folder);
        let found = files::tenants(root.clone()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder of backups cannot be looked through");
            Vec::new()
        });
        for tenant in backups::list_gone(master, &found).await? {
            let folder = files::folder_of(root, tenant);
            let removed = async {
                let names = files::list(folder.clone()).await?;
                // Asked again: what a tenant that has come back meanwhile makes is not among these.
                if backups::list_gone(master, &[tenant]).await?.is_empty() {
                    return Ok::<_, TurnError>(());
                }
                Ok(files::remove(folder, names).await?)
            };
            if let Err(error) = removed.await {
                tracing::warn!(tenant_id = %tenant, %error, "what is left of the snapshots of tenant {tenant} cannot be removed");
            }
        }
        Ok(())
    }

    /// Those of a tenant's snapshots, newest first, that retention lets go; bad ones go when there is a newer good one.
    fn not_kept(&self, known: &[BackupRecord], lives: bool, now: DateTime<Utc>) -> Vec<BackupRecord> {
        let good = |backup: &&BackupRecord| backup.error.is_none();
        let newest = known.iter().find(good).map(|backup| backup.taken_at);
        let taken: Vec<_> = known.iter().filter(good).map(|backup| backup.taken_at).collect();
        let mut kept = self.schedule.keep.kept(&taken, lives, now).into_iter();
        let mut not_kept = Vec::new();
        for backup in known {
            let stays = match backup.error {
                None => kept.next().unwrap_or(true),
                Some(_) => newest.is_none_or(|newest| newest < backup.taken_at) && lives,
            };
            if !stays {
                not_kept.push(backup.clone());
            }
        }
        not_kept
    }

    async fn remove_files(&self, tenant: TenantId, dropped: &[BackupRecord]) {
        let names = dropped
            .iter()
            .filter_map(|backup| Some(backup.file.as_ref()?.name.clone()));
        let folder = files::folder_of(&self.schedule.folder, tenant);
        if let Err(error) = files::remove(folder, names.collect()).await {
            // The tenant's next turn finds them.
            tracing::warn!(tenant_id = %tenant, %error, "old snapshots of tenant {tenant} cannot be removed");
        }
    }
}

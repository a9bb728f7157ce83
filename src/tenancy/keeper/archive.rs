//! Putting a tenant away: decided in the registry, which stops it; then a snapshot that is read back to its end and noted,
//! and only then the schema goes, a few tables at a time, and the place on the lane is given back.
//!
//! Every step may be repeated. One worker is at it at a time, for as long as its connection to the shard lives. Once the
//! snapshot is noted none is made again: what is left on the shard may be half of the tenant.

use chrono::{DateTime, Duration, Utc};

use super::backup::Target;
use super::verify::Verified;
use super::{Keeper, KeeperError, OnProgress};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::archives::{self, ArchiveRecord, ArchivedSnapshot};
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{MasterTx, billed, deletions, lanes, restores};
use crate::db::shard::hold::hold_connection;
use crate::db::shard::removal;
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::snapshot::SnapshotError;

/// How long others leave work alone that says nothing. They could not harm it: see [`hold_connection`].
pub(super) const LEASE: Duration = Duration::minutes(2);

/// How many tenants one process puts away or brings back at once, on request. Who waits for longer than the lease may find
/// that the reconciler has done it.
pub const AT_ONCE: usize = 2;

/// What becomes of a tenant that is put away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is kept until somebody brings it back.
    Kept,
    /// It is removed for good when its grace is over.
    Deleted,
}

/// What was decided about a tenant, and whether there is something left to be done for it.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The tenant, as the registry has it now.
    pub tenant: TenantRecord,
    /// What is known of its archive.
    pub archive: Option<ArchiveRecord>,
    /// Whether [`Keeper::carry_out`] is to follow.
    pub unfinished: bool,
}

impl Keeper {
    /// Decides that a tenant is put away: nobody is served any more. What is put away already gets the fate that is asked
    /// for; a date that was set stays.
    ///
    /// # Errors
    /// See [`KeeperError`]; nothing is changed then.
    pub async fn decide_archive(
        &self,
        key: &TenantKey,
        fate: Fate,
        origin: Origin,
    ) -> Result<Decided, KeeperError> {
        if let Some(interrupted) = restores::find_restore_of(&self.master, key).await? {
            self.settle(interrupted).await?;
        }
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        billed::note_put_away(&mut tx, key).await?;
        let mut tenant = tenants::lock_by_key(&mut tx, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        if restores::is_being_restored(&mut tx, tenant.id).await? {
            return Err(KeeperError::Busy);
        }
        let archive = archives::lock(&mut tx, tenant.id).await?;
        let until = (fate == Fate::Deleted).then(|| now + self.delete_grace);
        let before = archive.as_ref().map(|archive| archive.purge_at.is_some());
        let mut changed = true;
        match tenant.status {
            TenantStatus::Active | TenantStatus::Suspended => {
                archives::begin(&mut tx, tenant.id, until, now).await?;
                tenant.status = TenantStatus::Archiving;
                tenant.version += 1;
                archives::set_status(&mut tx, tenant.id, tenant.status, Some(now + LEASE), now).await?;
            }
            TenantStatus::Archiving | TenantStatus::Archived if before != Some(until.is_some()) => {
                archives::set_purge_at(&mut tx, tenant.id, until, now).await?;
            }
            TenantStatus::Archiving | TenantStatus::Archived => changed = false,
            status => return Err(KeeperError::WrongState(status)),
        }
        if changed {
            let action = match fate {
                Fate::Kept => "tenant.archive",
                Fate::Deleted => "tenant.delete",
            };
            insert_audit(&mut tx, &audit(&tenant, action, origin, now)).await?;
        }
        let archive = archives::lock(&mut tx, tenant.id).await?;
        crate::kill_point!("archive.before_intent");
        tx.commit().await?;
        crate::kill_point!("archive.intent");
        Ok(Decided {
            unfinished: tenant.status == TenantStatus::Archiving,
            tenant,
            archive,
        })
    }

    /// Carries out what was decided, [beside few others](AT_ONCE): each holds a connection to its shard and a thread.
    ///
    /// # Errors
    /// As [`Keeper::put_away`] and [`Keeper::bring_back`].
    pub async fn carry_out(
        &self,
        decided: &Decided,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        if !decided.unfinished {
            return Ok(());
        }
        // Nobody closes it.
        let _turn = self.at_once.acquire().await.map_err(|_| KeeperError::Busy)?;
        match decided.tenant.status {
            TenantStatus::Archiving => self.put_away(&decided.tenant, origin, progress).await,
            _ => self.bring_back(&decided.tenant, origin, progress).await,
        }
    }

    /// Puts away what was decided to be.
    ///
    /// # Errors
    /// [`KeeperError::Busy`] when another worker is at it. Other failures are noted at the tenant, which stays stopped; the
    /// reconciler tries again.
    pub async fn put_away(
        &self,
        tenant: &TenantRecord,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        let outcome = self.carry_out_archive(tenant, origin, progress).await;
        if let Err(error) = &outcome
            && !matches!(error, KeeperError::Busy)
        {
            self.note_error(tenant.id, error).await?;
        }
        outcome
    }

    /// Goes on with what others have begun to put away.
    pub(super) async fn archive_expired(&self) -> Result<usize, DbError> {
        let (began, mut finished) = (self.clock.now(), 0);
        while let Some(tenant) = self.claim(TenantStatus::Archiving, began).await? {
            match self.put_away(&tenant, system(), &silent()).await {
                Ok(()) => {
                    finished += 1;
                    tracing::info!(tenant_id = %tenant.id, "an interrupted archive was finished: {}", tenant.id);
                }
                Err(KeeperError::Busy) => {}
                Err(error) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "a tenant cannot be put away: {}", tenant.id);
                }
            }
        }
        Ok(finished)
    }

    /// Takes over one tenant in this state whose worker was gone when the round `began`: in one round none is had twice,
    /// however long each takes to fail.
    pub(super) async fn claim(
        &self,
        status: TenantStatus,
        began: DateTime<Utc>,
    ) -> Result<Option<TenantRecord>, DbError> {
        let until = self.clock.now() + LEASE;
        let mut tx = self.master.begin().await?;
        let claimed = deletions::claim_expired(&mut tx, status, until, began).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// The administrator's connection to the tenant's shard, for one operation on it at a time.
    ///
    /// # Errors
    /// [`KeeperError::Busy`] when another is at work.
    pub(super) async fn occupied(&self, tenant: &TenantRecord) -> Result<AdminClient, KeeperError> {
        let admin = self.shards.administrator(tenant.shard).await?;
        hold_connection(&admin, tenant.id).await?;
        Ok(admin)
    }

    async fn carry_out_archive(
        &self,
        tenant: &TenantRecord,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        let mut admin = self.occupied(tenant).await?;
        // Only now: somebody may have finished, or taken it back.
        let Some(archive) = self.archiving(tenant.id).await? else {
            return Err(KeeperError::Busy);
        };
        removal::shut_out(&mut admin, tenant.id, &tenant.role, &tenant.login).await?;
        crate::kill_point!("archive.shut_out");
        if archive.snapshot.is_none() {
            self.write_archive(&mut admin, tenant, progress).await?;
            crate::kill_point!("archive.noted");
        }
        progress("removing", 0, 0);
        removal::remove(&mut admin, tenant.id, &tenant.schema, &tenant.role).await?;
        crate::kill_point!("archive.removed");
        self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if !is_archiving(&mut tx, tenant.id).await? {
            return Err(KeeperError::Busy);
        }
        archives::set_status(&mut tx, tenant.id, TenantStatus::Archived, None, now).await?;
        archives::set_holds_place(&mut tx, tenant.id, false, now).await?;
        archives::set_error(&mut tx, tenant.id, None, now).await?;
        lanes::give_place_back(&mut tx, tenant.shard, &tenant.login, now).await?;
        insert_audit(&mut tx, &audit(tenant, "tenant.archived", origin, now)).await?;
        crate::kill_point!("archive.before_done");
        tx.commit().await?;
        crate::kill_point!("archive.done");
        Ok(())
    }

    /// What is known of the archive of a tenant that is being put away; `None` when it is not, or not any more.
    async fn archiving(&self, tenant: TenantId) -> Result<Option<ArchiveRecord>, DbError> {
        let mut tx = self.master.begin().await?;
        if !is_archiving(&mut tx, tenant).await? {
            return Ok(None);
        }
        archives::lock(&mut tx, tenant).await
    }

    /// The last snapshot: written, read back, noted.
    async fn write_archive(
        &self,
        admin: &mut AdminClient,
        tenant: &TenantRecord,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        self.remove_attempts(tenant.id).await?;
        let name = self
            .archives
            .new_name(tenant.id)
            .await
            .map_err(SnapshotError::Io)?;
        let path = self.archives.path(&name);
        let tenant = TenantRecord {
            status: TenantStatus::Archiving,
            ..tenant.clone()
        };
        let id = tenant.id;
        let target = Target {
            file: path.clone(),
            encrypted: true,
        };
        let made = self.write_snapshot_of(admin, tenant, &target, progress).await?;
        crate::kill_point!("archive.written");
        let read = Verified::read(&path, self.platform_key.clone(), false, progress.clone()).await?;
        if (read.sha256, read.rows) != (made.sha256, made.rows) {
            return Err(SnapshotError::Damaged("it is not what was written").into());
        }
        let snapshot = ArchivedSnapshot {
            file: name,
            sha256: made.sha256.to_vec(),
            bytes: i64::try_from(made.bytes).unwrap_or(i64::MAX),
            rows: i64::try_from(made.rows).unwrap_or(i64::MAX),
            made_at: made.made_at,
        };
        let mut tx = self.master.begin().await?;
        let noted = archives::note_snapshot(&mut tx, id, &snapshot, self.clock.now()).await?;
        // Whoever has begun anew meanwhile has removed it before it could be noted.
        let is_there = self.archives.has(&snapshot.file).await;
        if !noted || !is_there.map_err(SnapshotError::Io)? {
            drop(tx);
            self.remove_file(&snapshot.file).await?;
            return Err(KeeperError::Busy);
        }
        tx.commit().await?;
        self.remove_archives(id, Some(&snapshot.file)).await
    }

    /// Removes what earlier attempts have left, whole or not, unless one of them is noted: while its row is locked none is.
    async fn remove_attempts(&self, tenant: TenantId) -> Result<(), KeeperError> {
        let mut tx = self.master.begin().await?;
        let archive = archives::lock(&mut tx, tenant).await?;
        if archive.is_none_or(|archive| archive.snapshot.is_some()) {
            return Err(KeeperError::Busy);
        }
        self.remove_archives(tenant, None).await
    }

    /// Removes all files of a tenant from the folder of archives but this one.
    pub(super) async fn remove_archives(
        &self,
        tenant: TenantId,
        but: Option<&str>,
    ) -> Result<(), KeeperError> {
        let removed = self.archives.remove_others(tenant, but).await;
        removed.map_err(|error| KeeperError::Snapshot(SnapshotError::Io(error)))
    }

    async fn remove_file(&self, name: &str) -> Result<(), KeeperError> {
        let removed = self.archives.remove(name).await;
        removed.map_err(|error| KeeperError::Snapshot(SnapshotError::Io(error)))
    }

    /// Notes at the tenant why an attempt did not succeed.
    pub(super) async fn note_error(&self, tenant: TenantId, error: &KeeperError) -> Result<(), DbError> {
        let mut tx = self.master.begin().await?;
        let text = error.to_string();
        archives::set_error(&mut tx, tenant, Some(&text), self.clock.now()).await?;
        tx.commit().await
    }
}

async fn is_archiving(tx: &mut MasterTx, tenant: TenantId) -> Result<bool, DbError> {
    let found = tenants::lock_by_id(tx, tenant).await?;
    Ok(found.is_some_and(|found| found.status == TenantStatus::Archiving))
}

pub(super) fn audit(
    tenant: &TenantRecord,
    action: &'static str,
    origin: Origin,
    at: DateTime<Utc>,
) -> MasterAudit {
    MasterAudit {
        actor: origin.actor,
        action,
        subject: Subject::Tenant(tenant.id),
        request_id: origin.request_id,
        details: serde_json::json!({ "tenant_key": tenant.key }),
        at,
    }
}

/// Who finishes what others have begun.
pub(super) fn system() -> Origin {
    Origin {
        actor: MasterActor::System,
        request_id: None,
    }
}

pub(super) fn silent() -> OnProgress {
    std::sync::Arc::new(|_, _, _| {})
}

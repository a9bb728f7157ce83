//! Bringing back a tenant that was put away: decided in the registry, then a place is taken and the snapshot is restored
//! into it as any other is ([`super::restore`]). While it is still being put away, and has no snapshot yet, that is taken
//! back instead: all of it is still there.

use chrono::{DateTime, Utc};

use super::archive::{Decided, LEASE, audit, silent, system};
use super::target::{Begun, Outcome, Wanted};
use super::verify::Verified;
use super::{Keeper, KeeperError, OnProgress, Settled};
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{archives, billed, restores};
use crate::db::shard::provision::{inherit_clause, set_membership};
use crate::domain::tenant::{RestoreMode, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::provision::Begun as Place;
use crate::tenancy::snapshot::SnapshotError;

impl Keeper {
    /// Decides that a tenant that was put away, or is to be, comes back. Of a tenant that is served nothing is left to do.
    ///
    /// # Errors
    /// See [`KeeperError`]; nothing is changed then.
    pub async fn decide_bring_back(&self, key: &TenantKey, origin: Origin) -> Result<Decided, KeeperError> {
        let tenant = tenants::find_record(&self.master, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        if tenant.status == TenantStatus::Archiving {
            return self.take_archive_back(tenant, origin).await;
        }
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let mut tenant = tenants::lock_by_id(&mut tx, tenant.id)
            .await?
            .ok_or(KeeperError::Unknown)?;
        match tenant.status {
            TenantStatus::Active | TenantStatus::Suspended | TenantStatus::Restoring => {}
            TenantStatus::Archived => {
                tenant.status = TenantStatus::Restoring;
                tenant.version += 1;
                let date = archives::lock(&mut tx, tenant.id)
                    .await?
                    .and_then(|archive| archive.purge_at);
                archives::set_status(&mut tx, tenant.id, tenant.status, Some(now + LEASE), now).await?;
                archives::set_purge_at(&mut tx, tenant.id, None, now).await?;
                archives::set_error(&mut tx, tenant.id, None, now).await?;
                insert_audit(&mut tx, &brought_back(&tenant, date, origin, now)).await?;
            }
            status => return Err(KeeperError::WrongState(status)),
        }
        let archive = archives::lock(&mut tx, tenant.id).await?;
        crate::kill_point!("bring_back.before_intent");
        tx.commit().await?;
        crate::kill_point!("bring_back.intent");
        Ok(Decided {
            unfinished: tenant.status == TenantStatus::Restoring,
            tenant,
            archive,
        })
    }

    /// Serves a tenant again of which nothing has been removed yet.
    async fn take_archive_back(&self, tenant: TenantRecord, origin: Origin) -> Result<Decided, KeeperError> {
        let mut admin = self.occupied(&tenant).await?;
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        billed::note_brought_back(&mut tx, tenant.id, now).await?;
        let mut tenant = tenants::lock_by_id(&mut tx, tenant.id)
            .await?
            .ok_or(KeeperError::Unknown)?;
        let archive = archives::lock(&mut tx, tenant.id).await?;
        let date = archive.as_ref().and_then(|archive| archive.purge_at);
        let whole = archive.is_some_and(|archive| archive.snapshot.is_none());
        if tenant.status != TenantStatus::Archiving || !whole {
            // Nearly put away: it can come back in a moment.
            return Err(KeeperError::Busy);
        }
        tenant.status = match tenant.suspended_reason {
            Some(_) => TenantStatus::Suspended,
            None => TenantStatus::Active,
        };
        if tenant.status == TenantStatus::Active {
            let inherit = inherit_clause(&admin).await?;
            let transaction = admin.transaction().await.map_err(DbError::from)?;
            set_membership(&transaction, &tenant.role, &tenant.login, true, inherit).await?;
            transaction.commit().await.map_err(DbError::from)?;
        }
        tenant.version += 1;
        archives::set_status(&mut tx, tenant.id, tenant.status, None, now).await?;
        insert_audit(&mut tx, &brought_back(&tenant, date, origin, now)).await?;
        // None of them is noted, and as long as the rows are locked none will be.
        self.remove_archives(tenant.id, None).await?;
        tx.commit().await?;
        Ok(Decided {
            tenant,
            archive: None,
            unfinished: false,
        })
    }

    /// Brings back what was decided to be.
    ///
    /// # Errors
    /// [`KeeperError::Busy`] when another worker is at it; a database that is away leaves it to the reconciler. After any
    /// other failure, which is noted, the tenant is put away as before, but kept: who wanted it back does not lose it to the
    /// date that it had.
    pub async fn bring_back(
        &self,
        tenant: &TenantRecord,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        let outcome = self.carry_out_bring_back(tenant, origin, progress).await;
        match &outcome {
            Ok(()) => self.sweep_archives().await?,
            Err(KeeperError::Busy) => {}
            Err(KeeperError::Db(error)) if error.is_transient() => {}
            Err(error) => self.give_up(tenant, error).await?,
        }
        outcome
    }

    /// Goes on with what others have begun to bring back.
    pub(super) async fn bring_back_expired(&self) -> Result<usize, DbError> {
        let (began, mut finished) = (self.clock.now(), 0);
        while let Some(tenant) = self.claim(TenantStatus::Restoring, began).await? {
            match self.bring_back(&tenant, system(), &silent()).await {
                Ok(()) => {
                    finished += 1;
                    tracing::info!(tenant_id = %tenant.id, "a tenant was brought back: {}", tenant.id);
                }
                Err(KeeperError::Busy) => {}
                Err(error) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "a tenant cannot be brought back: {}", tenant.id);
                }
            }
        }
        Ok(finished)
    }

    async fn carry_out_bring_back(
        &self,
        tenant: &TenantRecord,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<(), KeeperError> {
        let key = TenantKey::parse(&tenant.key).map_err(|_| KeeperError::Unknown)?;
        let mut tx = self.master.begin().await?;
        let found = tenants::lock_by_id(&mut tx, tenant.id).await?;
        drop(tx);
        match found.map(|found| found.status) {
            Some(TenantStatus::Restoring) => {}
            // Another worker has brought it to its end, while this one waited for its turn.
            Some(TenantStatus::Active | TenantStatus::Suspended) => return Ok(()),
            _ => return Err(KeeperError::Busy),
        }
        if let Some(interrupted) = restores::find_restore_of(&self.master, &key).await?
            && self.settle(interrupted).await? == Settled::Done
        {
            return Ok(());
        }
        let archive = archives::find_all(&self.master, &[tenant.id]).await?.pop();
        let kept = archive.and_then(|archive| archive.snapshot);
        let kept = kept.ok_or(SnapshotError::Damaged("there is none"))?;
        let path = self.archives.path(&kept.file);
        let snapshot = Verified::read(&path, self.platform_key.clone(), false, progress.clone()).await?;
        if snapshot.sha256.as_slice() != kept.sha256 || snapshot.header.tenant.id != tenant.id {
            return Err(SnapshotError::Damaged("it is not the one that was put away").into());
        }
        let mut wanted = Wanted::check(&snapshot.header, Some(key))?;
        // Under whatever key it has now, it is the same tenant.
        wanted.is_copy = false;
        let begun = self.take_place(tenant, &wanted, &snapshot, origin).await?;
        self.load_and_settle((&wanted, begun), snapshot, None, progress)
            .await?;
        Ok(())
    }

    /// Takes a place for a tenant that has none, and notes that it is restored there.
    async fn take_place(
        &self,
        tenant: &TenantRecord,
        wanted: &Wanted,
        snapshot: &Verified,
        origin: Origin,
    ) -> Result<Begun, KeeperError> {
        let now = self.clock.now();
        let Place::Placed(mut tx, place) = self.provisioner.begin(None, tenant.id, now).await? else {
            return Err(KeeperError::Busy);
        };
        let found = tenants::lock_by_id(&mut tx, tenant.id).await?;
        let archive = archives::lock(&mut tx, tenant.id).await?;
        let waits = found.is_some_and(|found| found.status == TenantStatus::Restoring);
        if !waits || archive.is_none_or(|archive| archive.holds_place) {
            return Err(KeeperError::Busy);
        }
        let role = place.roles.tenant(&tenant.schema);
        archives::set_place(&mut tx, tenant.id, (place.shard, place.lane), &role, now).await?;
        archives::set_holds_place(&mut tx, tenant.id, true, now).await?;
        let tenant = tenants::lock_by_id(&mut tx, tenant.id)
            .await?
            .ok_or(KeeperError::Unknown)?;
        let outcome = Outcome::of(wanted, snapshot, false, &origin);
        self.note(tx, wanted, tenant, RestoreMode::Archived, outcome, now)
            .await
    }

    /// What cannot be brought back stays where it was put.
    async fn give_up(&self, tenant: &TenantRecord, error: &KeeperError) -> Result<(), DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let found = tenants::lock_by_id(&mut tx, tenant.id).await?;
        let waits = found.is_some_and(|found| found.status == TenantStatus::Restoring);
        if waits && !restores::is_being_restored(&mut tx, tenant.id).await? {
            archives::set_status(&mut tx, tenant.id, TenantStatus::Archived, None, now).await?;
            archives::set_error(&mut tx, tenant.id, Some(&error.to_string()), now).await?;
            insert_audit(&mut tx, &audit(tenant, "tenant.bring_back_failed", system(), now)).await?;
        }
        tx.commit().await
    }

    /// Removes the files of tenants that are served again.
    pub(super) async fn sweep_archives(&self) -> Result<(), DbError> {
        for (tenant, file) in archives::list_spent(&self.master).await? {
            if let Some(name) = &file
                && let Err(error) = self.archives.remove(name).await
            {
                tracing::error!(tenant_id = %tenant, %error, "the archive of a tenant that came back cannot be removed");
                continue;
            }
            archives::delete_spent(&self.master, tenant, file.as_deref()).await?;
        }
        Ok(())
    }
}

/// The date on which the tenant would have been removed is given up, and remembered.
fn brought_back(
    tenant: &TenantRecord,
    purge_at: Option<DateTime<Utc>>,
    origin: Origin,
    now: DateTime<Utc>,
) -> MasterAudit {
    let mut line = audit(tenant, "tenant.bring_back", origin, now);
    line.details = serde_json::json!({ "tenant_key": tenant.key, "purge_at": purge_at });
    line
}

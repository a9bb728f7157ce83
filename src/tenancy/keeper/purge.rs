//! The end of a tenant: decided in the registry first, carried out on the shard and in the folders, and only then the row
//! goes. Killed anywhere, it is finished by its repetition or by the reconciler; nobody is served meanwhile.

use chrono::Duration;
use uuid::Uuid;

use super::archive::{LEASE, audit, system};
use super::{Keeper, KeeperError};
use crate::billing::invoices;
use crate::db::DbError;
use crate::db::master::audit::insert_audit;
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{archives, deletions, idempotency, lanes, reserved_keys, restores};
use crate::db::shard::removal;
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::telemetry;
use crate::tenancy::lifecycle::Origin;

/// How long nobody else gets the key: links, bookmarks and programs of the former tenant still name it.
const KEY_KEPT: Duration = Duration::days(365);

/// Which tenants may be removed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Those that are put away: a first step has been taken, and the second one is meant.
    Archived,
    /// Whatever there is, without a snapshot.
    Anything,
}

/// A tenant that is gone.
#[derive(Debug, Clone)]
pub struct Purged {
    /// Its id, under which the audit still speaks of it.
    pub id: TenantId,
    /// Its key, which nobody else gets for a year.
    pub tenant_key: String,
}

impl Keeper {
    /// Removes a tenant with all its rows, files, log files and its archive. There is no way back but a backup: one that
    /// somebody has, or one that was made by the clock and is still kept.
    ///
    /// # Errors
    /// See [`KeeperError`]. After a database's failure the tenant is stopped, and the work is finished later.
    pub async fn purge(&self, key: &TenantKey, which: Purge, origin: Origin) -> Result<Purged, KeeperError> {
        if let Some(interrupted) = restores::find_restore_of(&self.master, key).await? {
            self.settle(interrupted).await?;
        }
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let tenant = tenants::lock_by_key(&mut tx, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        match tenant.status {
            TenantStatus::Archived | TenantStatus::Deleting => {}
            status @ (TenantStatus::Provisioning | TenantStatus::Restoring) => {
                return Err(KeeperError::WrongState(status));
            }
            _ if which == Purge::Anything => {}
            status => return Err(KeeperError::WrongState(status)),
        }
        if restores::is_being_restored(&mut tx, tenant.id).await? {
            return Err(KeeperError::Busy);
        }
        if tenant.status != TenantStatus::Deleting {
            insert_audit(&mut tx, &audit(&tenant, "tenant.purge", origin.clone(), now)).await?;
        }
        deletions::begin(&mut tx, tenant.id, Uuid::now_v7(), now + LEASE, now).await?;
        tx.commit().await?;
        crate::kill_point!("delete.intent");
        self.carry_out_purge(&tenant, origin).await?;
        Ok(Purged {
            id: tenant.id,
            tenant_key: tenant.key,
        })
    }

    /// Decides the end of deleted tenants whose grace is over. What follows is [`Keeper::purge_expired`]'s.
    pub(super) async fn purge_due(&self) -> Result<(), DbError> {
        loop {
            let now = self.clock.now();
            let mut tx = self.master.begin().await?;
            let Some(id) = archives::find_due(&mut tx, now).await? else {
                return Ok(());
            };
            let Some(tenant) = tenants::lock_by_id(&mut tx, id).await? else {
                return Ok(());
            };
            insert_audit(&mut tx, &audit(&tenant, "tenant.purge", system(), now)).await?;
            // With a lease that is over: whoever comes next carries it out.
            deletions::begin(&mut tx, tenant.id, Uuid::now_v7(), now - LEASE, now).await?;
            tx.commit().await?;
        }
    }

    /// Goes on with removals whose worker is gone.
    pub(super) async fn purge_expired(&self) -> Result<usize, DbError> {
        let (began, mut finished) = (self.clock.now(), 0);
        while let Some(tenant) = self.claim(TenantStatus::Deleting, began).await? {
            match self.carry_out_purge(&tenant, system()).await {
                Ok(()) => {
                    finished += 1;
                    tracing::info!(tenant_id = %tenant.id, "a tenant was removed for good: {}", tenant.id);
                }
                Err(KeeperError::Busy) => {}
                Err(error) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "a tenant cannot be removed: {}", tenant.id);
                }
            }
        }
        Ok(finished)
    }

    /// Every step may be repeated.
    async fn carry_out_purge(&self, tenant: &TenantRecord, origin: Origin) -> Result<(), KeeperError> {
        let mut tx = self.master.begin().await?;
        let holds_place = archives::holds_place(&mut tx, tenant.id).await?;
        drop(tx);
        // Without a place there is nothing of it on any shard.
        if holds_place {
            let mut admin = self.occupied(tenant).await?;
            removal::shut_out(&mut admin, tenant.id, &tenant.role, &tenant.login).await?;
            crate::kill_point!("delete.shut_out");
            removal::remove(&mut admin, tenant.id, &tenant.schema, &tenant.role).await?;
            crate::kill_point!("delete.removed");
        }
        self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
        self.devices.forget(tenant.id).await.map_err(KeeperError::Files)?;
        self.remove_archives(tenant.id, None).await?;
        crate::kill_point!("delete.files_removed");
        self.remove_logs(tenant).await?;
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if deletions::delete_tenant(&mut tx, tenant.id).await? {
            // Its invoices stay, with their numbers; nobody is asked for them any more.
            invoices::void_all_of(&mut tx, tenant.id, now).await?;
            idempotency::release(&mut tx, tenant.id.as_uuid()).await?;
            reserved_keys::reserve_former(&mut tx, tenant.id, now + KEY_KEPT).await?;
            reserved_keys::reserve_key(&mut tx, &tenant.key, tenant.id, now + KEY_KEPT, now).await?;
            if holds_place {
                lanes::give_place_back(&mut tx, tenant.shard, &tenant.login, now).await?;
            }
            insert_audit(&mut tx, &audit(tenant, "tenant.purged", origin, now)).await?;
        }
        crate::kill_point!("delete.before_done");
        tx.commit().await?;
        crate::kill_point!("delete.done");
        Ok(())
    }

    /// The log files of a tenant, those under its former keys as well.
    async fn remove_logs(&self, tenant: &TenantRecord) -> Result<(), DbError> {
        let Some(folder) = self.tenant_logs.clone() else {
            return Ok(());
        };
        let mut keys = reserved_keys::list_former(&self.master, tenant.id).await?;
        keys.push(tenant.key.clone());
        let removing = move || {
            keys.iter()
                .try_for_each(|key| telemetry::remove_tenant_files(&folder, key))
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(removing).await {
            tracing::error!(tenant_id = %tenant.id, %error, "log files of a deleted tenant cannot be removed");
        }
        Ok(())
    }
}

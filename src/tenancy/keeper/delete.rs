//! Deleting a tenant: decided in the registry first, carried out on the shard, and only then the row goes. Killed anywhere,
//! it is finished by its repetition or by the reconciler; a tenant that is being deleted is never served again.

use chrono::Duration;
use uuid::Uuid;

use super::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{deletions, idempotency, lanes, reserved_keys, restores};
use crate::db::shard::removal;
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::telemetry;
use crate::tenancy::lifecycle::Origin;

/// How long others leave a deletion alone that says nothing.
const LEASE: Duration = Duration::minutes(2);
/// How long nobody else gets the key: links, bookmarks and programs of the former tenant still name it.
const KEY_KEPT: Duration = Duration::days(365);

/// A tenant that is gone.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// Its id, under which the audit still speaks of it.
    pub id: TenantId,
    /// Its key, which nobody else gets for a year.
    pub tenant_key: String,
}

impl Keeper {
    /// Deletes a tenant with all its rows and files. There is no way back but a snapshot.
    ///
    /// # Errors
    /// See [`KeeperError`]. After a database's failure the tenant is stopped, and the deletion is finished later.
    pub async fn delete(&self, key: &TenantKey, origin: Origin) -> Result<Deleted, KeeperError> {
        if let Some(interrupted) = restores::find_restore_of(&self.master, key).await? {
            self.settle(interrupted).await?;
        }
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let tenant = tenants::lock_by_key(&mut tx, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        if tenant.status == TenantStatus::Provisioning {
            return Err(KeeperError::WrongState(tenant.status));
        }
        if restores::is_being_restored(&mut tx, tenant.id).await? {
            return Err(KeeperError::Busy);
        }
        if tenant.status != TenantStatus::Deleting {
            let line = audit(&tenant, "tenant.delete", origin.clone(), now);
            insert_audit(&mut tx, &line).await?;
        }
        deletions::begin(&mut tx, tenant.id, Uuid::now_v7(), now + LEASE, now).await?;
        tx.commit().await?;
        crate::kill_point!("delete.intent");
        self.carry_out(&tenant, origin).await?;
        Ok(Deleted {
            id: tenant.id,
            tenant_key: tenant.key,
        })
    }

    /// Goes on with deletions whose worker is gone.
    pub(super) async fn delete_expired(&self) -> Result<usize, DbError> {
        let mut finished = 0;
        loop {
            let now = self.clock.now();
            let mut tx = self.master.begin().await?;
            let claimed = deletions::claim_expired(&mut tx, Uuid::now_v7(), now + LEASE, now).await?;
            tx.commit().await?;
            let Some(tenant) = claimed else {
                return Ok(finished);
            };
            let origin = Origin {
                actor: MasterActor::System,
                request_id: None,
            };
            match self.carry_out(&tenant, origin).await {
                Ok(()) => {
                    finished += 1;
                    tracing::info!(tenant_id = %tenant.id, "an interrupted deletion was finished: {}", tenant.id);
                }
                Err(KeeperError::Busy) => {}
                Err(error) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "a deletion cannot be finished: {}", tenant.id);
                }
            }
        }
    }

    /// Every step may be repeated.
    async fn carry_out(&self, tenant: &TenantRecord, origin: Origin) -> Result<(), KeeperError> {
        let mut admin = self.shards.administrator(tenant.shard).await?;
        removal::shut_out(&mut admin, tenant.id, &tenant.role, &tenant.login).await?;
        crate::kill_point!("delete.shut_out");
        removal::remove(&mut admin, tenant.id, &tenant.schema, &tenant.role).await?;
        drop(admin);
        crate::kill_point!("delete.removed");
        self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
        if let Some(folder) = self.tenant_logs.clone() {
            let key = tenant.key.clone();
            let removing = move || telemetry::remove_tenant_files(&folder, &key);
            match tokio::task::spawn_blocking(removing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "log files of a deleted tenant cannot be removed");
                }
                Err(_) => {}
            }
        }
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if deletions::delete_tenant(&mut tx, tenant.id).await? {
            idempotency::release(&mut tx, tenant.id.as_uuid()).await?;
            reserved_keys::reserve_key(&mut tx, &tenant.key, tenant.id, now + KEY_KEPT, now).await?;
            lanes::give_place_back(&mut tx, tenant.shard, &tenant.login, now).await?;
            insert_audit(&mut tx, &audit(tenant, "tenant.deleted", origin, now)).await?;
        }
        crate::kill_point!("delete.before_done");
        tx.commit().await?;
        crate::kill_point!("delete.done");
        Ok(())
    }
}

fn audit(
    tenant: &TenantRecord,
    action: &'static str,
    origin: Origin,
    at: chrono::DateTime<chrono::Utc>,
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

//! Another key for a tenant: its address and `X-Tenant-Key` change, the names of its schema and role stay as they were
//! stored. The former key leads to it for a while and is never anybody else's.

use super::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{reserved_keys, restores};
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::telemetry;
use crate::tenancy::lifecycle::Origin;

impl Keeper {
    /// Gives a tenant another key, or one that it had before. Repeating it is no error.
    ///
    /// # Errors
    /// See [`KeeperError`]; nothing is changed then.
    pub async fn rename(
        &self,
        key: &TenantKey,
        new: &TenantKey,
        origin: Origin,
    ) -> Result<TenantRecord, KeeperError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let mut tenant = match tenants::lock_by_key(&mut tx, key).await? {
            Some(tenant) => tenant,
            None => {
                // Done before?
                let holder = reserved_keys::find_former_holder(&mut tx, key).await?;
                let renamed = tenants::lock_by_key(&mut tx, new).await?;
                let renamed = renamed.filter(|tenant| Some(tenant.id) == holder);
                renamed.ok_or(KeeperError::Unknown)?
            }
        };
        match tenant.status {
            TenantStatus::Active | TenantStatus::Suspended | TenantStatus::Archived => {}
            status => return Err(KeeperError::WrongState(status)),
        }
        if tenant.key != new.as_str() {
            if restores::is_being_restored(&mut tx, tenant.id).await? {
                return Err(KeeperError::Busy);
            }
            reserved_keys::set_key(&mut tx, tenant.id, new, now)
                .await
                .map_err(key_taken)?;
            // After the update, as after an insert: a reservation that commits in between is seen.
            if reserved_keys::is_key_reserved_for_another(&mut tx, new, tenant.id, now).await? {
                return Err(KeeperError::NewKeyTaken);
            }
            reserved_keys::release_key(&mut tx, new.as_str()).await?;
            let until = now + self.rename_grace;
            reserved_keys::keep_former(&mut tx, &tenant.key, tenant.id, until, now).await?;
            let line = MasterAudit {
                actor: origin.actor,
                action: "tenant.rename",
                subject: Subject::Tenant(tenant.id),
                request_id: origin.request_id,
                details: serde_json::json!({ "from": tenant.key, "to": new.as_str() }),
                at: now,
            };
            insert_audit(&mut tx, &line).await?;
            crate::kill_point!("rename.before_done");
            tx.commit().await?;
            crate::kill_point!("rename.done");
            tenant.key = new.to_string();
            tenant.version += 1;
        }
        self.move_logs(key, new).await;
        Ok(tenant)
    }

    /// What was logged goes on under the new key.
    async fn move_logs(&self, from: &TenantKey, to: &TenantKey) {
        if from == to {
            return;
        }
        let Some(folder) = self.tenant_logs.clone() else {
            return;
        };
        let (old, new) = (from.to_string(), to.to_string());
        let moving = move || telemetry::rename_tenant_files(&folder, &old, &new);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(moving).await {
            tracing::error!(tenant = %to, %error, "log files of {from} do not go on as those of {to}");
        }
    }
}

fn key_taken(error: DbError) -> KeeperError {
    if error.is_constraint("tenants_tenant_key_key") {
        KeeperError::NewKeyTaken
    } else {
        error.into()
    }
}

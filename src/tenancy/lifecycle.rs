//! Suspending and activating a tenant, enforced by the database.
//!
//! Suspending revokes the lane's membership in the tenant's role and drains what is in flight with the tenant's
//! exclusive lock. So once it has answered, no process serves the tenant, however old its cache: the guard fails.

use std::time::Duration;

use super::shards::Shards;
use crate::db::DbError;
pub use crate::db::master::audit::Origin;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::payments::applied;
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{MasterDb, MasterTx, moves};
use crate::db::shard::drain::drain;
use crate::db::shard::provision::{inherit_clause, set_membership};
use crate::domain::clock::Clock;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;

/// Why a tenant's state does not change.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// The tenant is in a state from which there is no such step.
    #[error("a tenant that is {0} cannot be changed like this")]
    WrongState(TenantStatus),
    /// A database failed; the step can be repeated.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// How long a move may take a tenant from its lane before a change of state gives up: tries, and what lies between them.
const FENCED_TRIES: u32 = 400;
const FENCED_WAIT: Duration = Duration::from_millis(25);

/// Changes tenants' states.
#[derive(Clone)]
pub struct Lifecycle {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Tells the time.
    pub clock: Clock,
}

impl Lifecycle {
    /// Stops a tenant at once: when this returns, every request that begins is refused.
    ///
    /// # Errors
    /// See [`LifecycleError`].
    pub async fn suspend(
        &self,
        key: &TenantKey,
        reason: &str,
        origin: Origin,
    ) -> Result<TenantRecord, LifecycleError> {
        self.change(
            key,
            TenantStatus::Active,
            TenantStatus::Suspended,
            Some(reason),
            "tenant.suspend",
            origin,
        )
        .await
    }

    /// Serves a suspended tenant again.
    ///
    /// # Errors
    /// See [`LifecycleError`].
    pub async fn activate(&self, key: &TenantKey, origin: Origin) -> Result<TenantRecord, LifecycleError> {
        self.change(
            key,
            TenantStatus::Suspended,
            TenantStatus::Active,
            None,
            "tenant.activate",
            origin,
        )
        .await
    }

    /// The registry's row is locked first and written last; the shard commits in between. A crash between the two
    /// commits leaves the tenant stopped on its shard and `from` in the registry, which the guard treats as stopped;
    /// repeating the step completes it.
    async fn change(
        &self,
        key: &TenantKey,
        from: TenantStatus,
        to: TenantStatus,
        reason: Option<&str>,
        action: &'static str,
        origin: Origin,
    ) -> Result<TenantRecord, LifecycleError> {
        let now = self.clock.now();
        let (mut tx, mut tenant) = self.lock(key).await?;
        if tenant.status != from && tenant.status != to {
            return Err(LifecycleError::WrongState(tenant.status));
        }
        self.set_served(&tenant, to == TenantStatus::Active).await?;
        crate::kill_point!("lifecycle.shard_done");
        if tenant.status == from {
            tenants::set_status(&mut tx, tenant.id, to, reason, now).await?;
            if to == TenantStatus::Active {
                // What its customers have paid meanwhile waits to be booked.
                applied::apply_again(&mut tx, tenant.id, now, now).await?;
            }
            insert_audit(
                &mut tx,
                &MasterAudit {
                    actor: origin.actor,
                    action,
                    subject: Subject::Tenant(tenant.id),
                    request_id: origin.request_id,
                    details: serde_json::json!({}),
                    at: now,
                },
            )
            .await?;
            tenant.status = to;
            tenant.suspended_reason = reason.map(str::to_owned);
            tenant.version += 1;
        }
        tx.commit().await?;
        Ok(tenant)
    }

    /// Locks the tenant's row. While a move is taking the tenant from its lane, which takes moments, nobody else may.
    async fn lock(&self, key: &TenantKey) -> Result<(MasterTx, TenantRecord), LifecycleError> {
        for _ in 0..FENCED_TRIES {
            let mut tx = self.master.begin().await?;
            let tenant = tenants::lock_by_key(&mut tx, key)
                .await?
                .ok_or(LifecycleError::Unknown)?;
            if !moves::is_fencing(&mut tx, tenant.id).await? {
                return Ok((tx, tenant));
            }
            drop(tx);
            tokio::time::sleep(FENCED_WAIT).await;
        }
        Err(DbError::Conflict("the tenant is being moved".to_owned()).into())
    }

    async fn set_served(&self, tenant: &TenantRecord, served: bool) -> Result<(), DbError> {
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let inherit = inherit_clause(&admin).await?;
        let transaction = admin.transaction().await?;
        set_membership(&transaction, &tenant.role, &tenant.login, served, inherit).await?;
        transaction.commit().await?;
        if !served {
            // New transactions are refused from here on; wait for those that had begun before.
            drain(&mut admin, &tenant.login, tenant.id).await?;
        }
        Ok(())
    }
}

//! `tenants` that are being removed: from the decision to the end of the row; and who goes on with what was begun.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::MasterTx;
use super::tenants::{self, TenantRecord};
use crate::db::DbError;
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;

/// Notes that a tenant is being removed for good, and who does it.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    tx: &mut MasterTx,
    tenant: TenantId,
    lease_owner: Uuid,
    lease_expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants
         set status = 'deleting', onboarding_sealed = null, lease_owner = $2, lease_expires_at = $3, updated_at = $4 where id = $1",
        tenant.as_uuid(),
        lease_owner,
        lease_expires_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes over one tenant in this state whose worker was gone at `began`.
///
/// # Errors
/// When the database fails.
pub async fn claim_expired(
    tx: &mut MasterTx,
    status: TenantStatus,
    lease_expires_at: DateTime<Utc>,
    began: DateTime<Utc>,
) -> Result<Option<TenantRecord>, DbError> {
    let claimed = sqlx::query_scalar!(
        "update tenants t
         set lease_owner = $1, lease_expires_at = $2, updated_at = $3
         where t.id = (select u.id from tenants u
                       where u.status = $4 and coalesce(u.lease_expires_at, '-infinity') < $3
                       order by u.lease_expires_at limit 1 for update skip locked)
         returning t.id",
        Uuid::now_v7(),
        lease_expires_at,
        began,
        status.as_str(),
    )
    .fetch_optional(tx.connection())
    .await?;
    match claimed {
        Some(id) => tenants::lock_by_id(tx, TenantId::from_uuid(id)).await,
        None => Ok(None),
    }
}

/// Removes the row of a tenant that nothing is left of; `false` when another worker has.
///
/// # Errors
/// When the database fails.
pub async fn delete_tenant(tx: &mut MasterTx, tenant: TenantId) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "delete from tenants where id = $1 and status = 'deleting'",
        tenant.as_uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

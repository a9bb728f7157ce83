//! `tenants` that are being deleted: from the decision to the end of the row.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::MasterTx;
use super::tenants::{TenantRecord, TenantRow};
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// Notes that a tenant is being deleted, and who does it.
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

/// Takes over one deletion whose worker is gone.
///
/// # Errors
/// When the database fails.
pub async fn claim_expired(
    tx: &mut MasterTx,
    lease_owner: Uuid,
    lease_expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<TenantRecord>, DbError> {
    let claimed = sqlx::query_scalar!(
        "update tenants t
         set lease_owner = $1, lease_expires_at = $2, updated_at = $3
         where t.id = (select u.id from tenants u
                       where u.status = 'deleting' and coalesce(u.lease_expires_at, '-infinity') < $3
                       order by u.lease_expires_at limit 1 for update skip locked)
         returning t.id",
        lease_owner,
        lease_expires_at,
        now,
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(id) = claimed else { return Ok(None) };
    let row = sqlx::query_as!(
        TenantRow,
        "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                t.owner_email, t.created_at, t.suspended_reason, t.version, t.onboarding_attempts, t.onboarding_error
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.id = $1",
        id,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(row.try_into()?))
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

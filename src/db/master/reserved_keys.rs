//! `tenant_keys_reserved`: the keys of deleted tenants, which nobody else gets.

use chrono::{DateTime, Utc};

use super::MasterTx;
use crate::db::DbError;
use crate::domain::ids::TenantId;
use crate::domain::tenant_key::TenantKey;

/// Whether a key is kept for another than this tenant.
///
/// # Errors
/// When the database fails.
pub async fn is_key_reserved_for_another(
    tx: &mut MasterTx,
    key: &TenantKey,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_keys_reserved
                          where tenant_key = $1 and reserved_until > $2
                            and (reason <> 'deleted' or former_tenant_id is distinct from $3)) as "reserved!""#,
        key.as_str(),
        now,
        tenant.as_uuid(),
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Keeps the key of a deleted tenant.
///
/// # Errors
/// When the database fails.
pub async fn reserve_key(
    tx: &mut MasterTx,
    key: &str,
    former: TenantId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenant_keys_reserved (tenant_key, reason, reserved_until, former_tenant_id, created_at)
         values ($1, 'deleted', $2, $3, $4)
         on conflict (tenant_key) do update
            set reason = excluded.reason, reserved_until = excluded.reserved_until, tenant_id = null,
                former_tenant_id = excluded.former_tenant_id",
        key,
        until,
        former.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives up what was kept: the key has its tenant again.
///
/// # Errors
/// When the database fails.
pub async fn release_key(tx: &mut MasterTx, key: &str) -> Result<(), DbError> {
    sqlx::query!("delete from tenant_keys_reserved where tenant_key = $1", key)
        .execute(tx.connection())
        .await?;
    Ok(())
}

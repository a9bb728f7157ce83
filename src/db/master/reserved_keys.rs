//! `tenant_keys_reserved`: former keys, of tenants that were renamed and of those that are gone, which nobody else gets.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
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
                            and former_tenant_id is distinct from $3) as "reserved!""#,
        key.as_str(),
        now,
        tenant.as_uuid(),
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Gives a tenant another key. Constraint `tenants_tenant_key_key` refuses one that is taken.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn set_key(
    tx: &mut MasterTx,
    id: TenantId,
    key: &TenantKey,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants set tenant_key = $2, version = version + 1, updated_at = $3 where id = $1",
        id.as_uuid(),
        key.as_str(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Where a former key leads: the present key of its tenant, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The present key.
    pub to: TenantKey,
    /// Until when the former one leads to it.
    pub until: DateTime<Utc>,
}

/// The tenant that had this key and still gets its requests.
///
/// # Errors
/// When the database fails.
pub async fn find_renamed(
    db: &MasterDb,
    key: &TenantKey,
    now: DateTime<Utc>,
) -> Result<Option<Renamed>, DbError> {
    let row = sqlx::query!(
        r#"select t.tenant_key, r.redirects_until as "until!"
           from tenant_keys_reserved r join tenants t on t.id = r.tenant_id
           where r.tenant_key = $1 and r.reason = 'renamed' and r.redirects_until > $2"#,
        key.as_str(),
        now,
    )
    .fetch_optional(db.pool())
    .await?;
    // What is no key leads nowhere.
    Ok(row.and_then(|row| {
        Some(Renamed {
            to: TenantKey::parse(&row.tenant_key).ok()?,
            until: row.until,
        })
    }))
}

/// The tenant that had this key before it was renamed, whether or not requests are still led to it.
///
/// # Errors
/// When the database fails.
pub async fn find_former_holder(tx: &mut MasterTx, key: &TenantKey) -> Result<Option<TenantId>, DbError> {
    let found = sqlx::query_scalar!(
        r#"select tenant_id as "id!" from tenant_keys_reserved
           where tenant_key = $1 and reason = 'renamed' and tenant_id is not null"#,
        key.as_str(),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.map(TenantId::from_uuid))
}

/// All former keys of a tenant.
///
/// # Errors
/// When the database fails.
pub async fn list_former(db: &MasterDb, tenant: TenantId) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "select tenant_key from tenant_keys_reserved where former_tenant_id = $1 order by tenant_key",
        tenant.as_uuid()
    )
    .fetch_all(db.pool())
    .await?)
}

/// Keeps the former key of a tenant that has been renamed for as long as there is that tenant.
///
/// # Errors
/// When the database fails.
pub async fn keep_former(
    tx: &mut MasterTx,
    key: &str,
    tenant: TenantId,
    redirects_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenant_keys_reserved (tenant_key, tenant_id, former_tenant_id, reason, reserved_until,
                                           redirects_until, created_at)
         values ($1, $2, $2, 'renamed', 'infinity', $3, $4)
         on conflict (tenant_key) do update
            set tenant_id = excluded.tenant_id, former_tenant_id = excluded.former_tenant_id, reason = excluded.reason,
                reserved_until = excluded.reserved_until, redirects_until = excluded.redirects_until,
                created_at = excluded.created_at",
        key,
        tenant.as_uuid(),
        redirects_until,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The former keys of a tenant that goes: each is kept as its last one is.
///
/// # Errors
/// When the database fails.
pub async fn reserve_former(
    tx: &mut MasterTx,
    tenant: TenantId,
    until: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_keys_reserved
         set reason = 'deleted', reserved_until = $2, redirects_until = null, tenant_id = null
         where former_tenant_id = $1",
        tenant.as_uuid(),
        until,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
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
                former_tenant_id = excluded.former_tenant_id, redirects_until = null",
        key,
        until,
        former.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The other former keys of a tenant that has come back: each is kept again for as long as there is that tenant, unless its
/// time was over and somebody else has it.
///
/// # Errors
/// When the database fails.
pub async fn keep_again(tx: &mut MasterTx, tenant: TenantId) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_keys_reserved r
         set reason = 'renamed', reserved_until = 'infinity', tenant_id = $1
         where r.former_tenant_id = $1 and not exists (select from tenants t where t.tenant_key = r.tenant_key)",
        tenant.as_uuid(),
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

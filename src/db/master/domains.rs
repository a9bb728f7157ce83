//! `domains`: hosts of tenants outside of the platform's own domain. One counts only once it is verified.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{DomainId, TenantId};
use crate::domain::tenant_key::TenantKey;

/// A host of a tenant.
#[derive(Debug, Clone)]
pub struct DomainRecord {
    /// Its id.
    pub id: DomainId,
    /// Lower case, without port.
    pub host: String,
    /// What a TXT record of the host has to say.
    pub verification_token: String,
    /// Since when requests for it are the tenant's.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// The key of the tenant that has proven to own this host.
///
/// # Errors
/// When the database fails.
pub async fn find_key_by_host(db: &MasterDb, host: &str) -> Result<Option<TenantKey>, DbError> {
    let key = sqlx::query_scalar!(
        "select t.tenant_key from domains d join tenants t on t.id = d.tenant_id
         where d.host = $1 and d.verified_at is not null",
        host,
    )
    .fetch_optional(db.pool())
    .await?;
    key.map(|key| {
        TenantKey::parse(&key).map_err(|_| DbError::Other {
            code: "driver".to_owned(),
            message: "tenants.tenant_key holds an unknown value".to_owned(),
        })
    })
    .transpose()
}

/// The hosts of a tenant, in order of their names. They are few.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &MasterDb, tenant: TenantId) -> Result<Vec<DomainRecord>, DbError> {
    Ok(sqlx::query_as!(
        DomainRecord,
        "select id, host, verification_token, verified_at, created_at from domains where tenant_id = $1 order by host",
        tenant.as_uuid(),
    )
    .fetch_all(db.pool())
    .await?)
}

/// A host of a tenant, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut MasterTx, tenant: TenantId, host: &str) -> Result<Option<DomainRecord>, DbError> {
    Ok(sqlx::query_as!(
        DomainRecord,
        "select id, host, verification_token, verified_at, created_at from domains
         where tenant_id = $1 and host = $2 for update",
        tenant.as_uuid(),
        host,
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Adds a host that nobody has; `None` when somebody has.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    tx: &mut MasterTx,
    tenant: TenantId,
    host: &str,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<DomainRecord>, DbError> {
    Ok(sqlx::query_as!(
        DomainRecord,
        "insert into domains (id, host, tenant_id, verification_token, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5) on conflict (host) do nothing
         returning id, host, verification_token, verified_at, created_at",
        DomainId::new().as_uuid(),
        host,
        tenant.as_uuid(),
        token,
        now,
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Lets a host count from now on; one that does already stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn set_verified(tx: &mut MasterTx, id: DomainId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update domains set verified_at = $2, updated_at = $2 where id = $1 and verified_at is null",
        id.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives a tenant that comes back a host that it had proven to be its own; `false` when somebody has it.
///
/// # Errors
/// When the database fails.
pub async fn insert_verified(
    tx: &mut MasterTx,
    tenant: TenantId,
    host: &str,
    token: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "insert into domains (id, host, tenant_id, verification_token, verified_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5, $5) on conflict (host) do nothing",
        DomainId::new().as_uuid(),
        host,
        tenant.as_uuid(),
        token,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a host.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut MasterTx, id: DomainId) -> Result<(), DbError> {
    sqlx::query!("delete from domains where id = $1", id.as_uuid())
        .execute(tx.connection())
        .await?;
    Ok(())
}

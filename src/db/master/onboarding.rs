//! `tenants` that are being made: the intent, its lease, its end.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::tenants::{TenantRecord, lock_by_id};
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub key: TenantKey,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: Niche,
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// Its shard.
    pub shard: ShardId,
    /// The number of its lane.
    pub lane: i32,
    /// CPF or CNPJ.
    pub document: Option<String>,
    /// E-mail address of the first user.
    pub owner_email: String,
    /// Sealed with the platform key; removed when the onboarding is complete.
    pub onboarding_sealed: Vec<u8>,
    /// Who works on it.
    pub lease_owner: Uuid,
    /// Until when.
    pub lease_expires_at: DateTime<Utc>,
    /// The moment of the request.
    pub now: DateTime<Utc>,
}

/// An onboarding that a process left unfinished.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// The tenant.
    pub tenant: TenantRecord,
    /// What the onboarding needs to go on.
    pub onboarding_sealed: Vec<u8>,
}

/// Places a new tenant. Constraint `tenants_tenant_key_key` refuses a key that is taken.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_tenant(tx: &mut MasterTx, new: &NewTenant) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenants (id, tenant_key, name, niche, schema_name, role_name, shard_id, lane, status, document,
                              owner_email, onboarding_sealed, lease_owner, lease_expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'provisioning', $9, $10, $11, $12, $13, $14, $14)",
        new.id.as_uuid(),
        new.key.as_str(),
        new.name,
        new.niche.as_str(),
        new.schema,
        new.role,
        new.shard.as_uuid(),
        new.lane,
        new.document,
        new.owner_email,
        new.onboarding_sealed,
        new.lease_owner,
        new.lease_expires_at,
        new.now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a key is kept for a former tenant.
///
/// # Errors
/// When the database fails.
pub async fn is_key_reserved(
    tx: &mut MasterTx,
    key: &TenantKey,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_keys_reserved where tenant_key = $1 and reserved_until > $2) as "reserved!""#,
        key.as_str(),
        now,
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Completes an onboarding; `false` when somebody else has (or has undone it).
///
/// # Errors
/// When the database fails.
pub async fn activate_provisioned(
    tx: &mut MasterTx,
    id: TenantId,
    lease_owner: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update tenants
         set status = 'active', activated_at = $3, updated_at = $3, onboarding_sealed = null, onboarding_error = null,
             lease_owner = null, lease_expires_at = null
         where id = $1 and status = 'provisioning' and lease_owner = $2",
        id.as_uuid(),
        lease_owner,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes over one onboarding whose worker is gone, or the one of `only` also when it was given up. Each attempt gets
/// twice the lease of the one before, up to 64 times: an outage of hours does not use all of them up.
///
/// # Errors
/// When the database fails.
pub async fn claim_unfinished(
    tx: &mut MasterTx,
    lease_owner: Uuid,
    lease_expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
    only: Option<TenantId>,
) -> Result<Option<Unfinished>, DbError> {
    let claimed = sqlx::query_scalar!(
        "update tenants t
         set lease_owner = $1, updated_at = $3, status = 'provisioning',
             lease_expires_at = $3::timestamptz + ($2::timestamptz - $3::timestamptz)
                 * case when t.status = 'failed' then 1 else power(2, least(t.onboarding_attempts, 6)) end,
             onboarding_attempts = case when t.status = 'failed' then 1 else t.onboarding_attempts + 1 end
         where t.id = (select u.id from tenants u
                       where (u.status = 'provisioning' and u.lease_expires_at < $3 and ($4::uuid is null or u.id = $4))
                          or (u.status = 'failed' and u.id = $4)
                       order by u.lease_expires_at limit 1 for update skip locked)
         returning t.id",
        lease_owner,
        lease_expires_at,
        now,
        only.map(TenantId::as_uuid),
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(id) = claimed else { return Ok(None) };
    let tenant = lock_by_id(tx, TenantId::from_uuid(id)).await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let onboarding_sealed = sqlx::query_scalar!(
        r#"select onboarding_sealed as "sealed!" from tenants where id = $1"#,
        id
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(Unfinished {
        tenant,
        onboarding_sealed,
    }))
}

/// Notes why an attempt did not succeed, and gives the onboarding up when it was the last one; `false` when somebody
/// else has the lease.
///
/// # Errors
/// When the database fails.
pub async fn note_failed_attempt(
    tx: &mut MasterTx,
    id: TenantId,
    lease_owner: Uuid,
    error: &str,
    attempts: i32,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let gave_up = sqlx::query_scalar!(
        r#"update tenants
           set onboarding_error = left($3, 1000), updated_at = $5,
               status = case when onboarding_attempts >= $4 then 'failed' else status end,
               lease_expires_at = case when onboarding_attempts >= $4 then null else lease_expires_at end,
               lease_owner = case when onboarding_attempts >= $4 then null else lease_owner end
           where id = $1 and status = 'provisioning' and lease_owner = $2
           returning status = 'failed' as "gave_up!""#,
        id.as_uuid(),
        lease_owner,
        error,
        attempts,
        now,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(gave_up == Some(true))
}

/// Whether any tenant is being onboarded.
///
/// # Errors
/// When the database fails.
pub async fn has_provisioning(db: &MasterDb) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenants
                          where status = 'provisioning' and onboarding_sealed is not null) as "any!""#
    )
    .fetch_one(db.pool())
    .await?)
}

/// Removes a tenant that never came to be.
///
/// # Errors
/// When the database fails.
pub async fn delete_provisioning(
    tx: &mut MasterTx,
    id: TenantId,
    lease_owner: Uuid,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "delete from tenants where id = $1 and status = 'provisioning' and lease_owner = $2",
        id.as_uuid(),
        lease_owner,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

//! `tenant_restores`: restores under way, and what the registry says of a tenant that comes back.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::tenants::{self, TenantRecord};
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{ShardId, SubscriptionId, TenantId};
use crate::domain::tenant::{Niche, RestoreMode};
use crate::domain::tenant_key::TenantKey;

/// A tenant to be, made from a snapshot.
#[derive(Debug, Clone)]
pub struct RestoredTenant {
    /// Its id: its former one, or a new one for a copy.
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
    /// Address of the first user.
    pub owner_email: String,
    /// Why it is suspended, when it is: it comes back as it was.
    pub suspended_reason: Option<String>,
    /// The moment of the restore.
    pub now: DateTime<Utc>,
}

/// A restore under way.
#[derive(Debug, Clone)]
pub struct RestoreRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub tenant: TenantRecord,
    /// What the tenant is without it.
    pub mode: RestoreMode,
    /// What is to be written when the rows are there.
    pub outcome: Value,
}

/// Places a tenant whose rows are about to come. Constraint `tenants_tenant_key_key` refuses a key that is taken.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_restored(tx: &mut MasterTx, new: &RestoredTenant) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenants (id, tenant_key, name, niche, schema_name, role_name, shard_id, lane, status, document,
                              owner_email, suspended_reason, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'provisioning', $9, $10, $11, $12, $12)",
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
        new.suspended_reason,
        new.now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that a restore begins. Constraint `tenant_restores_tenant_id_key` refuses a second one of the same tenant.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_restore(
    tx: &mut MasterTx,
    id: Uuid,
    (tenant, mode): (TenantId, RestoreMode),
    outcome: &Value,
    lease_expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenant_restores (id, tenant_id, mode, outcome, lease_expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        id,
        tenant.as_uuid(),
        mode.as_str(),
        outcome,
        lease_expires_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a restore is still under way: nobody has finished it or taken it back.
///
/// # Errors
/// When the database fails.
pub async fn is_under_way(db: &MasterDb, id: Uuid) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_restores where id = $1) as "any!""#,
        id
    )
    .fetch_one(db.pool())
    .await?)
}

/// Whether any restore of this tenant is under way.
///
/// # Errors
/// When the database fails.
pub async fn is_being_restored(tx: &mut MasterTx, tenant: TenantId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_restores where tenant_id = $1) as "any!""#,
        tenant.as_uuid()
    )
    .fetch_one(tx.connection())
    .await?)
}

/// The oldest restore whose worker should have ended. It is not offered again before `lease_expires_at`.
///
/// # Errors
/// When the database fails.
pub async fn claim_expired(
    db: &MasterDb,
    lease_expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, DbError> {
    Ok(sqlx::query_scalar!(
        "update tenant_restores r set lease_expires_at = $1
         where r.id = (select u.id from tenant_restores u
                       where u.lease_expires_at < $2
                       order by u.lease_expires_at limit 1 for update skip locked)
         returning r.id",
        lease_expires_at,
        now,
    )
    .fetch_optional(db.pool())
    .await?)
}

/// A restore under way and its tenant, both locked until the transaction ends; `None` when it is over.
///
/// # Errors
/// When the database fails.
pub async fn lock_restore(tx: &mut MasterTx, id: Uuid) -> Result<Option<RestoreRecord>, DbError> {
    let found = sqlx::query!(
        "select tenant_id, mode, outcome from tenant_restores where id = $1 for update",
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(found) = found else { return Ok(None) };
    let tenant = tenants::lock_by_id(tx, TenantId::from_uuid(found.tenant_id)).await?;
    let mode = found.mode.parse().map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: "tenant_restores.mode holds an unknown value".to_owned(),
    })?;
    Ok(tenant.map(|tenant| RestoreRecord {
        id,
        tenant,
        mode,
        outcome: found.outcome,
    }))
}

/// Ends a restore: it is done, or was taken back.
///
/// # Errors
/// When the database fails.
pub async fn delete_restore(tx: &mut MasterTx, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("delete from tenant_restores where id = $1", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Serves a tenant that a restore has made or brought back, unless it was suspended: then it is that again.
///
/// # Errors
/// When the database fails.
pub async fn activate_restored(
    tx: &mut MasterTx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants
         set status = case when suspended_reason is null then 'active' else 'suspended' end,
             suspended_at = case when suspended_reason is not null then coalesce(suspended_at, $2) end,
             lease_owner = null, lease_expires_at = null, activated_at = $2, updated_at = $2, epoch = epoch + 1
         where id = $1 and status in ('provisioning', 'restoring')",
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a tenant whose restore has come to nothing.
///
/// # Errors
/// When the database fails.
pub async fn delete_unrestored(tx: &mut MasterTx, tenant: TenantId) -> Result<(), DbError> {
    sqlx::query!(
        "delete from tenants where id = $1 and status = 'provisioning'",
        tenant.as_uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Tells every process that the tenant's schema is another than before.
///
/// # Errors
/// When the database fails.
pub async fn raise_epoch(tx: &mut MasterTx, tenant: TenantId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants set epoch = epoch + 1, updated_at = $2 where id = $1",
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The key that the tenant of this id has now, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn find_key_of(tx: &mut MasterTx, tenant: TenantId) -> Result<Option<String>, DbError> {
    Ok(
        sqlx::query_scalar!("select tenant_key from tenants where id = $1", tenant.as_uuid())
            .fetch_optional(tx.connection())
            .await?,
    )
}

/// What a tenant that comes back has bought: a version of a plan, by the plan's code.
#[derive(Debug, Clone)]
pub struct RestoredSubscription {
    /// Code of the plan.
    pub plan: String,
    /// Version of the plan; `None` for the newest.
    pub version: Option<i32>,
    /// What was last decided; anything but `canceled`.
    pub status: String,
    /// When the trial ends.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// Since when payment is due.
    pub past_due_at: Option<DateTime<Utc>>,
    /// Begin of the period.
    pub period_start: DateTime<Utc>,
    /// End of the period.
    pub period_end: DateTime<Utc>,
    /// Local day of the month on which periods begin.
    pub anchor_day: i16,
}

/// Gives a restored tenant its subscription; `false` when there is no such plan.
///
/// # Errors
/// When the database fails.
pub async fn insert_restored_subscription(
    tx: &mut MasterTx,
    tenant: TenantId,
    new: &RestoredSubscription,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "insert into subscriptions (id, tenant_id, plan_version_id, status, started_at, trial_ends_at, past_due_at,
                                    suspended_at, current_period_start, current_period_end, anchor_day,
                                    cancel_at_period_end, created_at, updated_at)
         select $1, $2, v.id, $3::text, $4::timestamptz, $5, $6::timestamptz,
                case when $3::text = 'suspended' then coalesce($6::timestamptz, $4::timestamptz) end, $7, $8, $9,
                -- A copy is served for its time, and not for free for ever.
                p.code = 'sandbox', $4::timestamptz, $4::timestamptz
         from plan_versions v join plans p on p.id = v.plan_id
         where p.code = $10 and v.published_at is not null and ($11::int4 is null or v.version = $11)
         order by v.version desc limit 1",
        SubscriptionId::new().as_uuid(),
        tenant.as_uuid(),
        new.status,
        now,
        new.trial_ends_at,
        new.past_due_at,
        new.period_start,
        new.period_end,
        new.anchor_day,
        new.plan,
        new.version,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts a restored tenant's usage again from the ledger, which outlived it: the counters went with the tenant's row.
///
/// # Errors
/// When the database fails.
pub async fn count_usage_again(
    tx: &mut MasterTx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        // Of what is counted again nobody is told a second time.
        "insert into usage_counters (tenant_id, meter, period_start, limit_value, used, alerted, created_at, updated_at)
         select e.tenant_id, e.meter, e.period_start, e.its_limit, e.used,
                case when e.its_limit > 0 and e.used >= e.its_limit then 100
                     when e.its_limit > 0 and e.used::numeric * 100 >= e.its_limit::numeric * 80 then 80 else 0 end,
                $2, $2
         from (select tenant_id, meter, period_start, usage_limit(tenant_id, meter) as its_limit, sum(amount)::int8 as used
               from usage_events where tenant_id = $1 group by tenant_id, meter, period_start) e
         on conflict on constraint usage_counters_pkey do nothing",
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The restore that is under way for the tenant of this key.
///
/// # Errors
/// When the database fails.
pub async fn find_restore_of(db: &MasterDb, key: &TenantKey) -> Result<Option<Uuid>, DbError> {
    Ok(sqlx::query_scalar!(
        "select r.id from tenant_restores r join tenants t on t.id = r.tenant_id where t.tenant_key = $1",
        key.as_str()
    )
    .fetch_optional(db.pool())
    .await?)
}

//! `tenants` and `domains`: which tenants exist, where they live, in which state.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::db::tenant::{LaneAddress, TenantHome};
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::subscription::SubscriptionState;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;

/// What a request needs to know of its tenant.
#[derive(Debug, Clone)]
pub struct ResolvedTenant {
    /// Its key.
    pub key: TenantKey,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: Niche,
    /// Where it lives.
    pub home: Arc<TenantHome>,
    /// Raised by each move.
    pub epoch: i64,
    /// Its state in the registry.
    pub status: TenantStatus,
    /// Its living subscription; `None` when canceled or never made.
    pub subscription: Option<SubscriptionState>,
}

/// A tenant as administrators see it.
#[derive(Debug, Clone)]
pub struct TenantRecord {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: String,
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// Its shard.
    pub shard: ShardId,
    /// The login of its lane.
    pub login: String,
    /// Its state.
    pub status: TenantStatus,
    /// CPF or CNPJ.
    pub document: Option<String>,
    /// E-mail address of the first user.
    pub owner_email: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// Why it is suspended.
    pub suspended_reason: Option<String>,
}

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

struct TenantRow {
    id: Uuid,
    tenant_key: String,
    name: String,
    niche: String,
    schema_name: String,
    role_name: String,
    shard_id: Uuid,
    login: String,
    status: String,
    document: Option<String>,
    owner_email: String,
    created_at: DateTime<Utc>,
    suspended_reason: Option<String>,
}

impl TryFrom<TenantRow> for TenantRecord {
    type Error = DbError;

    fn try_from(row: TenantRow) -> Result<Self, DbError> {
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            key: row.tenant_key,
            name: row.name,
            niche: row.niche,
            schema: row.schema_name,
            role: row.role_name,
            shard: ShardId::from_uuid(row.shard_id),
            login: row.login,
            status: row.status.parse().map_err(|_| unknown("status"))?,
            document: row.document,
            owner_email: row.owner_email,
            created_at: row.created_at,
            suspended_reason: row.suspended_reason,
        })
    }
}

fn unknown(column: &str) -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: format!("tenants.{column} holds an unknown value"),
    }
}

/// The tenant of this key, whatever its state.
///
/// # Errors
/// When the database fails.
pub async fn find_by_key(db: &MasterDb, key: &TenantKey) -> Result<Option<ResolvedTenant>, DbError> {
    let row = sqlx::query!(
        r#"select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.epoch, t.status,
                  s.status as "subscription_status?", s.trial_ends_at as "trial_ends_at?",
                  s.past_due_at as "past_due_at?"
           from tenants t
           join lanes l on l.shard_id = t.shard_id and l.number = t.lane
           left join subscriptions s on s.tenant_id = t.id and s.status <> 'canceled'
           where t.tenant_key = $1"#,
        key.as_str(),
    )
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let subscription = match row.subscription_status {
        Some(status) => Some(SubscriptionState {
            status: status.parse().map_err(|_| unknown("subscription"))?,
            trial_ends_at: row.trial_ends_at,
            past_due_at: row.past_due_at,
        }),
        None => None,
    };
    Ok(Some(ResolvedTenant {
        key: TenantKey::parse(&row.tenant_key).map_err(|_| unknown("tenant_key"))?,
        name: row.name,
        niche: Niche::parse(&row.niche).map_err(|_| unknown("niche"))?,
        home: Arc::new(TenantHome {
            id: TenantId::from_uuid(row.id),
            lane: LaneAddress {
                shard: ShardId::from_uuid(row.shard_id),
                login: row.login,
            },
            schema: row.schema_name,
            role: row.role_name,
        }),
        epoch: row.epoch,
        status: row.status.parse().map_err(|_| unknown("status"))?,
        subscription,
    }))
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
    key.map(|key| TenantKey::parse(&key).map_err(|_| unknown("tenant_key")))
        .transpose()
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
         set status = 'active', activated_at = $3, updated_at = $3, onboarding_sealed = null,
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

/// Takes over one onboarding whose worker is gone.
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
         set lease_owner = $1, lease_expires_at = $2, updated_at = $3
         where t.id = (select u.id from tenants u
                       where u.status = 'provisioning' and u.lease_expires_at < $3
                         and ($4::uuid is null or u.id = $4)
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
    let row = sqlx::query_as!(
        TenantRow,
        "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                t.owner_email, t.created_at, t.suspended_reason
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.id = $1",
        id,
    )
    .fetch_one(tx.connection())
    .await?;
    let onboarding_sealed = sqlx::query_scalar!(
        r#"select onboarding_sealed as "sealed!" from tenants where id = $1"#,
        id
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(Unfinished {
        tenant: row.try_into()?,
        onboarding_sealed,
    }))
}

/// Whether any tenant is being made.
///
/// # Errors
/// When the database fails.
pub async fn has_provisioning(db: &MasterDb) -> Result<bool, DbError> {
    Ok(
        sqlx::query_scalar!(r#"select exists (select from tenants where status = 'provisioning') as "any!""#)
            .fetch_one(db.pool())
            .await?,
    )
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

/// A tenant as administrators see it.
///
/// # Errors
/// When the database fails.
pub async fn find_record(db: &MasterDb, key: &TenantKey) -> Result<Option<TenantRecord>, DbError> {
    let row = sqlx::query_as!(
        TenantRow,
        "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                t.owner_email, t.created_at, t.suspended_reason
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.tenant_key = $1",
        key.as_str(),
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(TenantRecord::try_from).transpose()
}

/// A tenant, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_by_key(tx: &mut MasterTx, key: &TenantKey) -> Result<Option<TenantRecord>, DbError> {
    let row = sqlx::query_as!(
        TenantRow,
        "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                t.owner_email, t.created_at, t.suspended_reason
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.tenant_key = $1 for update of t",
        key.as_str(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(TenantRecord::try_from).transpose()
}

/// A filter of [`list`]; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct TenantFilter {
    /// In this state.
    pub status: Option<TenantStatus>,
    /// Of this niche.
    pub niche: Option<String>,
    /// With this text in key, name or owner's address.
    pub text: Option<String>,
}

/// Tenants, newest first, after the cursor `(created_at, id)`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &MasterDb,
    filter: &TenantFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<TenantRecord>, DbError> {
    let (after_at, after_id) = after.unzip();
    let pattern = filter.text.as_ref().map(|text| {
        let escaped = text
            .to_lowercase()
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        format!("%{escaped}%")
    });
    let rows = sqlx::query_as!(
        TenantRow,
        "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                t.owner_email, t.created_at, t.suspended_reason
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where ($1::text is null or t.status = $1)
           and ($2::text is null or t.niche = $2)
           and ($3::text is null or t.tenant_key like $3 or lower(t.name) like $3 or t.owner_email like $3)
           and ($4::timestamptz is null or (t.created_at, t.id) < ($4, $5))
         order by t.created_at desc, t.id desc
         limit $6",
        filter.status.map(TenantStatus::as_str),
        filter.niche,
        pattern,
        after_at,
        after_id,
        limit,
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(TenantRecord::try_from).collect()
}

/// Notes a suspension or its end.
///
/// # Errors
/// When the database fails.
pub async fn set_status(
    tx: &mut MasterTx,
    id: TenantId,
    status: TenantStatus,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants
         set status = $2, suspended_reason = $3, updated_at = $4,
             suspended_at = case when $2 = 'suspended' then $4::timestamptz end
         where id = $1",
        id.as_uuid(),
        status.as_str(),
        reason,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

//! `tenants` and `domains`: which tenants exist, where they live, in which state.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::plans::limits;
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::db::shard::template::Template;
use crate::db::tenant::{LaneAddress, TenantHome};
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::metering::Exhausted;
use crate::domain::plan::PlanLimit;
use crate::domain::settings::Language;
use crate::domain::subscription::SubscriptionState;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::domain::usage::STORAGE;

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
    /// Whether its schema is older than this program serves.
    pub upgrading: bool,
    /// Its living subscription; `None` when canceled or never made.
    pub subscription: Option<SubscriptionState>,
    /// What the plan of that subscription includes.
    pub limits: Vec<PlanLimit>,
    /// Bytes that it takes on disks, as of the time when it was read here.
    pub storage_bytes: i64,
}

impl ResolvedTenant {
    /// How much of `meter` the plan includes; nothing when it does not name it, `None` when it sets no limit.
    pub fn limit_of(&self, meter: &str) -> Option<i64> {
        let named = self.limits.iter().find(|limit| limit.meter == meter);
        named.map_or(Some(0), |limit| limit.limit)
    }

    /// The numbers, when it has come to the end of the storage that its plan includes.
    pub fn storage_exhausted(&self) -> Option<Exhausted> {
        let limit = self.limit_of(STORAGE)?;
        (self.storage_bytes > 0 && self.storage_bytes >= limit).then_some(Exhausted {
            limit,
            used: self.storage_bytes,
            reserved: 0,
        })
    }
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
    /// Raised by each change that an administrator makes.
    pub version: i32,
    /// How often its onboarding was taken up again.
    pub onboarding_attempts: i32,
    /// Why the last of these attempts did not succeed.
    pub onboarding_error: Option<String>,
}

/// As selected everywhere: the columns of [`TenantRecord`].
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
    version: i32,
    onboarding_attempts: i32,
    onboarding_error: Option<String>,
}

/// Selects tenants as [`TenantRow`]: what comes after `from`, and its parameters.
macro_rules! tenant_rows {
    ($rest:literal $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            TenantRow,
            "select t.id, t.tenant_key, t.name, t.niche, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.document,
                    t.owner_email, t.created_at, t.suspended_reason, t.version, t.onboarding_attempts, t.onboarding_error
             from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane " + $rest
            $(, $parameter)*
        )
    };
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
            version: row.version,
            onboarding_attempts: row.onboarding_attempts,
            onboarding_error: row.onboarding_error,
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
                  s.past_due_at as "past_due_at?",
                  coalesce(d.schema_bytes + d.file_bytes, 0) as "storage_bytes!",
                  array(select p.meter from plan_limits p where p.plan_version_id = s.plan_version_id order by p.meter)
                      as "meters!",
                  array(select coalesce(p.limit_value, -1) from plan_limits p where p.plan_version_id = s.plan_version_id
                        order by p.meter) as "limits!",
                  array(select m.ledger from tenant_migrations m where m.tenant_id = t.id order by m.ledger)
                      as "ledgers!",
                  array(select m.version from tenant_migrations m where m.tenant_id = t.id order by m.ledger)
                      as "versions!"
           from tenants t
           join lanes l on l.shard_id = t.shard_id and l.number = t.lane
           left join subscriptions s on s.tenant_id = t.id and s.status <> 'canceled'
           left join tenant_storage d on d.tenant_id = t.id
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
    let niche = Niche::parse(&row.niche).map_err(|_| unknown("niche"))?;
    let versions: Vec<(String, i32)> = row.ledgers.into_iter().zip(row.versions).collect();
    Ok(Some(ResolvedTenant {
        key: TenantKey::parse(&row.tenant_key).map_err(|_| unknown("tenant_key"))?,
        name: row.name,
        upgrading: Template::embedded()?.is_too_old(&niche, &versions),
        niche,
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
        limits: limits(row.meters, row.limits),
        storage_bytes: row.storage_bytes,
    }))
}

/// The served tenant of this id.
///
/// # Errors
/// When the database fails.
pub async fn find_active_by_id(db: &MasterDb, id: TenantId) -> Result<Option<ResolvedTenant>, DbError> {
    let key = sqlx::query_scalar!(
        "select tenant_key from tenants where id = $1 and status = 'active'",
        id.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    let key = key.map(|key| TenantKey::parse(&key).map_err(|_| unknown("tenant_key")));
    match key.transpose()? {
        Some(key) => Ok(find_by_key(db, &key).await?.filter(|tenant| tenant.home.id == id)),
        None => Ok(None),
    }
}

/// A tenant as administrators see it.
///
/// # Errors
/// When the database fails.
pub async fn find_record(db: &MasterDb, key: &TenantKey) -> Result<Option<TenantRecord>, DbError> {
    let row = tenant_rows!("where t.tenant_key = $1", key.as_str(),)
        .fetch_optional(db.pool())
        .await?;
    row.map(TenantRecord::try_from).transpose()
}

/// A tenant, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_by_key(tx: &mut MasterTx, key: &TenantKey) -> Result<Option<TenantRecord>, DbError> {
    let row = tenant_rows!("where t.tenant_key = $1 for update of t", key.as_str(),)
        .fetch_optional(tx.connection())
        .await?;
    row.map(TenantRecord::try_from).transpose()
}

/// The tenant of this id, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_by_id(tx: &mut MasterTx, id: TenantId) -> Result<Option<TenantRecord>, DbError> {
    let row = tenant_rows!("where t.id = $1 for update of t", id.as_uuid(),)
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
    /// With this text in key, name or owner's address, accents ignored, or with this CPF or CNPJ.
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
    let rows = tenant_rows!(
        r"where ($1::text is null or t.status = $1)
           and ($2::text is null or t.niche = $2)
           and ($3::text is null
                or position(
                    lower(translate($3, E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
                                    'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))
                    in lower(translate(t.tenant_key || ' ' || t.name || ' ' || t.owner_email,
                        E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
                        'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))) > 0
                or t.document = upper(translate($3, './- ', '')))
           and ($4::timestamptz is null or (t.created_at, t.id) < ($4, $5))
         order by t.created_at desc, t.id desc
         limit $6",
        filter.status.map(TenantStatus::as_str),
        filter.niche,
        filter.text,
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
         set status = $2, suspended_reason = $3, updated_at = $4, version = version + 1,
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

/// Notes in which language a tenant is written to.
///
/// # Errors
/// When the database fails.
pub async fn set_language(
    db: &MasterDb,
    id: TenantId,
    language: Language,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants set language = $2, updated_at = $3 where id = $1 and language <> $2",
        id.as_uuid(),
        language.as_str(),
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Corrects what is known of a tenant; `document` is `Some(None)` to empty it.
///
/// # Errors
/// When the database fails.
pub async fn update_details(
    tx: &mut MasterTx,
    id: TenantId,
    name: Option<&str>,
    document: Option<Option<&str>>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants
         set name = coalesce($2, name), document = case when $3 then $4 else document end,
             version = version + 1, updated_at = $5
         where id = $1",
        id.as_uuid(),
        name,
        document.is_some(),
        document.flatten(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

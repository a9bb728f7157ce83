//! Holds whose time is over, and reservations that nobody asks about any more.

use chrono::{DateTime, NaiveDate, Utc};

use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::tenant::{LaneAddress, TenantHome};
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::metering::UsageKey;
use crate::domain::usage::Meter;

/// A hold that nobody came back for, and where its tenant lives.
#[derive(Debug, Clone)]
pub struct DueHold {
    /// Whose.
    pub home: TenantHome,
    /// Its name.
    pub key: UsageKey,
    /// How much it holds.
    pub amount: i64,
}

/// Holds that were over at `now`, tenant by tenant, at most `limit` of them, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_due(db: &MasterDb, now: DateTime<Utc>, limit: i64) -> Result<Vec<DueHold>, DbError> {
    let rows = sqlx::query!(
        "with due as (
             select r.tenant_id, r.key, r.amount from usage_reservations r
             where r.state = 'held' and r.expires_at <= $1 order by r.expires_at limit $2)
         select d.tenant_id, d.key, d.amount, t.schema_name, t.role_name, t.shard_id, l.login
         from due d
         join tenants t on t.id = d.tenant_id
         join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         order by d.tenant_id, d.key",
        now,
        limit,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DueHold {
            home: TenantHome {
                id: TenantId::from_uuid(row.tenant_id),
                lane: LaneAddress {
                    shard: ShardId::from_uuid(row.shard_id),
                    login: row.login,
                },
                schema: row.schema_name,
                role: row.role_name,
            },
            key: UsageKey::stored(row.key),
            amount: row.amount,
        })
        .collect())
}

/// Lets holds of a tenant go that are over still; how many of each meter it was.
///
/// # Errors
/// When the database fails.
pub async fn expire(
    db: &MasterDb,
    tenant: TenantId,
    keys: &[UsageKey],
    now: DateTime<Utc>,
) -> Result<Vec<(Meter, u64)>, DbError> {
    let rows = sqlx::query!(
        r#"select its_meter as "its_meter!", holds as "holds!" from expire_usage($1, $2, $3)"#,
        tenant.as_uuid(),
        &texts(keys),
        now,
    )
    .fetch_all(db.pool())
    .await?;
    let read = |word: &str| Meter::parse(word).ok();
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((read(&row.its_meter)?, row.holds.unsigned_abs())))
        .collect())
}

/// Holds what is over still until `until`; how many it was.
///
/// # Errors
/// When the database fails.
pub async fn extend(
    db: &MasterDb,
    tenant: TenantId,
    keys: &[UsageKey],
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<u64, DbError> {
    let extended = sqlx::query!(
        "update usage_reservations r set expires_at = $4, updated_at = $3
         from (select h.key from usage_reservations h
               where h.tenant_id = $1 and h.key = any ($2) and h.state = 'held' and h.expires_at <= $3
               order by h.key for update) due
         where r.tenant_id = $1 and r.key = due.key",
        tenant.as_uuid(),
        &texts(keys),
        now,
        until,
    )
    .execute(db.pool())
    .await?;
    Ok(extended.rows_affected())
}

/// Removes reservations of months before `month` that nothing has changed since `changed`; how many it was, at most `limit`.
/// What was used stays in the ledger, which knows their keys.
///
/// # Errors
/// When the database fails.
pub async fn remove_over(
    db: &MasterDb,
    month: NaiveDate,
    changed: DateTime<Utc>,
    limit: i64,
) -> Result<u64, DbError> {
    let removed = sqlx::query!(
        "delete from usage_reservations r
         using (select o.tenant_id, o.key from usage_reservations o
                where o.period_start < $1 and o.state <> 'held' and o.updated_at < $2
                order by o.period_start limit $3 for update skip locked) over
         where r.tenant_id = over.tenant_id and r.key = over.key",
        month,
        changed,
        limit,
    )
    .execute(db.pool())
    .await?;
    Ok(removed.rows_affected())
}

fn texts(keys: &[UsageKey]) -> Vec<String> {
    keys.iter().map(|key| key.as_str().to_owned()).collect()
}

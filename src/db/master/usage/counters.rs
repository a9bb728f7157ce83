//! `usage_counters`: what each tenant has consumed, by month, what that has made us say, and whether it adds up.

use chrono::NaiveDate;

use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::domain::ids::TenantId;
use crate::domain::usage::{Meter, MeterUse, UsageAlert};

/// A counter that is not what its ledger and its holds add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// Whose.
    pub tenant_key: String,
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub meter: String,
    /// The month.
    pub period: NaiveDate,
    /// What the counter says was used.
    pub used: i64,
    /// What the ledger says.
    pub booked: i64,
    /// What the counter says is reserved.
    pub reserved: i64,
    /// What the holds say.
    pub held: i64,
}

/// Every meter of a tenant in the month that begins on `period`. A counter is made when it is first used and has its
/// limit from then on; before, the plan says it, and what the plan does not include has the limit 0. Last the storage, which
/// has no month.
///
/// # Errors
/// When the database fails.
pub async fn list_meters(
    db: &MasterDb,
    tenant: TenantId,
    period: NaiveDate,
) -> Result<Vec<MeterUse>, DbError> {
    let meters: Vec<String> = Meter::WORDS.iter().map(|word| (*word).to_owned()).collect();
    let rows = sqlx::query!(
        r#"select m.meter as "meter!",
                  case when c.meter is not null then c.limit_value when l.meter is not null then l.limit_value else 0 end as "limit",
                  coalesce(c.used, 0) as "used!", coalesce(c.reserved, 0) as "reserved!"
           from unnest($3::text[]) as m (meter)
           left join usage_counters c on c.tenant_id = $1 and c.meter = m.meter and c.period_start = $2
           left join subscriptions s on s.tenant_id = $1 and s.status <> 'canceled'
           left join plan_limits l on l.plan_version_id = s.plan_version_id and l.meter = m.meter
           union all
           select 'storage_bytes', usage_limit($1, 'storage_bytes'),
                  coalesce((select s.schema_bytes + s.file_bytes from tenant_storage s where s.tenant_id = $1), 0), 0"#,
        tenant.as_uuid(),
        period,
        &meters,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| MeterUse {
            meter: row.meter,
            limit: row.limit,
            used: row.used,
            reserved: row.reserved,
        })
        .collect())
}

/// The alerts of a tenant's month, in the order in which they were written.
///
/// # Errors
/// When the database fails.
pub async fn list_alerts(
    db: &MasterDb,
    tenant: TenantId,
    period: NaiveDate,
) -> Result<Vec<UsageAlert>, DbError> {
    let rows = sqlx::query!(
        "select meter, threshold, limit_value, used, created_at from usage_alerts
         where tenant_id = $1 and period_start = $2
         order by created_at, meter, threshold",
        tenant.as_uuid(),
        period,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UsageAlert {
            meter: row.meter,
            threshold: row.threshold,
            limit: row.limit_value,
            used: row.used,
            reached_at: row.created_at,
        })
        .collect())
}

/// Every counter of the months from `since` on that does not add up, seen at one moment.
///
/// # Errors
/// When the database fails.
pub async fn list_discrepancies(db: &MasterDb, since: NaiveDate) -> Result<Vec<Discrepancy>, DbError> {
    let rows = sqlx::query!(
        r#"select tenant_key as "tenant_key!", tenant_id as "tenant_id!", meter as "meter!", period_start as "period_start!",
                  used as "used!", booked as "booked!", reserved as "reserved!", held as "held!"
           from usage_discrepancies_since($1)"#,
        since,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Discrepancy {
            tenant_key: row.tenant_key,
            tenant: TenantId::from_uuid(row.tenant_id),
            meter: row.meter,
            period: row.period_start,
            used: row.used,
            booked: row.booked,
            reserved: row.reserved,
            held: row.held,
        })
        .collect())
}

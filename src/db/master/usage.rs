//! `usage_counters`: what each tenant has consumed, by month.

use chrono::NaiveDate;

use super::MasterDb;
use crate::db::DbError;
use crate::domain::ids::TenantId;
use crate::domain::usage::{Meter, MeterUse};

/// Every meter of a tenant in the month that begins on `period`. A counter is made when it is first used and has its
/// limit from then on; before, the plan says it, and what the plan does not include has the limit 0.
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
           from unnest($3::text[]) with ordinality as m (meter, position)
           left join usage_counters c on c.tenant_id = $1 and c.meter = m.meter and c.period_start = $2
           left join subscriptions s on s.tenant_id = $1 and s.status <> 'canceled'
           left join plan_limits l on l.plan_version_id = s.plan_version_id and l.meter = m.meter
           order by m.position"#,
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

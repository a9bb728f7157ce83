//! `plans` and their immutable versions.

use super::MasterDb;
use crate::db::DbError;
use crate::domain::ids::PlanVersionId;
use crate::domain::plan::PlanLimit;

/// The newest published version of a plan.
#[derive(Debug, Clone)]
pub struct PlanRecord {
    /// The plan's code.
    pub code: String,
    /// The plan's name.
    pub name: String,
    /// The version's id.
    pub version_id: PlanVersionId,
    /// The version's number.
    pub version: i32,
    /// Price of a month.
    pub price_cents: i64,
    /// Days of the trial.
    pub trial_days: i32,
    /// How much of everything it includes.
    pub limits: Vec<PlanLimit>,
    /// Living subscriptions of any of its versions.
    pub subscriptions: i64,
}

/// What is for sale: the newest published version of each active plan, cheapest first; or of one plan.
///
/// # Errors
/// When the database fails.
pub async fn list_plans(db: &MasterDb, code: Option<&str>) -> Result<Vec<PlanRecord>, DbError> {
    let rows = sqlx::query!(
        r#"select p.code, p.name, v.id, v.version, v.price_cents, v.trial_days,
                  array(select l.meter from plan_limits l where l.plan_version_id = v.id order by l.meter) as "meters!",
                  array(select coalesce(l.limit_value, -1) from plan_limits l where l.plan_version_id = v.id
                        order by l.meter) as "limits!",
                  (select count(*) from subscriptions s join plan_versions b on b.id = s.plan_version_id
                   where b.plan_id = p.id and s.status <> 'canceled') as "subscriptions!"
           from plans p
           join lateral (select w.id, w.version, w.price_cents, w.trial_days from plan_versions w
                         where w.plan_id = p.id and w.published_at is not null order by w.version desc limit 1) v on true
           where p.status = 'active' and ($1::text is null or p.code = $1)
           order by v.price_cents, p.code"#,
        code,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PlanRecord {
            code: row.code,
            name: row.name,
            version_id: PlanVersionId::from_uuid(row.id),
            version: row.version,
            price_cents: row.price_cents,
            trial_days: row.trial_days,
            limits: limits(row.meters, row.limits),
            subscriptions: row.subscriptions,
        })
        .collect())
}

/// Pairs what a query has read as two arrays; -1 stands for no limit.
pub(super) fn limits(meters: Vec<String>, limits: Vec<i64>) -> Vec<PlanLimit> {
    let limits = limits.into_iter().map(|limit| (limit >= 0).then_some(limit));
    meters
        .into_iter()
        .zip(limits)
        .map(|(meter, limit)| PlanLimit { meter, limit })
        .collect()
}

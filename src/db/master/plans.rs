//! `plans` and their immutable versions.

use chrono::{DateTime, Utc};

use super::billed::BilledPlan;
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{PlanId, PlanVersionId};
use crate::domain::plan::{PlanCode, PlanLimit, PlanStatus, PlanTerms};

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

/// A plan without its versions.
#[derive(Debug, Clone)]
pub struct PlanHead {
    /// Its id.
    pub id: PlanId,
    /// What programs call it.
    pub code: String,
    /// What people call it.
    pub name: String,
    /// Whether it is for sale.
    pub status: PlanStatus,
}

/// One published version of a plan.
#[derive(Debug, Clone)]
pub struct VersionRecord {
    /// Its number.
    pub version: i32,
    /// Price of a month.
    pub price_cents: i64,
    /// Days of the trial.
    pub trial_days: i32,
    /// How much of everything it includes.
    pub limits: Vec<PlanLimit>,
    /// Since when it is for sale.
    pub published_at: DateTime<Utc>,
    /// Living subscriptions of it.
    pub subscriptions: i64,
}

/// The newest published version of each plan of a status, cheapest first; or of one plan.
///
/// # Errors
/// When the database fails.
pub async fn list_plans(
    db: &MasterDb,
    status: PlanStatus,
    code: Option<&str>,
) -> Result<Vec<PlanRecord>, DbError> {
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
           where p.status = $2 and ($1::text is null or p.code = $1)
           order by v.price_cents, p.code"#,
        code,
        status.as_str(),
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

/// The code of the cheapest plan on sale that includes more than `amount` of something.
///
/// # Errors
/// When the database fails.
pub async fn cheapest_above(db: &MasterDb, meter: &str, amount: i64) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "select p.code
         from plans p
         join lateral (select w.id, w.price_cents from plan_versions w
                       where w.plan_id = p.id and w.published_at is not null order by w.version desc limit 1) v on true
         join plan_limits l on l.plan_version_id = v.id and l.meter = $1
         where p.status = 'active' and (l.limit_value is null or l.limit_value > $2)
         order by v.price_cents, p.code
         limit 1",
        meter,
        amount,
    )
    .fetch_optional(db.pool())
    .await?)
}

/// A plan.
///
/// # Errors
/// When the database fails.
pub async fn find_plan(tx: &mut MasterTx, code: &PlanCode) -> Result<Option<PlanHead>, DbError> {
    let row = sqlx::query!(
        "select id, code, name, status from plans where code = $1",
        code.as_str()
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| {
        Ok(PlanHead {
            id: PlanId::from_uuid(row.id),
            code: row.code,
            name: row.name,
            status: row.status.parse().map_err(|_| DbError::Other {
                code: "driver".to_owned(),
                message: "plans.status holds an unknown value".to_owned(),
            })?,
        })
    })
    .transpose()
}

/// What is sold of a plan today: its newest published version; `None` when it is not for sale.
///
/// # Errors
/// When the database fails.
pub async fn find_offer(tx: &mut MasterTx, code: &PlanCode) -> Result<Option<BilledPlan>, DbError> {
    let row = sqlx::query!(
        "select v.id, p.code, p.name, v.price_cents
         from plans p join plan_versions v on v.plan_id = p.id
         where p.code = $1 and p.status = 'active' and v.published_at is not null
         order by v.version desc limit 1",
        code.as_str(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| BilledPlan::new(row.id, row.code, row.name, row.price_cents))
        .transpose()
}

/// A plan, locked until the transaction ends: its next version has a number of its own.
///
/// # Errors
/// When the database fails.
pub async fn lock_plan(tx: &mut MasterTx, code: &PlanCode) -> Result<Option<PlanHead>, DbError> {
    sqlx::query!("select id from plans where code = $1 for update", code.as_str())
        .fetch_optional(tx.connection())
        .await?;
    find_plan(tx, code).await
}

/// The published versions of a plan, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_versions(tx: &mut MasterTx, plan: PlanId) -> Result<Vec<VersionRecord>, DbError> {
    let rows = sqlx::query!(
        r#"select v.version, v.price_cents, v.trial_days, v.published_at as "published_at!",
                  array(select l.meter from plan_limits l where l.plan_version_id = v.id order by l.meter) as "meters!",
                  array(select coalesce(l.limit_value, -1) from plan_limits l where l.plan_version_id = v.id
                        order by l.meter) as "limits!",
                  (select count(*) from subscriptions s
                   where s.plan_version_id = v.id and s.status <> 'canceled') as "subscriptions!"
           from plan_versions v
           where v.plan_id = $1 and v.published_at is not null
           order by v.version desc"#,
        plan.as_uuid(),
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| VersionRecord {
            version: row.version,
            price_cents: row.price_cents,
            trial_days: row.trial_days,
            limits: limits(row.meters, row.limits),
            published_at: row.published_at,
            subscriptions: row.subscriptions,
        })
        .collect())
}

/// Adds a plan without versions; `None` when there is one of this code.
///
/// # Errors
/// When the database fails.
pub async fn insert_plan(
    tx: &mut MasterTx,
    code: &PlanCode,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<PlanHead>, DbError> {
    let id = PlanId::new();
    let inserted = sqlx::query!(
        "insert into plans (id, code, name, status, created_at, updated_at)
         values ($1, $2, $3, 'active', $4, $4) on conflict (code) do nothing",
        id.as_uuid(),
        code.as_str(),
        name,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok((inserted.rows_affected() == 1).then(|| PlanHead {
        id,
        code: code.to_string(),
        name: name.to_owned(),
        status: PlanStatus::Active,
    }))
}

/// Publishes the next version of a plan, which is locked. From here on the database refuses to change it.
///
/// # Errors
/// When the database fails.
pub async fn publish_version(
    tx: &mut MasterTx,
    plan: PlanId,
    terms: &PlanTerms,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let version = PlanVersionId::new();
    sqlx::query!(
        "insert into plan_versions (id, plan_id, version, price_cents, currency, trial_days, published_at, created_at)
         select $1, $2, coalesce(max(v.version), 0) + 1, $3, 'BRL', $4, null, $5 from plan_versions v where v.plan_id = $2",
        version.as_uuid(),
        plan.as_uuid(),
        terms.price.get(),
        terms.trial_days,
        now,
    )
    .execute(tx.connection())
    .await?;
    let meters: Vec<String> = terms.limits.iter().map(|limit| limit.meter.clone()).collect();
    let values: Vec<Option<i64>> = terms.limits.iter().map(|limit| limit.limit).collect();
    sqlx::query!(
        "insert into plan_limits (plan_version_id, meter, limit_value)
         select $1, l.meter, l.value from unnest($2::text[], $3::int8[]) as l (meter, value)",
        version.as_uuid(),
        &meters,
        &values as &[Option<i64>],
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update plan_versions set published_at = $2 where id = $1",
        version.as_uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Renames a plan, takes it off the market or puts it there again.
///
/// # Errors
/// When the database fails.
pub async fn update_plan(tx: &mut MasterTx, plan: &PlanHead, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update plans set name = $2, status = $3, updated_at = $4 where id = $1",
        plan.id.as_uuid(),
        plan.name,
        plan.status.as_str(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
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

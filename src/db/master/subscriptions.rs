//! `subscriptions`: what each tenant has bought.

use chrono::{DateTime, Utc};

use super::plans::limits;
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{PlanVersionId, SubscriptionId, TenantId};
use crate::domain::page::{Cursor, Limit};
use crate::domain::plan::PlanLimit;
use crate::domain::subscription::{SubscriptionState, SubscriptionStatus};
use crate::domain::tenant_key::TenantKey;

/// A subscription to be.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub plan_version: PlanVersionId,
    /// How it begins.
    pub beginning: Beginning,
    /// End of the first period; of one that awaits its payment, as it would be if that came at once.
    pub period_end: DateTime<Utc>,
    /// Local day of the month on which periods begin.
    pub anchor_day: i16,
    /// The moment of the onboarding.
    pub now: DateTime<Utc>,
}

/// How a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With a trial until then.
    Trial(DateTime<Utc>),
    /// With nothing to pay.
    Active,
    /// With its first payment: suspended until then.
    AwaitsPayment,
}

/// A subscription, with what its plan says.
#[derive(Debug, Clone)]
pub struct SubscriptionRecord {
    /// Its id.
    pub id: SubscriptionId,
    /// Its tenant's key.
    pub tenant_key: String,
    /// Its tenant's display name.
    pub tenant_name: String,
    /// What was last decided; what counts is derived from it with the clock.
    pub state: SubscriptionState,
    /// The plan's code.
    pub plan: String,
    /// The plan's name.
    pub plan_name: String,
    /// The plan's version.
    pub plan_version: i32,
    /// Price of a month.
    pub price_cents: i64,
    /// How much of everything the plan includes.
    pub limits: Vec<PlanLimit>,
    /// Begin of the period.
    pub current_period_start: DateTime<Utc>,
    /// End of the period.
    pub current_period_end: DateTime<Utc>,
    /// Code of the plan from the next period on, when that is another.
    pub next_plan: Option<String>,
    /// Whether it ends with what is paid.
    pub cancel_at_period_end: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Begins a subscription.
///
/// # Errors
/// `subscriptions_tenant_id_living_key` when the tenant has one; or when the database fails.
pub async fn insert_subscription(tx: &mut MasterTx, new: &NewSubscription) -> Result<(), DbError> {
    let (status, trial_ends_at, due) = match new.beginning {
        Beginning::Trial(end) => (SubscriptionStatus::Trialing, Some(end), None),
        Beginning::Active => (SubscriptionStatus::Active, None, None),
        Beginning::AwaitsPayment => (SubscriptionStatus::Suspended, None, Some(new.now)),
    };
    sqlx::query!(
        "insert into subscriptions (id, tenant_id, plan_version_id, status, started_at, trial_ends_at, past_due_at, suspended_at,
                                    current_period_start, current_period_end, anchor_day, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $5, $8, $9, $5, $5)",
        new.id.as_uuid(),
        new.tenant.as_uuid(),
        new.plan_version.as_uuid(),
        status.as_str(),
        new.now,
        trial_ends_at,
        due,
        new.period_end,
        new.anchor_day,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Subscriptions, the newest first; one more than the page holds.
///
/// # Errors
/// When the database fails.
pub async fn list_subscriptions(
    db: &MasterDb,
    tenant: Option<&TenantKey>,
    plan: Option<&str>,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<SubscriptionRecord>, DbError> {
    let (after_at, after_id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let rows = sqlx::query!(
        r#"select s.id, t.tenant_key, t.name as tenant_name, s.status, s.trial_ends_at, s.past_due_at, p.code,
                  p.name as plan_name, v.version, v.price_cents, s.current_period_start, s.current_period_end, s.created_at,
                  s.cancel_at_period_end, q.code as "next_plan?",
                  array(select l.meter from plan_limits l where l.plan_version_id = v.id order by l.meter) as "meters!",
                  array(select coalesce(l.limit_value, -1) from plan_limits l where l.plan_version_id = v.id
                        order by l.meter) as "limits!"
           from subscriptions s
           join tenants t on t.id = s.tenant_id
           join plan_versions v on v.id = s.plan_version_id
           join plans p on p.id = v.plan_id
           left join plan_versions w on w.id = s.next_plan_version_id
           left join plans q on q.id = w.plan_id
           where ($1::text is null or t.tenant_key = $1)
             and ($5::text is null or p.code = $5)
             and ($2::timestamptz is null or (s.created_at, s.id) < ($2, $3))
           order by s.created_at desc, s.id desc
           limit $4"#,
        tenant.map(TenantKey::as_str),
        after_at,
        after_id,
        limit.rows(),
        plan,
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SubscriptionRecord {
                id: SubscriptionId::from_uuid(row.id),
                tenant_key: row.tenant_key,
                tenant_name: row.tenant_name,
                state: SubscriptionState {
                    status: row.status.parse().map_err(|_| DbError::Other {
                        code: "driver".to_owned(),
                        message: "subscriptions.status holds an unknown value".to_owned(),
                    })?,
                    trial_ends_at: row.trial_ends_at,
                    past_due_at: row.past_due_at,
                },
                plan: row.code,
                plan_name: row.plan_name,
                plan_version: row.version,
                price_cents: row.price_cents,
                limits: limits(row.meters, row.limits),
                current_period_start: row.current_period_start,
                current_period_end: row.current_period_end,
                next_plan: row.next_plan,
                cancel_at_period_end: row.cancel_at_period_end,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// The newest subscription of a tenant, living or not: a living one is always the newest.
///
/// # Errors
/// When the database fails.
pub async fn find_newest(db: &MasterDb, tenant: &TenantKey) -> Result<Option<SubscriptionRecord>, DbError> {
    let newest = list_subscriptions(db, Some(tenant), None, None, Limit::ONE).await?;
    Ok(newest.into_iter().next())
}

/// Makes a tenant's living subscription active without end: for the demo.
///
/// # Errors
/// When the database fails.
pub async fn activate_without_end(
    tx: &mut MasterTx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions
         set status = 'active', trial_ends_at = null, past_due_at = null, suspended_at = null, updated_at = $2,
             current_period_end = '9999-12-31T00:00:00Z', version = version + 1
         where tenant_id = $1 and status <> 'canceled' and (status <> 'active' or trial_ends_at is not null)",
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

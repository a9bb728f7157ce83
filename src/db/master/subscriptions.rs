//! `subscriptions`: what each tenant has bought.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{PlanVersionId, SubscriptionId, TenantId};

/// A subscription to be.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub plan_version: PlanVersionId,
    /// End of the trial; `None` for one that is active at once.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// End of the first period.
    pub period_end: DateTime<Utc>,
    /// Local day of the month on which periods begin.
    pub anchor_day: i16,
    /// The moment of the onboarding.
    pub now: DateTime<Utc>,
}

/// A subscription as its tenant sees it.
#[derive(Debug, Clone)]
pub struct SubscriptionRecord {
    /// Its id.
    pub id: SubscriptionId,
    /// As stored; what counts is derived with the clock.
    pub status: String,
    /// The plan's code.
    pub plan: String,
    /// The plan's version.
    pub plan_version: i32,
    /// Price of a month.
    pub price_cents: i64,
    /// End of the trial.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// Begin of the period.
    pub current_period_start: DateTime<Utc>,
    /// End of the period.
    pub current_period_end: DateTime<Utc>,
}

/// Begins a subscription.
///
/// # Errors
/// `subscriptions_tenant_id_living_key` when the tenant has one; or when the database fails.
pub async fn insert_subscription(tx: &mut MasterTx, new: &NewSubscription) -> Result<(), DbError> {
    sqlx::query!(
        "insert into subscriptions (id, tenant_id, plan_version_id, status, started_at, trial_ends_at,
                                    current_period_start, current_period_end, anchor_day, created_at, updated_at)
         values ($1, $2, $3, case when $4::timestamptz is null then 'active' else 'trialing' end, $5, $4, $5, $6, $7, $5, $5)",
        new.id.as_uuid(),
        new.tenant.as_uuid(),
        new.plan_version.as_uuid(),
        new.trial_ends_at,
        new.now,
        new.period_end,
        new.anchor_day,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The newest subscription of a tenant, living or not.
///
/// # Errors
/// When the database fails.
pub async fn find_newest(db: &MasterDb, tenant: TenantId) -> Result<Option<SubscriptionRecord>, DbError> {
    let row = sqlx::query!(
        "select s.id, s.status, p.code, v.version, v.price_cents, s.trial_ends_at, s.current_period_start,
                s.current_period_end
         from subscriptions s
         join plan_versions v on v.id = s.plan_version_id
         join plans p on p.id = v.plan_id
         where s.tenant_id = $1
         order by (s.status <> 'canceled') desc, s.created_at desc limit 1",
        tenant.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| SubscriptionRecord {
        id: SubscriptionId::from_uuid(row.id),
        status: row.status,
        plan: row.code,
        plan_version: row.version,
        price_cents: row.price_cents,
        trial_ends_at: row.trial_ends_at,
        current_period_start: row.current_period_start,
        current_period_end: row.current_period_end,
    }))
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

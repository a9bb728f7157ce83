//! Changes of a subscription that is locked.

use chrono::{DateTime, Utc};

use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::domain::billing::period::Period;
use crate::domain::ids::{PlanVersionId, SubscriptionId, TenantId};
use crate::domain::subscription::SubscriptionStatus;
use crate::domain::tenant_key::TenantKey;

/// The clock looks again at this moment, or never.
///
/// # Errors
/// When the database fails.
pub async fn rest(
    tx: &mut MasterTx,
    id: SubscriptionId,
    until: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set clock_at = $2 where id = $1",
        id.as_uuid(),
        until
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes the clock look, after a change of its invoices.
///
/// # Errors
/// When the database fails.
pub async fn touch(tx: &mut MasterTx, id: SubscriptionId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set updated_at = $2 where id = $1",
        id.as_uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes the clock look at what a served tenant has bought: it is about to be put away. Call it before the tenant is locked: whoever
/// locks both locks the subscription first.
///
/// # Errors
/// When the database fails.
pub async fn note_put_away(tx: &mut MasterTx, tenant: &TenantKey) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions s set clock_at = 'epoch' from tenants t
         where t.tenant_key = $1 and t.status in ('active', 'suspended') and s.tenant_id = t.id and s.status <> 'canceled'",
        tenant.as_str(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes the clock look at what a tenant has bought that comes back. The days for which it was away do not count as days for which it
/// did not pay.
///
/// # Errors
/// When the database fails.
pub async fn note_brought_back(
    tx: &mut MasterTx,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions
         set clock_at = 'epoch', version = version + 1, updated_at = $2,
             past_due_at = case when status in ('past_due', 'suspended') and past_due_at < $2 then $2 else past_due_at end
         where tenant_id = $1 and status <> 'canceled'",
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Begins a period. Whatever was to come by then with this plan has come.
///
/// # Errors
/// When the database fails.
pub async fn begin_period(
    tx: &mut MasterTx,
    id: SubscriptionId,
    period: Period,
    anchor_day: i16,
    plan: PlanVersionId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions
         set current_period_start = $2, current_period_end = $3, anchor_day = $4, plan_version_id = $5,
             next_plan_version_id = nullif(next_plan_version_id, $5), version = version + 1, updated_at = $6
         where id = $1",
        id.as_uuid(),
        period.start,
        period.end,
        anchor_day,
        plan.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// It is paid.
///
/// # Errors
/// When the database fails.
pub async fn activate(tx: &mut MasterTx, id: SubscriptionId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set status = 'active', past_due_at = null, suspended_at = null, version = version + 1, updated_at = $2
         where id = $1 and status <> 'canceled'",
        id.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// It was not paid for so long; `at` is when that came to be.
///
/// # Errors
/// When the database fails.
pub async fn sink(
    tx: &mut MasterTx,
    id: SubscriptionId,
    to: SubscriptionStatus,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions
         set status = $2,
             past_due_at = case when $2 = 'past_due' then $3 else past_due_at end,
             suspended_at = case when $2 = 'suspended' then $3 else suspended_at end,
             canceled_at = case when $2 = 'canceled' then $3 else canceled_at end,
             version = version + 1, updated_at = $4
         where id = $1 and status <> 'canceled'",
        id.as_uuid(),
        to.as_str(),
        at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes another plan at once; what was to come by then is forgotten.
///
/// # Errors
/// When the database fails.
pub async fn set_plan(
    tx: &mut MasterTx,
    id: SubscriptionId,
    plan: PlanVersionId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set plan_version_id = $2, next_plan_version_id = null, version = version + 1, updated_at = $3
         where id = $1",
        id.as_uuid(),
        plan.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes another plan with the next period; `None`: keeps the one that it has.
///
/// # Errors
/// When the database fails.
pub async fn set_next_plan(
    tx: &mut MasterTx,
    id: SubscriptionId,
    plan: Option<PlanVersionId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set next_plan_version_id = $2, version = version + 1, updated_at = $3 where id = $1",
        id.as_uuid(),
        plan.map(PlanVersionId::as_uuid),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// It ends with what is paid, or goes on after all.
///
/// # Errors
/// When the database fails.
pub async fn set_cancel_at_period_end(
    tx: &mut MasterTx,
    id: SubscriptionId,
    cancel: bool,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set cancel_at_period_end = $2, version = version + 1, updated_at = $3 where id = $1",
        id.as_uuid(),
        cancel,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes why its owner lets it end.
///
/// # Errors
/// When the database fails.
pub async fn set_cancel_reason(
    tx: &mut MasterTx,
    id: SubscriptionId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update subscriptions set cancel_reason = $2, updated_at = $3 where id = $1",
        id.as_uuid(),
        reason,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

//! What a change of invoices needs to know, locked until its transaction ends.

use chrono::{DateTime, Utc};

use super::{InvoiceRecord, Row};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::domain::ids::{InvoiceId, PlanVersionId, SubscriptionId, TenantId};

/// An invoice, locked until the transaction ends. Whoever locks its subscription as well does that first.
///
/// # Errors
/// When the database fails.
pub async fn lock_invoice(tx: &mut MasterTx, id: InvoiceId) -> Result<Option<InvoiceRecord>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "select id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status, total_cents,
                period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id
         from invoices where id = $1 for update",
        id.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The subscription of an invoice; never changes. `None`: there is no such invoice.
///
/// # Errors
/// When the database fails.
pub async fn find_subscription_of(
    tx: &mut MasterTx,
    id: InvoiceId,
) -> Result<Option<Option<SubscriptionId>>, DbError> {
    let found = sqlx::query_scalar!("select subscription_id from invoices where id = $1", id.as_uuid())
        .fetch_optional(tx.connection())
        .await?;
    Ok(found.map(|subscription| subscription.map(SubscriptionId::from_uuid)))
}

/// What is open of a subscription, and the invoice of its next period also when it is paid: those that begin at `next` or later.
///
/// # Errors
/// When the database fails.
pub async fn list_current(
    tx: &mut MasterTx,
    subscription: SubscriptionId,
    next: DateTime<Utc>,
) -> Result<Vec<InvoiceRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status, total_cents,
                period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id
         from invoices
         where subscription_id = $1 and (status = 'open' or (kind = 'period' and status = 'paid' and period_start >= $2))
         order by period_start, id
         for update",
        subscription.as_uuid(),
        next,
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The open invoices of a tenant, locked.
///
/// # Errors
/// When the database fails.
pub async fn list_open_of_tenant(tx: &mut MasterTx, tenant: TenantId) -> Result<Vec<InvoiceRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status, total_cents,
                period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id
         from invoices where tenant_id = $1 and status = 'open' order by id for update",
        tenant.as_uuid(),
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// All that was charged and paid for a period of a subscription, and what of it was credited: `(fee, credits)`.
///
/// # Errors
/// When the database fails.
pub async fn find_paid_for(
    tx: &mut MasterTx,
    subscription: SubscriptionId,
    period_start: DateTime<Utc>,
) -> Result<(i64, i64), DbError> {
    let row = sqlx::query!(
        r#"select coalesce(sum(l.amount_cents) filter (where l.amount_cents > 0), 0)::int8 as "fee!",
                  coalesce(-sum(l.amount_cents) filter (where l.amount_cents < 0), 0)::int8 as "credits!"
           from invoices i join invoice_lines l on l.invoice_id = i.id
           where i.subscription_id = $1 and i.period_start = $2 and i.status = 'paid'"#,
        subscription.as_uuid(),
        period_start,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.fee, row.credits))
}

/// The plan that was last bought for a period: that of its invoice, or of an upgrade since.
///
/// # Errors
/// When the database fails.
pub async fn find_bought(
    tx: &mut MasterTx,
    subscription: SubscriptionId,
    period_start: DateTime<Utc>,
) -> Result<Option<PlanVersionId>, DbError> {
    let found = sqlx::query_scalar!(
        r#"select plan_version_id as "plan!" from invoices
           where subscription_id = $1 and period_start = $2 and status = 'paid'
           order by id desc limit 1"#,
        subscription.as_uuid(),
        period_start,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.map(PlanVersionId::from_uuid))
}

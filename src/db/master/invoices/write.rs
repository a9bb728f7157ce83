//! Invoices are issued, paid, reopened and taken back.

use chrono::{DateTime, Utc};

use super::{InvoiceRecord, NewInvoice, Row};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::domain::billing::period::Period;
use crate::domain::ids::{InvoiceId, PlanVersionId, SubscriptionId};

/// Who issues: the platform has one series of numbers.
const ISSUER: &str = "platform";

/// Issues an invoice with its lines, under the next number. Whoever issues holds the counter until its transaction ends: take it
/// last. `None` when there is no such tenant.
///
/// # Errors
/// `invoices_subscription_id_period_start_key` for a period that is charged already, `invoices_subscription_id_upgrade_key`
/// beside another open upgrade; when the database fails.
pub async fn insert_invoice(
    tx: &mut MasterTx,
    new: &NewInvoice,
    now: DateTime<Utc>,
) -> Result<Option<InvoiceRecord>, DbError> {
    let total: i64 = new.lines.iter().map(|line| line.amount_cents).sum();
    let row = sqlx::query_as!(
        Row,
        "with taken as (update invoice_counters set last_number = last_number + 1 where issuer = $2
                        returning issuer, last_number)
         insert into invoices (id, number, issuer, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind,
                               status, currency, total_cents, period_start, period_end, due_date, issued_at, plan_version_id,
                               created_at, updated_at)
         select $1, n.last_number, n.issuer, t.id, t.tenant_key, t.name, t.document, $4, $5, 'open', 'BRL', $6, $7, $8, $9, $10,
                $11, $10, $10
         from taken n, tenants t where t.id = $3
         returning id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status,
                   total_cents, period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id",
        new.id.as_uuid(),
        ISSUER,
        new.tenant.as_uuid(),
        new.subscription.map(SubscriptionId::as_uuid),
        new.kind.as_str(),
        total,
        new.period.map(|period| period.start),
        new.period.map(|period| period.end),
        new.due_date,
        now,
        new.plan_version.map(PlanVersionId::as_uuid),
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    insert_lines(tx, new).await?;
    row.try_into().map(Some)
}

async fn insert_lines(tx: &mut MasterTx, new: &NewInvoice) -> Result<(), DbError> {
    let kinds: Vec<String> = new.lines.iter().map(|line| line.kind.to_string()).collect();
    let descriptions: Vec<String> = new.lines.iter().map(|line| line.description.clone()).collect();
    let quantities: Vec<i32> = new.lines.iter().map(|line| line.quantity).collect();
    let units: Vec<i64> = new.lines.iter().map(|line| line.unit_cents).collect();
    sqlx::query!(
        "insert into invoice_lines (invoice_id, position, kind, description, quantity, unit_cents, amount_cents)
         select $1, l.position, l.kind, l.description, l.quantity, l.unit, l.quantity * l.unit
         from unnest($2::text[], $3::text[], $4::int4[], $5::int8[]) with ordinality
              as l (kind, description, quantity, unit, position)",
        new.id.as_uuid(),
        &kinds,
        &descriptions,
        &quantities,
        &units,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that an open invoice is paid; `period` moves what it pays to where it begins.
///
/// # Errors
/// When the database fails.
pub async fn set_paid(
    tx: &mut MasterTx,
    id: InvoiceId,
    period: Option<Period>,
    paid_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update invoices set status = 'paid', paid_at = $2, period_start = coalesce($3, period_start),
                             period_end = coalesce($4, period_end), version = version + 1, updated_at = $5
         where id = $1",
        id.as_uuid(),
        paid_at,
        period.map(|period| period.start),
        period.map(|period| period.end),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that money which was paid went away again; with `reopen`, that it is to be paid once more.
///
/// # Errors
/// When the database fails.
pub async fn set_returned(
    tx: &mut MasterTx,
    id: InvoiceId,
    cents: i64,
    reopen: bool,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update invoices set refunded_cents = refunded_cents + $2, status = case when $3 then 'open' else status end,
                             paid_at = case when $3 then null else paid_at end, version = version + 1, updated_at = $4
         where id = $1",
        id.as_uuid(),
        cents,
        reopen,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes an open invoice back.
///
/// # Errors
/// When the database fails.
pub async fn set_void(tx: &mut MasterTx, id: InvoiceId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update invoices set status = 'void', voided_at = $2, version = version + 1, updated_at = $2 where id = $1",
        id.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

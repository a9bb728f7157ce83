//! Invoices as they are shown.

use super::{InvoiceLine, InvoiceRecord, Row, unknown};
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::domain::billing::invoice::InvoiceStatus;
use crate::domain::ids::{InvoiceId, TenantId};
use crate::domain::page::{Cursor, Limit};
use crate::domain::tenant_key::TenantKey;

/// Which invoices.
#[derive(Debug, Clone, Default)]
pub struct InvoiceFilter {
    /// Of the tenant of this id.
    pub tenant: Option<TenantId>,
    /// Of the tenant that has this key now, or had it when it was issued.
    pub tenant_key: Option<TenantKey>,
    /// In this state.
    pub status: Option<InvoiceStatus>,
}

/// Invoices, newest first (their ids are in order of time); one more than the page holds.
///
/// # Errors
/// When the database fails.
pub async fn list_invoices(
    db: &MasterDb,
    filter: &InvoiceFilter,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<InvoiceRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status, total_cents,
                period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id
         from invoices
         where ($1::uuid is null or tenant_id = $1)
           and ($2::text is null or tenant_id in (select k.id from tenants k where k.tenant_key = $2
                                                  union all
                                                  select r.former_tenant_id from tenant_keys_reserved r where r.tenant_key = $2))
           and ($3::text is null or status = $3)
           and ($4::uuid is null or id < $4)
         order by id desc
         limit $5",
        filter.tenant.map(TenantId::as_uuid),
        filter.tenant_key.as_ref().map(TenantKey::as_str),
        filter.status.map(InvoiceStatus::as_str),
        after.map(|cursor| cursor.id),
        limit.rows(),
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// An invoice, of this tenant when one is named, seen from outside of a transaction.
///
/// # Errors
/// When the database fails.
pub async fn find_invoice(
    db: &MasterDb,
    id: InvoiceId,
    tenant: Option<TenantId>,
) -> Result<Option<InvoiceRecord>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "select id, number, tenant_id, tenant_key, customer_name, customer_document, subscription_id, kind, status, total_cents,
                period_start, period_end, due_date, issued_at, paid_at, voided_at, refunded_cents, plan_version_id
         from invoices where id = $1 and ($2::uuid is null or tenant_id = $2)",
        id.as_uuid(),
        tenant.map(TenantId::as_uuid),
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The lines of an invoice, in order.
///
/// # Errors
/// When the database fails.
pub async fn list_lines(db: &MasterDb, id: InvoiceId) -> Result<Vec<InvoiceLine>, DbError> {
    let rows = sqlx::query!(
        "select kind, description, quantity, unit_cents, amount_cents from invoice_lines where invoice_id = $1 order by position",
        id.as_uuid(),
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(InvoiceLine {
                kind: row.kind.parse().map_err(|_| unknown("lines"))?,
                description: row.description,
                quantity: row.quantity,
                unit_cents: row.unit_cents,
                amount_cents: row.amount_cents,
            })
        })
        .collect()
}

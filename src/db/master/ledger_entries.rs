//! `ledger_entries`: every cent that is owed or was paid. Nothing here is ever changed.

use chrono::{DateTime, Utc};

use super::MasterTx;
use super::invoices::InvoiceRecord;
use crate::db::DbError;
use crate::domain::billing::invoice::LedgerKind;
use crate::domain::ids::{ChargeId, InvoiceId, LedgerEntryId};

/// Books an amount about an invoice, with the sign that its kind has; `false` when this was booked before: once for each charge
/// and kind, and once for each invoice where no charge is named.
///
/// # Errors
/// When the database fails.
pub async fn book(
    tx: &mut MasterTx,
    invoice: &InvoiceRecord,
    kind: LedgerKind,
    cents: i64,
    charge: Option<ChargeId>,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let amount = match kind {
        LedgerKind::Paid | LedgerKind::Voided => -cents,
        LedgerKind::Invoiced | LedgerKind::Refunded | LedgerKind::ChargedBack => cents,
    };
    let booked = sqlx::query!(
        "insert into ledger_entries (id, at, tenant_id, invoice_id, charge_id, kind, amount_cents)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        LedgerEntryId::new().as_uuid(),
        at,
        invoice.tenant.as_uuid(),
        invoice.id.as_uuid(),
        charge.map(ChargeId::as_uuid),
        kind.as_str(),
        amount,
    )
    .execute(tx.connection())
    .await?;
    Ok(booked.rows_affected() == 1)
}

/// What is still owed of an invoice, in cents; negative: to be given back.
///
/// # Errors
/// When the database fails.
pub async fn find_owed(tx: &mut MasterTx, invoice: InvoiceId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(sum(amount_cents), 0)::int8 as "owed!" from ledger_entries where invoice_id = $1"#,
        invoice.as_uuid(),
    )
    .fetch_one(tx.connection())
    .await?)
}

//! `ledger_entries`: every cent that is owed or was paid. Nothing here is ever changed.

use chrono::{DateTime, Utc};

use super::MasterTx;
use super::invoices::InvoiceRecord;
use crate::db::DbError;
use crate::domain::billing::invoice::LedgerKind;
use crate::domain::ids::{ChargeId, InvoiceId, LedgerEntryId};

/// Something to be booked about an invoice.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What; it gives the amount its sign.
    pub kind: LedgerKind,
    /// How much, in cents; not negative.
    pub cents: i64,
    /// By which charge money moved.
    pub charge: Option<ChargeId>,
    /// What has gone back with this entry, in cents: it tells the parts apart in which a charge goes back. 0 of all else.
    pub back_so_far: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// Books an entry; `false` when it was booked before: once for each charge (or invoice, where no charge is named), kind and
/// sum that has gone back so far.
///
/// # Errors
/// When the database fails.
pub async fn book(tx: &mut MasterTx, invoice: &InvoiceRecord, entry: &Entry) -> Result<bool, DbError> {
    let amount = match entry.kind {
        LedgerKind::Paid | LedgerKind::Voided => -entry.cents,
        LedgerKind::Invoiced | LedgerKind::Refunded | LedgerKind::ChargedBack => entry.cents,
    };
    let booked = sqlx::query!(
        "insert into ledger_entries (id, at, tenant_id, invoice_id, charge_id, kind, amount_cents, back_so_far_cents)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        LedgerEntryId::new().as_uuid(),
        entry.at,
        invoice.tenant.as_uuid(),
        invoice.id.as_uuid(),
        entry.charge.map(ChargeId::as_uuid),
        entry.kind.as_str(),
        amount,
        entry.back_so_far,
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

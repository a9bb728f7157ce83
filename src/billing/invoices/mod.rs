//! What tenants owe. Everything happens in a transaction of the registry that its caller began and commits.
//!
//! - [`issue`] takes the next number in the same transaction: numbers have no gaps. A number that was given is never
//!   given again; what should not have been issued is taken back ([`void`]) and keeps it.
//! - Whatever changes what is owed is booked in the ledger first; the sum of its entries over an invoice is what is owed.
//! - Money that comes is [`settle`]d, money that goes away again [`reopen`]s the invoice. Both know the charge by which it
//!   moved, and book it once however often they are told.
//! - Locks: subscription, then invoice, then the counter of numbers.

mod admin;
mod money;
mod period;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::db::master::MasterTx;
use crate::db::master::audit::{MasterActor, MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::invoices::{self, InvoiceRecord, NewInvoice};
use crate::db::master::ledger_entries::{self, Entry};
use crate::db::master::payments::charges;
use crate::db::{DbError, Refusal};
use crate::domain::billing::invoice::{InvoiceStatus, LedgerKind};
use crate::domain::ids::TenantId;

pub use admin::{InvoiceError, Item};
pub(super) use money::void_upgrades;
pub use money::{Payment, Return, Settled, reopen, settle};
pub(super) use period::{days_of, issue_period};

/// The program itself.
pub(super) fn system() -> Origin {
    Origin {
        actor: MasterActor::System,
        request_id: None,
    }
}

/// Issues an invoice.
///
/// # Errors
/// [`Refusal::NotFound`] without such a tenant; as [`invoices::insert_invoice`].
pub async fn issue(
    tx: &mut MasterTx,
    new: &NewInvoice,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<InvoiceRecord, DbError> {
    let invoice = invoices::insert_invoice(tx, new, now).await?;
    let invoice = invoice.ok_or(DbError::Refused(Refusal::NotFound))?;
    let entry = Entry {
        kind: LedgerKind::Invoiced,
        cents: invoice.total_cents,
        charge: None,
        back_so_far: 0,
        at: now,
    };
    ledger_entries::book(tx, &invoice, &entry).await?;
    note(tx, "invoice.issue", &invoice, origin, now).await?;
    Ok(invoice)
}

/// Takes back an invoice, which is open and locked: nobody has to pay any more what is still owed of it.
///
/// # Errors
/// When the database fails.
pub async fn void(
    tx: &mut MasterTx,
    invoice: &InvoiceRecord,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    book_voided(tx, invoice, invoice.refunded_cents, now).await?;
    invoices::set_void(tx, invoice.id, now).await?;
    charges::recheck_subject(tx, invoice.tenant, invoice.id.as_uuid(), now).await?;
    note(tx, "invoice.void", invoice, origin, now).await
}

/// Books that nobody has to pay what is still owed: what was paid, and did not go back, stays paid.
async fn book_voided(
    tx: &mut MasterTx,
    invoice: &InvoiceRecord,
    back_so_far: i64,
    at: DateTime<Utc>,
) -> Result<(), DbError> {
    let owed = ledger_entries::find_owed(tx, invoice.id).await?;
    let entry = Entry {
        kind: LedgerKind::Voided,
        cents: owed.max(0),
        charge: None,
        back_so_far,
        at,
    };
    ledger_entries::book(tx, invoice, &entry).await?;
    Ok(())
}

/// Takes back what is open among invoices that are locked.
///
/// # Errors
/// When the database fails.
pub(super) async fn void_open(
    tx: &mut MasterTx,
    invoices: &[InvoiceRecord],
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let is_open = |invoice: &&InvoiceRecord| invoice.status == InvoiceStatus::Open;
    for invoice in invoices.iter().filter(is_open) {
        void(tx, invoice, origin, now).await?;
    }
    Ok(())
}

/// Takes back all that is open of a tenant, which is being removed for good.
///
/// # Errors
/// When the database fails.
pub async fn void_all_of(tx: &mut MasterTx, tenant: TenantId, now: DateTime<Utc>) -> Result<(), DbError> {
    let open = invoices::list_open_of_tenant(tx, tenant).await?;
    void_open(tx, &open, &system(), now).await
}

async fn note(
    tx: &mut MasterTx,
    action: &'static str,
    invoice: &InvoiceRecord,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let line = MasterAudit {
        actor: origin.actor,
        action,
        subject: Subject::Invoice(invoice.id, invoice.tenant),
        request_id: origin.request_id.clone(),
        details: json!({
            "number": invoice.number, "kind": invoice.kind, "total_cents": invoice.total_cents,
        }),
        at: now,
    };
    insert_audit(tx, &line).await
}

//! The invoice of a period.

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::issue;
use crate::billing::books::Books;
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::audit::Origin;
use crate::db::master::billed::{Billed, BilledPlan};
use crate::db::master::invoices::{InvoiceRecord, NewInvoice};
use crate::domain::billing::invoice::{InvoiceKind, InvoiceLine, LineKind};
use crate::domain::billing::period::{Period, local_date};
use crate::domain::ids::InvoiceId;

/// Issues the invoice of a period and has it collected.
///
/// # Errors
/// As [`issue`].
pub(in crate::billing) async fn issue_period(
    books: &Books,
    tx: &mut MasterTx,
    subscription: &Billed,
    plan: &BilledPlan,
    (period, due_date): (Period, NaiveDate),
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<InvoiceRecord, DbError> {
    let description = if subscription.awaits_first_payment {
        format!("Plano {}: um mês a partir do pagamento", plan.name)
    } else {
        format!("Plano {}, de {}", plan.name, days_of(period))
    };
    let new = NewInvoice {
        id: InvoiceId::new(),
        tenant: subscription.tenant,
        subscription: Some(subscription.id),
        kind: InvoiceKind::Period,
        period: Some(period),
        due_date,
        plan_version: Some(plan.version),
        lines: vec![InvoiceLine::one(LineKind::Plan, description, plan.price.get())],
    };
    let invoice = issue(tx, &new, origin, now).await?;
    books.collect(tx, &invoice, now).await?;
    Ok(invoice)
}

/// The first and the last day of a period, as Brazilians write them: `17/03/2026 a 16/04/2026`.
pub(in crate::billing) fn days_of(period: Period) -> String {
    let last = local_date(period.end);
    let last = last.checked_sub_days(Days::new(1)).unwrap_or(last);
    format!(
        "{} a {}",
        local_date(period.start).format("%d/%m/%Y"),
        last.format("%d/%m/%Y")
    )
}

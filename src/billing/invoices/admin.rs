//! What administrators do: sell something once, and take back what should not have been issued.

use chrono::NaiveDate;
use serde_json::json;

use super::money::lock;
use super::{issue, void};
use crate::billing::books::Books;
use crate::billing::subscriptions::Decision;
use crate::db::master::invoices::{self, InvoiceRecord, NewInvoice};
use crate::db::master::{MasterTx, billed, tenants};
use crate::db::{DbError, Refusal};
use crate::domain::billing::course::first_due;
use crate::domain::billing::invoice::{InvoiceKind, InvoiceLine, InvoiceStatus, LineKind};
use crate::domain::email::Email;
use crate::domain::ids::{InvoiceId, MailId};
use crate::domain::money::Cents;
use crate::domain::tenant_key::TenantKey;
use crate::mail::{self, MailKind, NewMail};

/// Something that is sold once.
#[derive(Debug, Clone)]
pub struct Item {
    /// In Portuguese, as the customer reads it.
    pub description: String,
    /// How many: at least one.
    pub quantity: i32,
    /// Of one.
    pub unit: Cents,
}

impl Item {
    /// All of them.
    pub fn cents(&self) -> i128 {
        i128::from(self.quantity) * i128::from(self.unit.get())
    }
}

/// Why nothing is issued or taken back.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    /// There is no such tenant, or no such invoice.
    #[error("unknown tenant or invoice")]
    Unknown,
    /// It is paid, or was taken back.
    #[error("the invoice is not open")]
    NotOpen,
    /// The database failed; nothing has changed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for InvoiceError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Refused(Refusal::NotFound) => Self::Unknown,
            other => Self::Db(other),
        }
    }
}

impl Books {
    /// Charges a tenant for `items`, whose sum is positive, and tells its owner.
    ///
    /// # Errors
    /// See [`InvoiceError`].
    pub async fn sell(
        &self,
        tx: &mut MasterTx,
        tenant: &TenantKey,
        items: Vec<Item>,
        due_date: Option<NaiveDate>,
        decision: &Decision,
    ) -> Result<InvoiceRecord, InvoiceError> {
        let tenant = tenants::lock_by_key(tx, tenant).await?;
        let tenant = tenant.ok_or(InvoiceError::Unknown)?;
        let line = |item: Item| InvoiceLine {
            kind: LineKind::Item,
            description: item.description,
            quantity: item.quantity,
            unit_cents: item.unit.get(),
            amount_cents: i64::from(item.quantity) * item.unit.get(),
        };
        let now = decision.now;
        let new = NewInvoice {
            id: InvoiceId::new(),
            tenant: tenant.id,
            subscription: None,
            kind: InvoiceKind::OneOff,
            period: None,
            due_date: due_date.unwrap_or_else(|| first_due(now)),
            plan_version: None,
            lines: items.into_iter().map(line).collect(),
        };
        let invoice = issue(tx, &new, &decision.origin, now).await?;
        self.collect(tx, &invoice, now).await?;
        if let Ok(to) = Email::parse(&tenant.owner_email) {
            let new = NewMail {
                id: MailId::new(),
                kind: MailKind::InvoiceIssued,
                tenant: Some(tenant.id),
                invoice: Some(invoice.id),
                locale: None,
                to,
                values: json!({
                    "number": invoice.number, "total_cents": invoice.total_cents, "due_date": invoice.due_date,
                }),
                due_at: now,
                dedupe_key: format!("invoice_issued:{}", invoice.id),
            };
            mail::enqueue(tx, &self.key, &new).await?;
        }
        Ok(invoice)
    }

    /// Takes an open invoice back. That of a period is issued again by the clock.
    ///
    /// # Errors
    /// See [`InvoiceError`].
    pub async fn take_back(&self, id: InvoiceId, decision: &Decision) -> Result<InvoiceRecord, InvoiceError> {
        let mut tx = self.master.begin().await?;
        let (subscription, invoice) = lock(&mut tx, id).await?;
        if invoice.status != InvoiceStatus::Open {
            return Err(InvoiceError::NotOpen);
        }
        void(&mut tx, &invoice, &decision.origin, decision.now).await?;
        if let Some(subscription) = subscription {
            billed::touch(&mut tx, subscription.id, decision.now).await?;
        }
        let taken_back = invoices::lock_invoice(&mut tx, id).await?;
        tx.commit().await?;
        taken_back.ok_or(InvoiceError::Unknown)
    }
}

//! `invoices`, `invoice_lines` and `invoice_counters`: what tenants are charged.
//! [`lock`] finds what a change needs, [`write`] changes, [`read`] shows.

mod lock;
mod read;
mod write;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::domain::billing::invoice::{InvoiceKind, InvoiceLine, InvoiceStatus};
use crate::domain::billing::period::Period;
use crate::domain::ids::{InvoiceId, PlanVersionId, SubscriptionId, TenantId};

pub use lock::{
    find_bought, find_paid_for, find_subscription_of, list_current, list_open_of_tenant, lock_invoice,
};
pub use read::{InvoiceFilter, find_invoice, list_invoices, list_lines};
pub use write::{insert_invoice, set_paid, set_returned, set_void};

/// An invoice to be.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    /// Its id.
    pub id: InvoiceId,
    /// Who is to pay.
    pub tenant: TenantId,
    /// Of which subscription; none for what is sold once.
    pub subscription: Option<SubscriptionId>,
    /// What it is for.
    pub kind: InvoiceKind,
    /// Which period it charges or changes.
    pub period: Option<Period>,
    /// Local day on which it is due.
    pub due_date: NaiveDate,
    /// What is bought by paying it.
    pub plan_version: Option<PlanVersionId>,
    /// Never none; their sum is the total, which is positive.
    pub lines: Vec<InvoiceLine>,
}

/// An invoice without its lines.
#[derive(Debug, Clone)]
pub struct InvoiceRecord {
    /// Its id.
    pub id: InvoiceId,
    /// Its number: without gaps.
    pub number: i64,
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's key when it was issued.
    pub tenant_key: String,
    /// The tenant's name then.
    pub customer_name: String,
    /// Its CPF or CNPJ then.
    pub customer_document: Option<String>,
    /// Of which subscription.
    pub subscription: Option<SubscriptionId>,
    /// What it is for.
    pub kind: InvoiceKind,
    /// What has become of it.
    pub status: InvoiceStatus,
    /// Its sum.
    pub total_cents: i64,
    /// Which period it charges or changes.
    pub period: Option<Period>,
    /// Local day on which it is due.
    pub due_date: NaiveDate,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub voided_at: Option<DateTime<Utc>>,
    /// What of the payment went away again.
    pub refunded_cents: i64,
    /// What is bought by paying it.
    pub plan_version: Option<PlanVersionId>,
}

struct Row {
    id: Uuid,
    number: i64,
    tenant_id: Uuid,
    tenant_key: String,
    customer_name: String,
    customer_document: Option<String>,
    subscription_id: Option<Uuid>,
    kind: String,
    status: String,
    total_cents: i64,
    period_start: Option<DateTime<Utc>>,
    period_end: Option<DateTime<Utc>>,
    due_date: NaiveDate,
    issued_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
    voided_at: Option<DateTime<Utc>>,
    refunded_cents: i64,
    plan_version_id: Option<Uuid>,
}

impl InvoiceRecord {
    /// Whether it was paid before, and is to be paid once more.
    pub fn is_reopened(&self) -> bool {
        self.status == InvoiceStatus::Open && self.refunded_cents > 0
    }

    /// Whether it should have been paid by now for its subscription to be served: a period that has begun, or what was reopened.
    pub fn is_owed(&self, now: DateTime<Utc>) -> bool {
        let begun = self.period.is_some_and(|period| period.start <= now);
        self.is_reopened() || (self.is_open_period() && begun)
    }

    /// Whether it is open and charges a period.
    pub fn is_open_period(&self) -> bool {
        self.status == InvoiceStatus::Open && self.kind == InvoiceKind::Period
    }

    /// Whether it is open and is for a larger plan.
    pub fn is_open_upgrade(&self) -> bool {
        self.status == InvoiceStatus::Open && self.kind == InvoiceKind::Upgrade
    }
}

impl TryFrom<Row> for InvoiceRecord {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let period = row.period_start.zip(row.period_end);
        Ok(Self {
            id: InvoiceId::from_uuid(row.id),
            number: row.number,
            tenant: TenantId::from_uuid(row.tenant_id),
            tenant_key: row.tenant_key,
            customer_name: row.customer_name,
            customer_document: row.customer_document,
            subscription: row.subscription_id.map(SubscriptionId::from_uuid),
            kind: row.kind.parse().map_err(|_| unknown("kind"))?,
            status: row.status.parse().map_err(|_| unknown("status"))?,
            total_cents: row.total_cents,
            period: period.map(|(start, end)| Period { start, end }),
            due_date: row.due_date,
            issued_at: row.issued_at,
            paid_at: row.paid_at,
            voided_at: row.voided_at,
            refunded_cents: row.refunded_cents,
            plan_version: row.plan_version_id.map(PlanVersionId::from_uuid),
        })
    }
}

fn unknown(column: &str) -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: format!("invoices.{column} holds an unknown value"),
    }
}

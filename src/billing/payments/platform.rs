//! The platform as payee: a charge is for an invoice, booked by [`crate::billing::invoices`] in the transaction that notes it.
//! What is issued by the clock is collected by itself: from a saved card when it is due, else by a PIX that is there at once.

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde_json::json;

use super::apply::sum;
use super::order::{NewCharge, order_first};
use super::settler::{Bill, Booked, News, Settler};
use crate::billing::books::ChargeOrders;
use crate::billing::gateways::{Payer, PayerName};
use crate::billing::invoices::{self, Payment, Return, Settled};
use crate::db::DbError;
use crate::db::master::invoices::InvoiceRecord;
use crate::db::master::ledger_entries;
use crate::db::master::payments::bills;
use crate::db::master::payments::charges::ChargeRecord;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::billing::invoice::Reversal;
use crate::domain::billing::period::local_date;
use crate::domain::charge::Payee;
use crate::domain::document::Document;
use crate::domain::email::Email;
use crate::domain::ids::{InvoiceId, MailId};
use crate::domain::money::Cents;
use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::domain::payment::PaymentMethod;
use crate::domain::platform_key::PlatformKey;
use crate::mail::{self, MailKind, NewMail};

/// For how many days after it is due an invoice can be paid by what was ordered for it.
const PAYABLE: Days = Days::new(10);
/// At least so long, however late it is ordered.
const AT_LEAST: TimeDelta = TimeDelta::days(3);
/// At most so long: a PIX lives for a month.
const AT_MOST: TimeDelta = TimeDelta::days(29);

/// Makes a tenant's public address of its key.
pub type TenantUrl = Box<dyn Fn(&str) -> String + Send + Sync>;

/// Books payments of invoices.
pub struct Invoices {
    /// The registry.
    pub master: MasterDb,
    /// Seals mails.
    pub key: PlatformKey,
    /// Where a payer is led back to.
    pub tenant_url: TenantUrl,
}

#[async_trait]
impl Settler for Invoices {
    async fn bill(&self, charge: &ChargeRecord) -> Result<Option<Bill>, DbError> {
        let Some(bill) = bills::find_open(&self.master, charge.subject, charge.tenant).await? else {
            return Ok(None);
        };
        let unreadable = |_| DbError::Other {
            code: "driver".to_owned(),
            message: "tenants.owner_email holds no address".to_owned(),
        };
        Ok(Some(Bill {
            description: format!("HelixAI – fatura nº {}", bill.number),
            payer: Payer {
                name: PayerName::new(&bill.name),
                email: Email::parse(&bill.email).map_err(unreadable)?,
                document: bill.document.and_then(|document| Document::parse(&document).ok()),
            },
            due_date: bill.due_date,
            return_url: (self.tenant_url)(&bill.tenant_key),
            save_card: charge.method == PaymentMethod::Checkout,
        }))
    }

    async fn book(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        news: News,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Booked, DbError> {
        let invoice = InvoiceId::from_uuid(charge.subject);
        let (amount, why) = match news {
            News::Paid(amount) => return self.settle(tx, charge, amount, at, now).await,
            News::Refunded(amount) => (amount, Reversal::Refunded),
            News::ChargedBack(amount) => (amount, Reversal::ChargedBack),
        };
        let back = Return {
            charge: charge.id,
            amount,
            so_far: sum(charge.refunded, Some(amount)),
            why,
            at,
        };
        invoices::reopen(tx, invoice, &back, now).await?;
        Ok(Booked::Done)
    }

    async fn carry_out(&self, _: &ChargeRecord, _: DateTime<Utc>) -> Result<(), DbError> {
        Ok(())
    }
}

impl Invoices {
    async fn settle(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        amount: Cents,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Booked, DbError> {
        let payment = Payment {
            charge: charge.id,
            amount,
            at,
        };
        match invoices::settle(tx, InvoiceId::from_uuid(charge.subject), &payment, now).await? {
            Settled::Paid => {
                self.thank(tx, charge, amount, at, now).await?;
                Ok(Booked::Done)
            }
            Settled::Part | Settled::Again => Ok(Booked::Done),
            Settled::Over => Ok(Booked::Superfluous),
        }
    }

    /// Tells whoever paid that it was received; once, in the transaction that books it.
    async fn thank(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        amount: Cents,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let Some((number, email)) = bills::find_payer(tx, charge.subject).await? else {
            return Ok(());
        };
        let Ok(to) = Email::parse(&email) else {
            return Ok(());
        };
        let new = NewMail {
            id: MailId::new(),
            kind: MailKind::PaymentReceived,
            tenant: Some(charge.tenant),
            invoice: None,
            locale: None,
            to,
            values: json!({ "number": number, "amount_cents": amount, "paid_on": local_date(at) }),
            due_at: now,
            dedupe_key: format!("paid:{}", charge.id),
        };
        mail::enqueue(tx, &self.key, &new).await
    }
}

/// Collects what the clock invoices.
pub struct Collector;

#[async_trait]
impl ChargeOrders for Collector {
    async fn order(
        &self,
        tx: &mut MasterTx,
        invoice: &InvoiceRecord,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let Some(new) = charge_for(tx, invoice, PaymentMethod::Card, now).await? else {
            return Ok(());
        };
        let due = start_of_day(invoice.due_date, BOOKS_TZ);
        let card = NewCharge {
            place_at: Some(due.max(now)),
            ..new.clone()
        };
        if order_first(tx, &card, &[PaymentMethod::Card]).await?.is_some() {
            return Ok(());
        }
        if order_first(tx, &new, &[PaymentMethod::Pix, PaymentMethod::Checkout])
            .await?
            .is_none()
        {
            tracing::debug!(invoice_id = %invoice.id, "no account collects for the platform: {}", invoice.id);
        }
        Ok(())
    }
}

/// The charge by which what is owed of an invoice is collected; `None` when nothing is.
///
/// # Errors
/// When the database fails.
pub(super) async fn charge_for(
    tx: &mut MasterTx,
    invoice: &InvoiceRecord,
    method: PaymentMethod,
    now: DateTime<Utc>,
) -> Result<Option<NewCharge>, DbError> {
    let owed = ledger_entries::find_owed(tx, invoice.id).await?;
    let Some(amount) = Cents::parse(owed).ok().filter(|owed| *owed > Cents::ZERO) else {
        return Ok(None);
    };
    Ok(Some(NewCharge {
        tenant: invoice.tenant,
        payee: Payee::Platform,
        subject: invoice.id.as_uuid(),
        method,
        gateway: None,
        amount,
        expires_at: payable_until(invoice.due_date, now),
        place_at: None,
        now,
    }))
}

pub(super) fn payable_until(due: NaiveDate, now: DateTime<Utc>) -> DateTime<Utc> {
    let day = due.checked_add_days(PAYABLE).unwrap_or(due);
    start_of_day(day, BOOKS_TZ).clamp(now + AT_LEAST, now + AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_can_be_paid_some_days_longer_than_it_is_due() -> Result<(), chrono::ParseError> {
        let now = DateTime::parse_from_rfc3339("2026-03-10T12:00:00Z")?.to_utc();
        let until = |due: &str| {
            Ok::<_, chrono::ParseError>(payable_until(NaiveDate::parse_from_str(due, "%F")?, now))
        };
        let at = |text: &str| DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        assert_eq!(until("2026-03-15")?, at("2026-03-25T03:00:00Z")?);
        assert_eq!(until("2026-01-01")?, now + AT_LEAST);
        assert_eq!(until("2027-01-01")?, now + AT_MOST);
        Ok(())
    }
}

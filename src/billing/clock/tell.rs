//! Who owes is told, in the transaction that has seen that it still does.

use chrono::{DateTime, Days, Utc};
use serde_json::json;

use crate::billing::books::Books;
use crate::billing::clock::step::next_invoice;
use crate::billing::invoices::{system, void};
use crate::db::DbError;
use crate::db::master::billed::Billed;
use crate::db::master::invoices::InvoiceRecord;
use crate::db::master::{MasterTx, dunning as steps};
use crate::domain::billing::dunning::{self, DunningOutcome, DunningStep};
use crate::domain::billing::period::local_date;
use crate::domain::email::Email;
use crate::domain::ids::{InvoiceId, MailId};
use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::mail::{self, MailKind, NewMail};

impl Books {
    /// Decides the steps of dunning whose time has come, and takes back an upgrade that nobody has paid in time. Answers when
    /// there is something to do next.
    pub(super) async fn tell(
        &self,
        tx: &mut MasterTx,
        subscription: &Billed,
        current: &[InvoiceRecord],
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, DbError> {
        let mut next = None;
        for upgrade in current
            .iter()
            .filter(|invoice| invoice.is_open_upgrade() && !invoice.is_reopened())
        {
            let day_after = upgrade.due_date.checked_add_days(Days::new(1));
            let over = start_of_day(day_after.unwrap_or(upgrade.due_date), BOOKS_TZ);
            if over <= now {
                void(tx, upgrade, &system(), now).await?;
            } else {
                next = Some(over);
            }
        }
        let open = next_invoice(subscription, current).filter(|invoice| invoice.is_open_period());
        let Some(invoice) = open else { return Ok(next) };
        let decided = steps::list_decided(tx, invoice.id).await?;
        for (step, outcome) in dunning::decide(invoice.due_date, &decided, now) {
            let first = steps::insert_step(tx, invoice.id, step, outcome, now).await?;
            if first && outcome == DunningOutcome::Mailed {
                self.remind(tx, subscription, invoice, step, now).await?;
            }
        }
        Ok(dunning::next_at(invoice.due_date, now)
            .into_iter()
            .chain(next)
            .min())
    }

    async fn remind(
        &self,
        tx: &mut MasterTx,
        subscription: &Billed,
        invoice: &InvoiceRecord,
        step: DunningStep,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let values = json!({
            "step": step, "number": invoice.number, "total_cents": invoice.total_cents, "due_date": invoice.due_date,
        });
        let once = format!("dunning:{}:{step}", invoice.id);
        let about = (MailKind::Dunning, Some(invoice.id));
        self.write_to(tx, subscription, about, values, once, now).await
    }

    /// Says when a subscription ends; once for each date.
    pub(in crate::billing) async fn tell_end(
        &self,
        tx: &mut MasterTx,
        subscription: &Billed,
        ends_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let ends_on = local_date(ends_at);
        let once = format!("canceled:{}:{ends_on}", subscription.id);
        let values = json!({ "ends_on": ends_on });
        let about = (MailKind::Canceled, None);
        self.write_to(tx, subscription, about, values, once, now).await
    }

    async fn write_to(
        &self,
        tx: &mut MasterTx,
        subscription: &Billed,
        (kind, invoice): (MailKind, Option<InvoiceId>),
        values: serde_json::Value,
        dedupe_key: String,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let Ok(to) = Email::parse(&subscription.owner_email) else {
            tracing::warn!(tenant_id = %subscription.tenant, "a tenant's owner has no address that can be written to");
            return Ok(());
        };
        let new = NewMail {
            id: MailId::new(),
            kind,
            tenant: Some(subscription.tenant),
            invoice,
            locale: None,
            to,
            values,
            due_at: now,
            dedupe_key,
        };
        mail::enqueue(tx, &self.key, &new).await
    }
}

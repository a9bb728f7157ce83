//! A step of `domain::billing::course`, stored.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::billing::books::Books;
use crate::billing::invoices::{issue_period, system, void_open, void_upgrades};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::billed::{self, Billed};
use crate::db::master::invoices::{self, InvoiceRecord};
use crate::domain::billing::course::{NextInvoice, Standing, Step};
use crate::domain::billing::invoice::{InvoiceKind, InvoiceStatus};
use crate::domain::billing::period::Period;
use crate::domain::subscription::SubscriptionStatus;

/// The invoice of the next period, among what is open or paid in advance.
pub(in crate::billing) fn next_invoice<'a>(
    subscription: &Billed,
    current: &'a [InvoiceRecord],
) -> Option<&'a InvoiceRecord> {
    let from = subscription.next_from();
    current.iter().find(|invoice| {
        let next = invoice.period.is_some_and(|period| period.start >= from);
        next && invoice.kind == InvoiceKind::Period
    })
}

/// What decides about the next step.
pub(in crate::billing) fn standing(
    subscription: &Billed,
    current: &[InvoiceRecord],
    now: DateTime<Utc>,
) -> Standing {
    let next = next_invoice(subscription, current);
    let next = next.and_then(|invoice| {
        Some(NextInvoice {
            period: invoice.period?,
            due_date: invoice.due_date,
            is_paid: invoice.status == InvoiceStatus::Paid,
        })
    });
    let canceled = subscription.state.status == SubscriptionStatus::Canceled;
    Standing {
        status: subscription.state.status,
        period: subscription.period,
        anchor_day: subscription.anchor_day,
        past_due_at: subscription.state.past_due_at,
        awaits_first_payment: subscription.awaits_first_payment,
        cancel_at_period_end: subscription.cancel_at_period_end,
        next_price: subscription.plan_to_come().price,
        next_invoice: next,
        owes: current
            .iter()
            .any(|invoice| invoice.is_owed(now) || (canceled && invoice.status == InvoiceStatus::Open)),
        in_service_since: subscription.in_service_since,
    }
}

/// Takes a step.
pub(super) async fn take(
    books: &Books,
    tx: &mut MasterTx,
    subscription: &Billed,
    current: &[InvoiceRecord],
    step: Step,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let sink = async |tx: &mut MasterTx, to, at| billed::sink(tx, subscription.id, to, at, now).await;
    match step {
        Step::Issue { period, due_date } => {
            let plan = subscription.plan_to_come();
            issue_period(books, tx, subscription, plan, (period, due_date), &system(), now).await?;
            return Ok(());
        }
        Step::Advance { period } => advance(tx, subscription, current, period, now).await?,
        Step::FallDue { since } => sink(tx, SubscriptionStatus::PastDue, since).await?,
        Step::Suspend { at } => sink(tx, SubscriptionStatus::Suspended, at).await?,
        Step::Cancel { at } => {
            void_open(tx, current, &system(), now).await?;
            if subscription.state.status == SubscriptionStatus::Canceled {
                return Ok(());
            }
            sink(tx, SubscriptionStatus::Canceled, at).await?;
            books.tell_end(tx, subscription, at, now).await?;
        }
        Step::Rest(_) => return Ok(()),
    }
    note(tx, subscription, step, now).await
}

/// Begins a period: the next one, or once more the present one, of which nothing is owed after all.
async fn advance(
    tx: &mut MasterTx,
    subscription: &Billed,
    current: &[InvoiceRecord],
    period: Period,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    if period != subscription.period {
        let bought = invoices::find_bought(tx, subscription.id, period.start).await?;
        let plan = bought.unwrap_or(subscription.plan_to_come().version);
        let anchor = subscription.anchor_of(period);
        billed::begin_period(tx, subscription.id, period, anchor, plan, now).await?;
        // What was to be paid for the rest of the former period.
        void_upgrades(tx, current, now).await?;
    }
    billed::activate(tx, subscription.id, now).await
}

async fn note(
    tx: &mut MasterTx,
    subscription: &Billed,
    step: Step,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (action, since) = match step {
        Step::Advance { period } => ("subscription.advance", period.start),
        Step::FallDue { since } => ("subscription.fall_due", since),
        Step::Suspend { at } => ("subscription.suspend", at),
        Step::Cancel { at } => ("subscription.cancel", at),
        Step::Issue { .. } | Step::Rest(_) => return Ok(()),
    };
    let origin = system();
    let line = MasterAudit {
        actor: origin.actor,
        action,
        subject: Subject::Subscription(subscription.id, subscription.tenant),
        request_id: origin.request_id,
        details: json!({ "since": since, "plan": subscription.plan.code }),
        at: now,
    };
    insert_audit(tx, &line).await
}

//! Money comes, and sometimes goes away again.

use chrono::{DateTime, Utc};

use super::{book_voided, note, system, void};
use crate::db::master::MasterTx;
use crate::db::master::billed::{self, Billed};
use crate::db::master::invoices::{self, InvoiceRecord};
use crate::db::master::ledger_entries::{self, Entry};
use crate::db::{DbError, Refusal};
use crate::domain::billing::invoice::{InvoiceKind, InvoiceStatus, LedgerKind, Reversal};
use crate::domain::billing::period::Period;
use crate::domain::ids::{ChargeId, InvoiceId};
use crate::domain::money::Cents;
use crate::domain::month::local_day;
use crate::domain::subscription::SubscriptionStatus;

/// Money that moved by a charge.
#[derive(Debug, Clone, Copy)]
pub struct Payment {
    /// The charge.
    pub charge: ChargeId,
    /// How much.
    pub amount: Cents,
    /// When, as the gateway says.
    pub at: DateTime<Utc>,
}

/// Money that was paid by a charge and is gone again.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    /// The charge.
    pub charge: ChargeId,
    /// How much.
    pub amount: Cents,
    /// What of the charge has gone back with it: so that each part is booked once.
    pub so_far: Cents,
    /// How.
    pub why: Reversal,
    /// When, as the gateway says.
    pub at: DateTime<Utc>,
}

/// What has become of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The invoice is paid by it.
    Paid,
    /// It is less than what is owed: booked, and the invoice stays open.
    Part,
    /// It was booked before: nothing has changed.
    Again,
    /// Nothing was owed any more: booked, and to be given back.
    Over,
}

/// Books a payment of an invoice. Once paid, what was bought by it is had: a period begins or will begin, a larger plan is
/// there, and who was suspended is served.
///
/// # Errors
/// [`Refusal::NotFound`] without such an invoice; when the database fails.
pub async fn settle(
    tx: &mut MasterTx,
    id: InvoiceId,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<Settled, DbError> {
    let (subscription, invoice) = lock(tx, id).await?;
    let entry = Entry {
        kind: LedgerKind::Paid,
        cents: payment.amount.get(),
        charge: Some(payment.charge),
        back_so_far: 0,
        at: payment.at,
    };
    if !ledger_entries::book(tx, &invoice, &entry).await? {
        return Ok(Settled::Again);
    }
    if invoice.status != InvoiceStatus::Open {
        note(tx, "invoice.overpaid", &invoice, &system(), now).await?;
        return Ok(Settled::Over);
    }
    if ledger_entries::find_owed(tx, id).await? > 0 {
        return Ok(Settled::Part);
    }
    let begins = match &subscription {
        Some(subscription) => move_on(tx, subscription, &invoice, payment.at, now).await?,
        None => None,
    };
    invoices::set_paid(tx, id, begins, payment.at, now).await?;
    note(tx, "invoice.paid", &invoice, &system(), now).await?;
    Ok(Settled::Paid)
}

/// Books that money which was paid is gone again, all of it or a part. The invoice is to be paid once more, and its subscription is past due.
///
/// # Errors
/// As [`settle`].
pub async fn reopen(
    tx: &mut MasterTx,
    id: InvoiceId,
    back: &Return,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (subscription, invoice) = lock(tx, id).await?;
    let cents = back.amount.get();
    let entry = Entry {
        kind: back.why.into(),
        cents,
        charge: Some(back.charge),
        back_so_far: back.so_far.get(),
        at: back.at,
    };
    if !ledger_entries::book(tx, &invoice, &entry).await? {
        return Ok(());
    }
    let owed = ledger_entries::find_owed(tx, id).await?;
    if invoice.status == InvoiceStatus::Void && owed > 0 {
        book_voided(tx, &invoice, invoice.refunded_cents + cents, now).await?;
    }
    let reopens = invoice.status == InvoiceStatus::Paid && owed > 0;
    invoices::set_returned(tx, id, cents, reopens, now).await?;
    if !reopens {
        return Ok(());
    }
    if let Some(subscription) = &subscription
        && matches!(
            subscription.state.status,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active
        )
    {
        billed::sink(tx, subscription.id, SubscriptionStatus::PastDue, now, now).await?;
    } else if let Some(subscription) = subscription {
        // It rests, or is past due: the clock says what becomes of what is owed.
        billed::touch(tx, subscription.id, now).await?;
    }
    note(tx, "invoice.reopen", &invoice, &system(), now).await
}

/// The subscription first, as everybody does.
pub(super) async fn lock(
    tx: &mut MasterTx,
    id: InvoiceId,
) -> Result<(Option<Billed>, InvoiceRecord), DbError> {
    let unknown = || DbError::Refused(Refusal::NotFound);
    let of = invoices::find_subscription_of(tx, id)
        .await?
        .ok_or_else(unknown)?;
    let subscription = match of {
        Some(subscription) => billed::lock(tx, subscription).await?,
        None => None,
    };
    let invoice = invoices::lock_invoice(tx, id).await?.ok_or_else(unknown)?;
    Ok((subscription, invoice))
}

/// Takes back what was to be paid for the rest of a period that is over.
pub(in crate::billing) async fn void_upgrades(
    tx: &mut MasterTx,
    current: &[InvoiceRecord],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    for upgrade in current
        .iter()
        .filter(|invoice| invoice.is_open_upgrade() && !invoice.is_reopened())
    {
        void(tx, upgrade, &system(), now).await?;
    }
    Ok(())
}

/// What payment brings. Answers where the period begins when that was left open until now.
async fn move_on(
    tx: &mut MasterTx,
    subscription: &Billed,
    invoice: &InvoiceRecord,
    paid_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Period>, DbError> {
    let Some((period, plan)) = invoice.period.zip(invoice.plan_version) else {
        return Ok(None);
    };
    if subscription.state.status == SubscriptionStatus::Canceled {
        return Ok(None);
    }
    let id = subscription.id;
    let current = invoices::list_current(tx, id, subscription.next_from()).await?;
    let mut begins = None;
    match invoice.kind {
        InvoiceKind::Period if subscription.awaits_first_payment => {
            let start = paid_at.min(now).max(subscription.period.start);
            let period = Period::anchored_at(start);
            billed::begin_period(tx, id, period, local_day(start), plan, now).await?;
            begins = Some(period);
        }
        InvoiceKind::Period if period.start >= subscription.period.end && period.start <= now => {
            let anchor = subscription.anchor_of(period);
            billed::begin_period(tx, id, period, anchor, plan, now).await?;
            void_upgrades(tx, &current, now).await?;
        }
        InvoiceKind::Upgrade if !invoice.is_reopened() => {
            billed::set_plan(tx, id, plan, now).await?;
            // The next period has another price now: the clock issues another invoice.
            let others = current.iter().filter(|other| {
                other.is_open_period() && !other.is_reopened() && other.plan_version != Some(plan)
            });
            for other in others {
                void(tx, other, &system(), now).await?;
            }
            // One that is paid already has the former plan; what was bought comes back after it.
            let is_paid = |other: &InvoiceRecord| {
                other.kind == InvoiceKind::Period && other.status == InvoiceStatus::Paid
            };
            if current
                .iter()
                .any(|other| is_paid(other) && other.plan_version != Some(plan))
            {
                billed::set_next_plan(tx, id, Some(plan), now).await?;
            }
        }
        InvoiceKind::Period | InvoiceKind::Upgrade | InvoiceKind::OneOff => {}
    }
    if !current
        .iter()
        .any(|other| other.id != invoice.id && other.is_owed(now))
    {
        billed::activate(tx, id, now).await?;
    }
    Ok(begins)
}

//! Another plan.
//!
//! Before the first payment it is simply another plan. A paid period is kept: a larger plan costs the difference for the rest of it
//! and is there when that is paid; a smaller one begins with the next period. While a period is owed, the plan is that of the
//! period that is owed.

use serde_json::json;

use super::{Decision, SubscriptionError, note, reissue};
use crate::billing::books::Books;
use crate::billing::clock::next_invoice;
use crate::billing::invoices::{days_of, issue, void};
use crate::db::master::billed::{self, Billed, BilledPlan};
use crate::db::master::invoices::{self, InvoiceRecord, NewInvoice};
use crate::db::master::{MasterTx, plans};
use crate::domain::billing::course::first_due;
use crate::domain::billing::invoice::{InvoiceKind, InvoiceLine, InvoiceStatus, LineKind};
use crate::domain::billing::period::{Period, local_date};
use crate::domain::billing::proration::Change;
use crate::domain::ids::{InvoiceId, TenantId};
use crate::domain::money::Cents;
use crate::domain::plan::PlanCode;
use crate::domain::subscription::SubscriptionStatus;

impl Books {
    /// Changes the plan. Answers the invoice that the change has made, if one is to be paid: of an upgrade, or of the next
    /// period instead of the one before. Asked again for the same it answers the same.
    ///
    /// # Errors
    /// See [`SubscriptionError`].
    pub async fn change_plan(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        code: &PlanCode,
        decision: &Decision,
    ) -> Result<Option<InvoiceRecord>, SubscriptionError> {
        let subscription = billed::lock_living(tx, tenant).await?;
        let mut subscription = subscription.ok_or(SubscriptionError::None)?;
        if subscription.state.at(decision.now) == SubscriptionStatus::Canceled {
            return Err(SubscriptionError::Canceled);
        }
        if subscription.cancel_at_period_end {
            return Err(SubscriptionError::Ends);
        }
        let current = invoices::list_current(tx, subscription.id, subscription.next_from()).await?;
        if current.iter().any(InvoiceRecord::is_reopened) {
            return Err(SubscriptionError::Reopened);
        }
        let keeps = code.as_str() == subscription.plan.code;
        let wanted = match keeps {
            true => subscription.plan.clone(),
            false => plans::find_offer(tx, code)
                .await?
                .ok_or(SubscriptionError::UnknownPlan)?,
        };
        if let Some(waiting) = current.iter().find(|invoice| invoice.is_open_upgrade()) {
            let today = local_date(waiting.issued_at) == local_date(decision.now);
            if today && waiting.plan_version == Some(wanted.version) {
                return Ok(Some(waiting.clone()));
            }
            void(tx, waiting, &decision.origin, decision.now).await?;
        }
        if wanted.version == subscription.plan_to_come().version {
            return Ok(None);
        }
        let details = json!({ "to": wanted.code });
        note(tx, "subscription.change", &subscription, decision, details).await?;
        let (id, now) = (subscription.id, decision.now);
        if keeps {
            billed::set_next_plan(tx, id, None, now).await?;
            subscription.next_plan = None;
        } else if is_unpaid(&subscription, &current) {
            billed::set_plan(tx, id, wanted.version, now).await?;
            (subscription.plan, subscription.next_plan) = (wanted, None);
        } else if subscription.state.status != SubscriptionStatus::Active
            || wanted.price < subscription.plan.price
        {
            billed::set_next_plan(tx, id, Some(wanted.version), now).await?;
            subscription.next_plan = Some(wanted);
        } else {
            return self.upgrade(tx, subscription, &current, wanted, decision).await;
        }
        Ok(reissue(self, tx, &subscription, &current, decision).await?)
    }

    async fn upgrade(
        &self,
        tx: &mut MasterTx,
        mut subscription: Billed,
        current: &[InvoiceRecord],
        wanted: BilledPlan,
        decision: &Decision,
    ) -> Result<Option<InvoiceRecord>, SubscriptionError> {
        let now = decision.now;
        let paid = next_invoice(&subscription, current).filter(|next| next.status == InvoiceStatus::Paid);
        let period = match paid.and_then(|paid| paid.period) {
            // Paid during the trial: the rest of the period is all of it.
            Some(period) if subscription.is_in_trial_period() => period,
            Some(_) => return Err(SubscriptionError::PaidAhead),
            None => subscription.period,
        };
        let (fee, credits) = invoices::find_paid_for(tx, subscription.id, period.start).await?;
        let change = Change {
            old_price: subscription.plan.price,
            new_price: wanted.price,
            days: period.days(),
            days_left: period.days_left(now),
            fee: Cents::parse(fee).unwrap_or_default(),
            prior_credits: Cents::parse(credits).unwrap_or_default(),
        };
        if change.proration().net() <= 0 {
            billed::set_plan(tx, subscription.id, wanted.version, now).await?;
            (subscription.plan, subscription.next_plan) = (wanted, None);
            return Ok(reissue(self, tx, &subscription, current, decision).await?);
        }
        let new = NewInvoice {
            id: InvoiceId::new(),
            tenant: subscription.tenant,
            subscription: Some(subscription.id),
            kind: InvoiceKind::Upgrade,
            period: Some(period),
            due_date: first_due(now).min(local_date(period.end)),
            plan_version: Some(wanted.version),
            lines: lines(&subscription.plan, &wanted, period, &change, decision),
        };
        let invoice = issue(tx, &new, &decision.origin, now).await?;
        // The clock takes it back when it is not paid in time.
        billed::touch(tx, subscription.id, now).await?;
        self.collect(tx, &invoice, now).await?;
        Ok(Some(invoice))
    }
}

/// Whether nothing was paid of it yet: in the trial, or awaiting its first payment.
fn is_unpaid(subscription: &Billed, current: &[InvoiceRecord]) -> bool {
    let paid_ahead = current
        .iter()
        .any(|invoice| invoice.status == InvoiceStatus::Paid);
    subscription.state.status == SubscriptionStatus::Trialing
        || subscription.awaits_first_payment
        || (subscription.is_in_trial_period()
            && !paid_ahead
            && subscription.state.status == SubscriptionStatus::Active)
}

fn lines(
    old: &BilledPlan,
    new: &BilledPlan,
    period: Period,
    change: &Change,
    decision: &Decision,
) -> Vec<InvoiceLine> {
    let rest = Period {
        start: period.start.max(decision.now),
        end: period.end,
    };
    let share = format!("{} de {} dias, {}", change.days_left, change.days, days_of(rest));
    let proration = change.proration();
    vec![
        InvoiceLine::one(
            LineKind::ProrationCharge,
            format!("Plano {}: {share}", new.name),
            proration.charge.get(),
        ),
        InvoiceLine::one(
            LineKind::ProrationCredit,
            format!("Crédito do plano {}: {share}", old.name),
            -proration.credit.get(),
        ),
    ]
}

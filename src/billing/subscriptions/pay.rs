//! What a tenant can pay now.

use super::{Decision, SubscriptionError};
use crate::billing::books::Books;
use crate::billing::clock::{next_invoice, standing};
use crate::billing::invoices::issue_period;
use crate::db::master::MasterTx;
use crate::db::master::billed;
use crate::db::master::invoices::{self, InvoiceRecord};
use crate::domain::billing::course::first_due;
use crate::domain::billing::invoice::InvoiceStatus;
use crate::domain::billing::period::{Period, local_date};
use crate::domain::ids::TenantId;
use crate::domain::money::Cents;
use crate::domain::subscription::SubscriptionStatus;

impl Books {
    /// The invoice that a tenant's subscription is to be paid by next: what is owed first, then an upgrade, then the next period;
    /// issued now, if the first period has no invoice yet. The invoice is locked.
    ///
    /// # Errors
    /// [`SubscriptionError::NothingDue`] while nothing is to be paid; see [`SubscriptionError`].
    pub async fn to_pay(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        decision: &Decision,
    ) -> Result<InvoiceRecord, SubscriptionError> {
        let now = decision.now;
        let subscription = billed::lock_living(tx, tenant).await?;
        let subscription = subscription.ok_or(SubscriptionError::None)?;
        if subscription.state.at(now) == SubscriptionStatus::Canceled {
            return Err(SubscriptionError::Canceled);
        }
        let current = invoices::list_current(tx, subscription.id, subscription.next_from()).await?;
        let mut open: Vec<_> = current
            .iter()
            .filter(|invoice| invoice.status == InvoiceStatus::Open)
            .collect();
        open.sort_by_key(|invoice| (!invoice.is_owed(now), !invoice.is_open_upgrade()));
        if let Some(invoice) = open.first() {
            return Ok((*invoice).clone());
        }
        let plan = subscription.plan_to_come();
        let unpaid =
            subscription.awaits_first_payment || subscription.state.status == SubscriptionStatus::Trialing;
        if !unpaid || plan.price == Cents::ZERO || subscription.cancel_at_period_end {
            return Err(SubscriptionError::NothingDue);
        }
        debug_assert!(
            next_invoice(&subscription, &current).is_none(),
            "paid ones are active"
        );
        let (period, due_date) = if subscription.awaits_first_payment {
            (Period::anchored_at(now), first_due(now))
        } else {
            let period = standing(&subscription, &current, now).next_period();
            (period, local_date(period.start).max(first_due(now)))
        };
        let when = (period, due_date);
        let issued = issue_period(self, tx, &subscription, plan, when, &decision.origin, now).await?;
        billed::touch(tx, subscription.id, now).await?;
        Ok(issued)
    }
}

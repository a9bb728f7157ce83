//! The end of a subscription, and a new beginning.

use serde_json::json;

use super::{Decision, SubscriptionError, note};
use crate::billing::books::Books;
use crate::billing::clock::next_invoice;
use crate::billing::invoices::{issue_period, void_open};
use crate::db::DbError;
use crate::db::master::billed::{self, Billed};
use crate::db::master::invoices::{self, InvoiceRecord};
use crate::db::master::subscriptions::{Beginning, NewSubscription, insert_subscription};
use crate::db::master::{MasterTx, plans};
use crate::domain::billing::course::first_due;
use crate::domain::billing::invoice::InvoiceStatus;
use crate::domain::billing::period::Period;
use crate::domain::ids::{SubscriptionId, TenantId};
use crate::domain::money::Cents;
use crate::domain::month::local_day;
use crate::domain::plan::{PlanCode, SANDBOX};
use crate::domain::subscription::SubscriptionStatus;

impl Books {
    /// Ends a subscription: with the trial or the period that is paid; at once, where something is owed. What is open is taken
    /// back. Asked again, also after the end, it changes nothing.
    ///
    /// # Errors
    /// See [`SubscriptionError`].
    pub async fn cancel_subscription(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        reason: Option<&str>,
        decision: &Decision,
    ) -> Result<(), SubscriptionError> {
        let Some(subscription) = billed::lock_living(tx, tenant).await? else {
            let last = billed::find_last_plan(tx, tenant).await?;
            return last.map(|_| ()).ok_or(SubscriptionError::None);
        };
        if subscription.cancel_at_period_end {
            return Ok(());
        }
        let current = invoices::list_current(tx, subscription.id, subscription.next_from()).await?;
        let now = decision.now;
        let lives = matches!(
            subscription.state.at(now),
            SubscriptionStatus::Trialing | SubscriptionStatus::Active
        );
        let ends_at = if lives {
            void_open(tx, &current, &decision.origin, now).await?;
            billed::set_cancel_at_period_end(tx, subscription.id, true, now).await?;
            let paid =
                next_invoice(&subscription, &current).filter(|next| next.status == InvoiceStatus::Paid);
            let last = paid.and_then(|paid| paid.period).unwrap_or(subscription.period);
            last.end
        } else {
            end(tx, &subscription, &current, decision).await?;
            now
        };
        if let Some(reason) = reason {
            billed::set_cancel_reason(tx, subscription.id, reason, now).await?;
        }
        self.tell_end(tx, &subscription, ends_at, now).await?;
        let details = json!({ "ends_at": ends_at });
        note(tx, "subscription.cancel", &subscription, decision, details).await?;
        Ok(())
    }

    /// Goes on after all with a subscription that ends with its period; begins another where it has ended: with its first
    /// payment, without another trial. Answers the invoice that is to be paid for it. `plan` is that of the one before, when left
    /// out.
    ///
    /// # Errors
    /// See [`SubscriptionError`].
    pub async fn reactivate(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        plan: Option<PlanCode>,
        decision: &Decision,
    ) -> Result<Option<InvoiceRecord>, SubscriptionError> {
        let now = decision.now;
        if let Some(living) = billed::lock_living(tx, tenant).await? {
            if living.state.at(now) != SubscriptionStatus::Canceled {
                if !living.cancel_at_period_end {
                    return Err(SubscriptionError::Living);
                }
                // A copy ends when it was said to: its plan is not for sale.
                if living.plan.code == SANDBOX {
                    return Err(SubscriptionError::UnknownPlan);
                }
                billed::set_cancel_at_period_end(tx, living.id, false, now).await?;
                note(tx, "subscription.reactivate", &living, decision, json!({})).await?;
                return Ok(None);
            }
            // It ended by the calendar, before the clock has come by.
            let current = invoices::list_current(tx, living.id, living.next_from()).await?;
            end(tx, &living, &current, decision).await?;
        }
        let code = match plan {
            Some(code) => code,
            None => {
                let last = billed::find_last_plan(tx, tenant).await?;
                let last = last.and_then(|code| PlanCode::parse(&code).ok());
                last.ok_or(SubscriptionError::UnknownPlan)?
            }
        };
        let offer = plans::find_offer(tx, &code).await?;
        let offer = offer.ok_or(SubscriptionError::UnknownPlan)?;
        let free = offer.price == Cents::ZERO;
        let period = Period::anchored_at(now);
        let new = NewSubscription {
            id: SubscriptionId::new(),
            tenant,
            plan_version: offer.version,
            beginning: if free {
                Beginning::Active
            } else {
                Beginning::AwaitsPayment
            },
            period_end: period.end,
            anchor_day: local_day(now),
            now,
        };
        insert_subscription(tx, &new).await?;
        let begun = billed::lock(tx, new.id).await?;
        let begun = begun.ok_or(SubscriptionError::None)?;
        note(tx, "subscription.reactivate", &begun, decision, json!({})).await?;
        if free {
            return Ok(None);
        }
        let when = (period, first_due(now));
        let invoice = issue_period(self, tx, &begun, &offer, when, &decision.origin, now).await?;
        Ok(Some(invoice))
    }
}

async fn end(
    tx: &mut MasterTx,
    subscription: &Billed,
    current: &[InvoiceRecord],
    decision: &Decision,
) -> Result<(), DbError> {
    let now = decision.now;
    void_open(tx, current, &decision.origin, now).await?;
    billed::sink(tx, subscription.id, SubscriptionStatus::Canceled, now, now).await
}

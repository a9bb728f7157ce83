//! What a tenant decides about its own subscription: another plan ([`Books::change_plan`]), its end
//! ([`Books::cancel_subscription`]), a new beginning ([`Books::reactivate`]), and what there is to be paid ([`Books::to_pay`]).
//!
//! Everything happens in a transaction that the caller began and commits, with the subscription's row locked.

mod change;
mod end;
mod pay;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::books::Books;
use super::invoices::{issue_period, void};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::audit::{MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::billed::Billed;
use crate::db::master::invoices::InvoiceRecord;
use crate::domain::money::Cents;

/// Why a subscription does not change.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The tenant has none.
    #[error("there is no subscription")]
    None,
    /// It has ended.
    #[error("the subscription is canceled")]
    Canceled,
    /// It ends with its period.
    #[error("the subscription ends with its period")]
    Ends,
    /// It has not ended.
    #[error("the subscription is not canceled")]
    Living,
    /// The plan is not for sale.
    #[error("there is no such plan for sale")]
    UnknownPlan,
    /// An invoice that was paid is to be paid once more, first.
    #[error("an invoice whose payment was taken back is open")]
    Reopened,
    /// The next period is paid with the present plan.
    #[error("the next period is paid")]
    PaidAhead,
    /// Nothing is to be paid.
    #[error("nothing is to be paid")]
    NothingDue,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Who decides, and when.
#[derive(Debug, Clone)]
pub struct Decision {
    /// For the audit.
    pub origin: Origin,
    /// The moment of the request.
    pub now: DateTime<Utc>,
}

/// Takes the open invoice of the next period back and issues it anew for the plan that comes now. `None` when there was none: the
/// clock issues one in its time.
async fn reissue(
    books: &Books,
    tx: &mut MasterTx,
    subscription: &Billed,
    current: &[InvoiceRecord],
    decision: &Decision,
) -> Result<Option<InvoiceRecord>, DbError> {
    let open = current
        .iter()
        .find(|invoice| invoice.is_open_period() && !invoice.is_reopened());
    let Some((invoice, period)) = open.and_then(|invoice| Some((invoice, invoice.period?))) else {
        return Ok(None);
    };
    void(tx, invoice, &decision.origin, decision.now).await?;
    let plan = subscription.plan_to_come();
    if plan.price == Cents::ZERO {
        return Ok(None);
    }
    let when = (period, invoice.due_date);
    issue_period(
        books,
        tx,
        subscription,
        plan,
        when,
        &decision.origin,
        decision.now,
    )
    .await
    .map(Some)
}

async fn note(
    tx: &mut MasterTx,
    action: &'static str,
    subscription: &Billed,
    decision: &Decision,
    details: Value,
) -> Result<(), DbError> {
    let line = MasterAudit {
        actor: decision.origin.actor,
        action,
        subject: Subject::Subscription(subscription.id, subscription.tenant),
        request_id: decision.origin.request_id.clone(),
        details: json!({ "plan": subscription.plan.code, "more": details }),
        at: decision.now,
    };
    insert_audit(tx, &line).await
}

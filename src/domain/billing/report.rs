//! What the platform's owner wants to know of its money.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::TenantId;

/// How the business stands, and what happened in a month (of America/Sao_Paulo).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BillingReport {
    /// Of this moment.
    pub now: BillingState,
    /// The month that the rest is about, as `2026-03`.
    #[schema(example = "2026-03")]
    pub month: String,
    /// What happened in it.
    pub events: BillingEvents,
}

/// How the business stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct BillingState {
    /// Monthly recurring revenue: the prices of all subscriptions that are active or past due.
    pub mrr_cents: i64,
    /// Subscriptions on trial.
    pub trialing: i64,
    /// Paid ones.
    pub active: i64,
    /// Those that should have paid and are served still.
    pub past_due: i64,
    /// Those that are served no more until they pay.
    pub suspended: i64,
    /// Open invoices whose day has passed.
    pub overdue_invoices: i64,
    /// Their sum.
    pub overdue_cents: i64,
}

/// What happened to subscriptions in a month. Those of tenants that were removed for good since are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct BillingEvents {
    /// Paid for the first time before the month, and not canceled by then.
    pub paying_at_start: i64,
    /// Of these, canceled within the month: the churn is this of that.
    pub churned: i64,
    /// Paid for the first time within the month.
    pub new_paying: i64,
    /// Trials that ended within the month, or would have ended.
    pub trials_ended: i64,
    /// Of these, paid for since.
    pub trials_converted: i64,
}

/// What one plan brought in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanRevenue {
    /// Of America/Sao_Paulo, as `2026-03`.
    #[schema(example = "2026-03")]
    pub month: String,
    /// Code of the plan; `one_off` for what was sold once.
    pub plan: String,
    /// Invoiced, less what was taken back.
    pub invoiced_cents: i64,
    /// Paid.
    pub received_cents: i64,
    /// Paid back, by us or by the payers' banks.
    pub returned_cents: i64,
}

/// A tenant that owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Overdue {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its key when the oldest of the invoices was issued.
    pub tenant_key: String,
    /// Its name then.
    pub customer_name: String,
    /// Open invoices whose day has passed.
    pub invoices: i64,
    /// Their sum.
    pub overdue_cents: i64,
    /// The first day on which something should have been paid.
    pub since: NaiveDate,
}

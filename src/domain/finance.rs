//! What came in, and what is to come: a month of a tenant's customers.

use super::ids::CustomerId;
use super::text_enum::text_enum;
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// How a report is written.
    pub enum ReportFormat {
        /// JSON.
        Json = "json",
        /// A table: comma-separated values with a line of titles.
        Csv = "csv",
    }
}

/// Sums of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FinanceSums {
    /// Paid within the month, whatever for, less what went back within it.
    pub received_cents: i64,
    /// Due in the month, not paid, and not late.
    pub due_cents: i64,
    /// Due in the month, not paid, and late.
    pub overdue_cents: i64,
    /// What the month may bring still, of what is not late: `due_cents`, and what is agreed by the month and not yet a due.
    pub forecast_cents: i64,
}

/// A customer's part of a month. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerFinance {
    /// Who.
    pub customer_id: CustomerId,
    /// As their contact says.
    pub name: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub sums: FinanceSums,
}

/// A month. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FinanceReport {
    /// As `2026-11`, in the tenant's time zone.
    #[schema(example = "2026-11")]
    pub month: String,
    /// Of all customers.
    #[serde(flatten)]
    pub sums: FinanceSums,
    /// By customer, in order of their names; at most 5,000 who have something in the month.
    pub customers: Vec<CustomerFinance>,
}

//! What a tenant's customer owes on a day, and the money that came in for it.

use super::ids::{CustomerId, DueId, DuePaymentId, OrderId};
use super::{invalid::Invalid, text_enum::text_enum};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

text_enum! {
    /// What a due is for.
    pub enum DueKind {
        /// A month of the customer's plan.
        Monthly = "monthly",
        /// An order.
        Order = "order",
        /// Anything else.
        Single = "single",
    }
}

text_enum! {
    /// Where a due stands.
    pub enum DueStatus {
        /// Not all of it was paid.
        Open = "open",
        /// All of it was.
        Paid = "paid",
        /// It is not owed any more.
        Canceled = "canceled",
    }
}

text_enum! {
    /// Which dues a list shows.
    pub enum DueFilter {
        /// Those of which something is to be paid.
        Open = "open",
        /// The open ones whose day has gone by.
        Overdue = "overdue",
        /// Those that were paid.
        Paid = "paid",
        /// Those that are not owed any more.
        Canceled = "canceled",
    }
}

text_enum! {
    /// How money came in that a person writes down.
    pub enum PaidBy {
        /// Money in the hand.
        Cash = "cash",
        /// To the tenant's bank account.
        Transfer = "transfer",
        /// PIX, without a charge of this program.
        Pix = "pix",
        /// By a machine of the tenant's.
        Card = "card",
        /// A boleto, without a charge of this program.
        Boleto = "boleto",
        /// In any other way.
        Other = "other",
    }
}

/// Most cents of one amount: a billion reais, so that no sum of them overflows.
pub const AMOUNT_MAX: i64 = 100_000_000_000;

/// Reads an amount that is owed or paid: one cent up to a billion reais.
///
/// # Errors
/// `out_of_range`.
pub fn amount(cents: i64) -> Result<i64, Invalid> {
    if (1..=AMOUNT_MAX).contains(&cents) {
        Ok(cents)
    } else {
        Err(Invalid::out_of_range(1, AMOUNT_MAX))
    }
}

/// Whose due it is. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DueCustomer {
    /// The customer.
    pub id: CustomerId,
    /// As their contact says.
    pub name: Option<String>,
}

/// What a customer owes on a day. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Due {
    /// Its id.
    pub id: DueId,
    /// Who owes it.
    pub customer: DueCustomer,
    /// What for.
    #[schema(value_type = DueKind)]
    pub kind: String,
    /// The order.
    pub order_id: Option<OrderId>,
    /// First day of the month that it is for.
    pub month: Option<NaiveDate>,
    /// One line.
    pub description: String,
    /// What is owed.
    pub amount_cents: i64,
    /// What was paid of it.
    pub paid_cents: i64,
    /// In the tenant's time zone.
    pub due_date: NaiveDate,
    /// Where it stands.
    #[schema(value_type = DueStatus)]
    pub status: String,
    /// It is open and its day has gone by.
    pub overdue: bool,
    /// The day on which all of it was paid.
    pub paid_on: Option<NaiveDate>,
    /// The newest charge that was made for it.
    pub charge_id: Option<Uuid>,
    /// What it is paid by with PIX, to be copied and pasted.
    pub pix_code: Option<String>,
    /// Until when that can be paid.
    pub pix_expires_at: Option<DateTime<Utc>>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Due {
    /// The same, with what only the day tells.
    pub fn on(mut self, today: NaiveDate) -> Self {
        self.overdue = self.status == DueStatus::Open.as_str() && self.due_date < today;
        self
    }
}

/// Money that came in for a due, or went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DuePayment {
    /// Its id.
    pub id: DuePaymentId,
    /// `paid`; `reversed` when it went back.
    pub kind: String,
    /// How.
    pub method: String,
    /// How much.
    pub amount_cents: i64,
    /// When, in the tenant's time zone.
    pub paid_on: NaiveDate,
    /// The charge; none when somebody wrote it down.
    pub charge_id: Option<Uuid>,
    /// When it was noted.
    pub created_at: DateTime<Utc>,
}

/// A due with its payments.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DueDetail {
    /// What is owed.
    #[serde(flatten)]
    pub due: Due,
    /// In the order in which they were noted.
    pub payments: Vec<DuePayment>,
}

//! Orders of a tenant's customers: lines with a sum, which becomes one due.

use super::due::AMOUNT_MAX;
use super::ids::{CustomerId, DueId, OrderId};
use super::{bounded::bounded_number, invalid::Invalid, text_enum::text_enum};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

text_enum! {
    /// Where an order stands; whether it was paid says its due.
    pub enum OrderStatus {
        /// To be delivered.
        Open = "open",
        /// Delivered.
        Done = "done",
        /// Given up, and its due with it.
        Canceled = "canceled",
    }
}

bounded_number!(
    /// How many of something are ordered.
    Quantity, 1, 1_000_000, 2
);

/// Most lines of an order.
pub const MOST_LINES: usize = 100;

/// One thing of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    /// What it is: one line.
    pub description: String,
    /// How many.
    pub quantity: i32,
    /// What one costs.
    pub unit_cents: i64,
    /// What they cost together.
    pub amount_cents: i64,
}

/// What lines cost together: one cent up to a billion reais.
///
/// # Errors
/// `out_of_range`.
pub fn total(lines: &[OrderLine]) -> Result<i64, Invalid> {
    let mut total: i64 = 0;
    for line in lines {
        let amount = i64::from(line.quantity).checked_mul(line.unit_cents);
        let sum = amount.and_then(|amount| total.checked_add(amount));
        total = sum.unwrap_or(i64::MAX);
    }
    super::due::amount(total).map_err(|_| {
        Invalid::new(
            "out_of_range",
            format!("must cost together between 1 and {AMOUNT_MAX}"),
        )
    })
}

/// The due of an order, as far as the order shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderDue {
    /// Its id.
    pub id: DueId,
    /// Where it stands.
    pub status: String,
    /// When it is due.
    pub due_date: NaiveDate,
    /// What was paid of it.
    pub paid_cents: i64,
}

/// What a customer has ordered.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Where it stands.
    #[schema(value_type = OrderStatus)]
    pub status: String,
    /// In the order in which they were given.
    pub items: Vec<OrderLine>,
    /// What they cost together.
    pub total_cents: i64,
    /// What is owed for it.
    pub due: Option<OrderDue>,
    /// Any number of lines.
    pub notes: Option<String>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(quantity: i32, unit_cents: i64) -> OrderLine {
        OrderLine {
            description: "Pão".to_owned(),
            quantity,
            unit_cents,
            amount_cents: 0,
        }
    }

    #[test]
    fn an_order_costs_something() {
        assert_eq!(total(&[line(3, 1990), line(1, 0)]), Ok(5970));
        assert!(total(&[]).is_err());
        assert!(total(&[line(1, 0)]).is_err());
        assert!(total(&[line(1, AMOUNT_MAX), line(1, 1)]).is_err());
    }

    proptest! {
        #[test]
        fn a_total_is_the_exact_sum_or_refused(lines in proptest::collection::vec((1..=1_000_000i32, 0..=AMOUNT_MAX), 0..100)) {
            let exact: i128 = lines.iter().map(|(quantity, unit)| i128::from(*quantity) * i128::from(*unit)).sum();
            let lines: Vec<_> = lines.iter().map(|(quantity, unit)| line(*quantity, *unit)).collect();
            match total(&lines) {
                Ok(found) => prop_assert_eq!(i128::from(found), exact),
                Err(_) => prop_assert!(exact < 1 || exact > i128::from(AMOUNT_MAX)),
            }
        }
    }
}

//! A tenant's own customers and the plans that they have: who pays how much on which day of the month.

use super::day::{self, DueDay};
use super::due::AMOUNT_MAX;
use super::ids::{ContactId, CustomerId, CustomerPlanId};
use super::month::next_month;
use super::{email::Email, invalid::Invalid, phone::Phone, text_enum::text_enum};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// Where a customer stands.
    pub enum CustomerStatus {
        /// Owes what was agreed.
        Active = "active",
        /// Owes nothing more for the time being.
        Paused = "paused",
        /// Has gone.
        Canceled = "canceled",
    }
}

text_enum! {
    /// Whether a plan is offered.
    pub enum CustomerPlanStatus {
        /// It is.
        Active = "active",
        /// It is not; who has it keeps it.
        Archived = "archived",
    }
}

/// How many days before its day a monthly due is made: in time for the earliest reminder.
pub const MADE_BEFORE: Days = Days::new(10);

/// Reads a price: nothing, up to a billion reais.
///
/// # Errors
/// `out_of_range`.
pub fn price(cents: i64) -> Result<i64, Invalid> {
    if (0..=AMOUNT_MAX).contains(&cents) {
        Ok(cents)
    } else {
        Err(Invalid::out_of_range(0, AMOUNT_MAX))
    }
}

/// What a customer may pay by the month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerPlan {
    /// Its id.
    pub id: CustomerPlanId,
    /// As customers know it.
    pub name: String,
    /// Any number of lines.
    pub description: Option<String>,
    /// Of a month.
    pub price_cents: i64,
    /// Whether it is offered.
    #[schema(value_type = CustomerPlanStatus)]
    pub status: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The person of a customer, as their contact says. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerContact {
    /// The contact.
    pub id: ContactId,
    /// None: not said.
    pub name: Option<String>,
    /// E.164.
    #[schema(value_type = Option<Phone>)]
    pub phone: Option<String>,
    /// Lower-cased.
    #[schema(value_type = Option<Email>)]
    pub email: Option<String>,
}

/// Somebody who pays a tenant. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// The person.
    pub contact: CustomerContact,
    /// What they have agreed to.
    pub customer_plan_id: Option<CustomerPlanId>,
    /// Instead of the plan's price.
    pub price_cents: Option<i64>,
    /// What a month costs: their own price, else the plan's.
    pub monthly_cents: Option<i64>,
    /// The day of the month; none: nothing is owed by the month.
    pub due_day: Option<i16>,
    /// No monthly due falls before this day.
    pub starts_on: Option<NaiveDate>,
    /// Where they stand.
    #[schema(value_type = CustomerStatus)]
    pub status: String,
    /// CPF or CNPJ, without punctuation.
    pub document: Option<String>,
    /// Any number of lines.
    pub notes: Option<String>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What is agreed with a customer who pays by the month, and how far it has been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monthly {
    /// The day of the month.
    pub due_day: DueDay,
    /// Nothing falls due before.
    pub starts_on: Option<NaiveDate>,
    /// The day of the next due, when it is known.
    pub next_due: Option<NaiveDate>,
    /// First day of the latest month for which there is a due.
    pub last_month: Option<NaiveDate>,
}

impl Monthly {
    /// The days of the dues that are to be made on the day `today`, and the day of the one after them. What was missed is made up
    /// for, when the next day was known; else it begins today.
    pub fn to_be_made(self, today: NaiveDate) -> (Vec<NaiveDate>, NaiveDate) {
        let horizon = today.checked_add_days(MADE_BEFORE).unwrap_or(today);
        let mut due = self.next_due.unwrap_or_else(|| {
            let free = self.last_month.map_or(today, next_month);
            day::first_due(today.max(self.starts_on.unwrap_or(today)).max(free), self.due_day)
        });
        let mut days = Vec::new();
        while due <= horizon {
            days.push(due);
            due = day::next_due(due, self.due_day);
        }
        (days, due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn monthly(due_day: i64) -> Monthly {
        Monthly {
            due_day: DueDay::parse(due_day).unwrap(),
            starts_on: None,
            next_due: None,
            last_month: None,
        }
    }

    fn date(text: &str) -> NaiveDate {
        day::parse(text).unwrap()
    }

    #[test]
    fn it_begins_today_and_never_before_its_day() {
        let made = |agreed: Monthly, today| agreed.to_be_made(date(today));
        assert_eq!(
            made(monthly(5), "2026-11-21"),
            (vec![], date("2026-12-05")),
            "too early to be made"
        );
        assert_eq!(
            made(monthly(21), "2026-11-21"),
            (vec![date("2026-11-21")], date("2026-12-21"))
        );
        let later = Monthly {
            starts_on: Some(date("2027-01-06")),
            ..monthly(5)
        };
        assert_eq!(made(later, "2026-11-21"), (vec![], date("2027-02-05")));
        // Another day of the month, when this month has its due already.
        let moved = Monthly {
            last_month: Some(date("2026-11-01")),
            ..monthly(25)
        };
        assert_eq!(made(moved, "2026-11-21"), (vec![], date("2026-12-25")));
        let missed = Monthly {
            next_due: Some(date("2026-09-30")),
            ..monthly(31)
        };
        assert_eq!(
            made(missed, "2026-11-21"),
            (
                vec![date("2026-09-30"), date("2026-10-31"), date("2026-11-30")],
                date("2026-12-31")
            )
        );
    }

    proptest! {
        /// The clock of two years, which runs on some days and not on others: each month exactly once, on its day.
        #[test]
        fn each_month_is_made_once(anchor in 1..=31i64, runs in proptest::collection::vec(1..40u64, 20..60)) {
            let mut agreed = monthly(anchor);
            let mut today = date("2027-12-15");
            let (mut seen, mut days) = (BTreeSet::new(), Vec::new());
            for run in runs {
                let (made, next) = agreed.to_be_made(today);
                for due in made {
                    prop_assert!(seen.insert(day::month_of(due)), "{} twice", due);
                    prop_assert_eq!(due, day::due_in(day::month_of(due), agreed.due_day));
                    days.push(due);
                }
                prop_assert!(next > today + MADE_BEFORE);
                agreed.next_due = Some(next);
                today = today + Days::new(run);
            }
            let months: Vec<_> = seen.iter().copied().collect();
            prop_assert!(months.windows(2).all(|pair| pair[1] == next_month(pair[0])), "a month was left out");
            prop_assert!(days.is_sorted());
        }
    }
}

//! The dues of months: made ten days before their day, so that there is something to remind of.

use chrono::NaiveDate;
use uuid::Uuid;

use super::Day;
use crate::db::DbError;
use crate::db::tenant::customers::dues::{self, MonthlyDue};
use crate::db::tenant::customers::{self, MonthlyCustomer};
use crate::domain::customer::MADE_BEFORE;
use crate::domain::day::month_of;
use crate::domain::ids::{CustomerId, DueId};
use crate::domain::settings::Language;

/// Customers that are looked at in one transaction.
const PAGE: i64 = 200;
/// Most characters of a plan's name that a due repeats.
const NAME_MAX: usize = 200;

/// Makes what is to be made on this day; answers how many dues were new.
pub(super) async fn make(day: &Day<'_>) -> Result<u64, DbError> {
    let horizon = day.today.checked_add_days(MADE_BEFORE).unwrap_or(day.today);
    let (mut made, mut after) = (0, Uuid::nil());
    loop {
        let lock = customers::lock_monthly(horizon, after, PAGE);
        let (tx, reply) = day.db.begin(&day.access, lock).await?;
        let page = reply.output;
        let Some(last) = page.last() else {
            tx.rollback().await?;
            return Ok(made);
        };
        after = last.id.as_uuid();
        let (new, next) = of(day, &page);
        crate::kill_point!("customers.page_read");
        let batch = (dues::insert_monthly(&new, day.now), customers::advance(&next));
        made += tx.commit(batch).await?.0;
    }
}

/// What is to be made for these customers, and the day of each one's next due.
fn of(day: &Day<'_>, page: &[MonthlyCustomer]) -> (Vec<MonthlyDue>, Vec<(CustomerId, NaiveDate)>) {
    let (mut new, mut next) = (Vec::new(), Vec::new());
    for customer in page {
        let (days, following) = customer.monthly.to_be_made(day.today);
        next.push((customer.id, following));
        // What costs nothing is not owed.
        for due_date in days.into_iter().filter(|_| customer.cents > 0) {
            new.push(MonthlyDue {
                id: DueId::new(),
                customer: customer.id,
                month: month_of(due_date),
                description: described(customer.plan.as_deref(), day.settings.language, due_date),
                amount_cents: customer.cents,
                due_date,
            });
        }
    }
    (new, next)
}

fn described(plan: Option<&str>, language: Language, due_date: NaiveDate) -> String {
    let name = plan.unwrap_or(match language {
        Language::PtBr => "Mensalidade",
        Language::En => "Monthly fee",
    });
    let name: String = name.chars().take(NAME_MAX).collect();
    format!("{name} {}", due_date.format("%m/%Y"))
}

//! A month of the tenant's customers: what came in, what is due, late, and to come.

use chrono::NaiveDate;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::domain::finance::{CustomerFinance, FinanceSums};
use crate::domain::ids::CustomerId;

/// Most customers of a report.
pub const MOST_CUSTOMERS: i64 = 5_000;

const MONTH: &str = "\
with parts (customer_id, received, due, overdue, forecast) as (
    select d.customer_id, sum(case p.kind when 'paid' then p.amount_cents else -p.amount_cents end), 0, 0, 0
    from due_payments p join dues d on d.id = p.due_id
    where p.paid_on >= $1 and p.paid_on < $2 group by d.customer_id
    union all
    select customer_id, 0, sum(amount_cents - paid_cents) filter (where due_date >= $3),
           sum(amount_cents - paid_cents) filter (where due_date < $3),
           sum(amount_cents - paid_cents) filter (where due_date >= $3)
    from dues where status = 'open' and due_date >= $1 and due_date < $2 group by customer_id
    union all
    select c.id, 0, 0, 0, coalesce(c.price_cents, p.price_cents)
    from customers c left join customer_plans p on p.id = c.customer_plan_id
    where c.status = 'active' and c.due_day is not null and $2 > $3
      and least($1 + (c.due_day - 1), $2 - 1) >= coalesce(c.next_due, greatest($3, c.starts_on))
      and not exists (select from dues d where d.customer_id = c.id and d.month = $1)
), sums as (
    select customer_id, coalesce(sum(received), 0)::bigint as received, coalesce(sum(due), 0)::bigint as due,
           coalesce(sum(overdue), 0)::bigint as overdue, coalesce(sum(forecast), 0)::bigint as forecast
    from parts group by customer_id
)
select s.customer_id, k.name, s.received, s.due, s.overdue, s.forecast,
       (sum(s.received) over ())::bigint, (sum(s.due) over ())::bigint, (sum(s.overdue) over ())::bigint,
       (sum(s.forecast) over ())::bigint
from sums s join customers c on c.id = s.customer_id join contacts k on k.id = c.contact_id
order by lower(k.name) nulls last, s.customer_id limit $4";

fn read_sums(row: &mut Columns<'_>) -> Result<FinanceSums, DbError> {
    Ok(FinanceSums {
        received_cents: row.next()?,
        due_cents: row.next()?,
        overdue_cents: row.next()?,
        forecast_cents: row.next()?,
    })
}

fn read(mut row: Columns<'_>) -> Result<(CustomerFinance, FinanceSums), DbError> {
    let customer = CustomerFinance {
        customer_id: CustomerId::from_uuid(row.next()?),
        name: row.next()?,
        sums: read_sums(&mut row)?,
    };
    Ok((customer, read_sums(&mut row)?))
}

/// The month from `from` up to `until`, seen on the day `today`: all sums, and those of each customer in order of their names.
pub fn month(
    from: NaiveDate,
    until: NaiveDate,
    today: NaiveDate,
) -> Query<(FinanceSums, Vec<CustomerFinance>)> {
    Query::all(MONTH, read)
        .bind(from)
        .bind(until)
        .bind(today)
        .bind(MOST_CUSTOMERS)
        .map(|rows| {
            let sums = rows.first().map(|(_, sums)| *sums).unwrap_or_default();
            (sums, rows.into_iter().map(|(customer, _)| customer).collect())
        })
}

//! Reminders: what was decided about each step of a due, with the line of the outbox in the same transaction.
//!
//! A step is decided once (`reminders_pkey`), and only while its due is locked and open: whoever pays it waits for that, and then
//! takes back what has not been sent.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::domain::ids::{DueId, OrderId};
use crate::domain::message_template::Filling;

/// How often sending is tried.
const MOST_ATTEMPTS: i32 = 10;

/// What is owed, as a template tells it.
pub struct Owed {
    /// Of the customer.
    pub name: Option<String>,
    /// Where they can be written to.
    pub email: Option<String>,
    /// What is left to be paid.
    pub amount_cents: i64,
    /// When.
    pub due_date: NaiveDate,
    /// What for.
    pub description: String,
    /// The customer's plan.
    pub plan: Option<String>,
}

impl Owed {
    /// What it fills placeholders with on the day `today`; without a PIX.
    pub fn filling(self, company: String, today: NaiveDate) -> Filling {
        Filling {
            name: self.name,
            amount_cents: self.amount_cents,
            due_date: self.due_date,
            today,
            description: self.description,
            plan: self.plan,
            pix: None,
            company,
        }
    }
}

macro_rules! owed {
    ($($more:literal)?) => {
        concat!(
            "select ",
            $($more,)?
            "k.name, k.email, d.amount_cents - d.paid_cents, d.due_date, d.description, p.name ",
            "from dues d join customers c on c.id = d.customer_id join contacts k on k.id = c.contact_id ",
            "left join customer_plans p on p.id = c.customer_plan_id"
        )
    };
}

pub(super) use owed;

pub(super) fn read_owed(mut row: Columns<'_>) -> Result<Owed, DbError> {
    read_rest(&mut row)
}

fn read_rest(row: &mut Columns<'_>) -> Result<Owed, DbError> {
    Ok(Owed {
        name: row.next()?,
        email: row.next()?,
        amount_cents: row.next()?,
        due_date: row.next()?,
        description: row.next()?,
        plan: row.next()?,
    })
}

/// A step of a due that is to be decided.
pub struct Step {
    /// The due.
    pub due: DueId,
    /// The step.
    pub days: i16,
    /// In which words.
    pub subject: Option<String>,
    /// The words.
    pub body: String,
    /// What they tell.
    pub owed: Owed,
}

fn read_step(mut row: Columns<'_>) -> Result<Step, DbError> {
    Ok(Step {
        due: DueId::from_uuid(row.next()?),
        days: row.next()?,
        subject: row.next()?,
        body: row.next()?,
        owed: read_rest(&mut row)?,
    })
}

// Of each due the latest step that has come, if that was within the last three days: what was missed for longer is out of
// date. The bounds of the days are those of the rules.
const LOCK_STEPS: &str = concat!(
    owed!("d.id, r.days, t.subject, t.body, "),
    " join lateral (select days, template_id from reminder_rules where active and d.due_date + days <= $1 ",
    "order by days desc limit 1) r on d.due_date + r.days > $1 - 3 join message_templates t on t.id = r.template_id ",
    "where d.status = 'open' and d.due_date between $1 - 93 and $1 + 10 ",
    "and not exists (select from reminders m where m.due_id = d.id and m.days = r.days) ",
    "order by d.id limit $2 for update of d"
);

/// Locks open dues with a step that is to be decided on the day `today`.
pub fn lock_steps(today: NaiveDate, limit: i64) -> Query<Vec<Step>> {
    Query::all(LOCK_STEPS, read_step).bind(today).bind(limit)
}

/// What was decided about a step.
pub struct Decided {
    /// The due.
    pub due: DueId,
    /// The step.
    pub days: i16,
    /// The e-mail; `None` when the customer cannot be reached.
    pub email: Option<Value>,
}

/// Notes what was decided, and has what is to be sent put into the outbox, to be sent from `due_at` on. A step that was decided
/// already has no effect. Runs after [`lock_steps`]. Yields how many steps were new.
pub fn insert(decided: Vec<Decided>, due_at: DateTime<Utc>, now: DateTime<Utc>) -> Query<u64> {
    let rows: Vec<Value> = decided
        .into_iter()
        .map(|one| {
            let outbox_id = one.email.as_ref().map(|_| Uuid::now_v7());
            json!({"due_id": one.due, "days": one.days, "outbox_id": outbox_id, "payload": one.email})
        })
        .collect();
    Query::execute(
        "with given as (select g.due_id, g.days, g.outbox_id, g.payload \
         from jsonb_to_recordset($1) as g (due_id uuid, days smallint, outbox_id uuid, payload jsonb)), \
         made as (insert into reminders (due_id, days, outbox_id, decided_at) \
         select due_id, days, outbox_id, $3 from given on conflict on constraint reminders_pkey do nothing \
         returning outbox_id), \
         sent as (insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at) \
         select g.outbox_id, 'send_email', g.payload, 'pending', $2, $4, $3, $3 from given g join made m using (outbox_id)) \
         select m.outbox_id from made m, helixai.note_due($2)",
    )
    .bind(Value::Array(rows))
    .bind(due_at)
    .bind(now)
    .bind(MOST_ATTEMPTS)
}

/// Takes back what has not been sent about a due that is not open any more.
pub fn cancel(due: DueId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update outbox o set state = 'canceled', leased_until = null, leased_by = null, updated_at = $2 \
         from reminders m join dues d on d.id = m.due_id \
         where d.id = $1 and d.status <> 'open' and o.id = m.outbox_id and o.state = 'pending'",
    )
    .bind(due.as_uuid())
    .bind(now)
}

/// Forgets what was decided about a due whose day becomes another: it is decided anew. Runs before the change.
pub fn forget(due: DueId, new_day: Option<NaiveDate>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "with gone as (delete from reminders m using dues d where m.due_id = $1 and d.id = $1 and d.due_date <> $2 \
         returning m.outbox_id) \
         update outbox o set state = 'canceled', leased_until = null, leased_by = null, updated_at = $3 \
         from gone where o.id = gone.outbox_id and o.state = 'pending'",
    )
    .bind(due.as_uuid())
    .bind(new_day)
    .bind(now)
}

/// The same for the due of an order.
pub fn cancel_of_order(order: OrderId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update outbox o set state = 'canceled', leased_until = null, leased_by = null, updated_at = $2 \
         from reminders m join dues d on d.id = m.due_id \
         where d.order_id = $1 and d.status <> 'open' and o.id = m.outbox_id and o.state = 'pending'",
    )
    .bind(order.as_uuid())
    .bind(now)
}

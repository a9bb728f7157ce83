//! Reminders: what was decided about each step of a due, with the line of the outbox in the same transaction.
//!
//! A step is decided once (`reminders_pkey`), and only while its due is locked and open: whoever pays it waits for that, and then
//! takes back what has not been sent, also what the registry has been handed ([`TAKE_BACK`]).

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::domain::ids::{ContactId, DueId, JobId, OrderId};
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

/// A reminder as people look back at it. It has no `Debug`: it is personal data.
pub struct Reminded {
    /// Who was reminded.
    pub name: Option<String>,
    /// What is owed, paid or not.
    pub amount_cents: i64,
    /// When.
    pub due_date: NaiveDate,
    /// When it was decided to remind.
    pub decided_at: DateTime<Utc>,
    /// Not: there is no address to write to.
    pub was_written: bool,
}

/// The newest reminders of what is due now or was lately.
pub fn list_newest(most: i64) -> Query<Vec<Reminded>> {
    Query::all(
        "select k.name, d.amount_cents, d.due_date, m.decided_at, m.outbox_id is not null \
         from (select due_id, outbox_id, decided_at from reminders order by decided_at desc, due_id limit $1) m \
         join dues d on d.id = m.due_id join customers c on c.id = d.customer_id join contacts k on k.id = c.contact_id \
         order by m.decided_at desc, d.id",
        |mut row| {
            Ok(Reminded {
                name: row.next()?,
                amount_cents: row.next()?,
                due_date: row.next()?,
                decided_at: row.next()?,
                was_written: row.next()?,
            })
        },
    )
    .bind(most)
}

/// A step of a due that is to be decided.
pub struct Step {
    /// The due.
    pub due: DueId,
    /// The step.
    pub days: i16,
    /// Whose month it is, or which due: also when a due is made anew after a restore.
    pub occasion: String,
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
        occasion: row.next()?,
        subject: row.next()?,
        body: row.next()?,
        owed: read_rest(&mut row)?,
    })
}

// Of each due the latest step that has come, if that was within the last three days: what was missed for longer is out of
// date. The bounds of the days are those of the rules.
const LOCK_STEPS: &str = concat!(
    owed!(
        "d.id, r.days, coalesce(d.customer_id || ':' || to_char(d.month, 'YYYY-MM'), d.id::text), t.subject, t.body, "
    ),
    " join lateral (select days, template_id from reminder_rules where active and d.due_date + days <= $1 ",
    "order by days desc limit 1) r on d.due_date + r.days > $1 - 3 join message_templates t on t.id = r.template_id ",
    "where d.status = 'open' and d.due_date between $1 - 93 and $1 + 10 and (d.due_date, d.id) < ($3, $4) ",
    "and not exists (select from reminders m where m.due_id = d.id and m.days = r.days) ",
    "order by d.due_date desc, d.id desc limit $2 for update of d"
);

/// Locks open dues with a step that is to be decided on the day `today`, latest day first: those before `before`, so that no page reads
/// what the ones before it have read.
pub fn lock_steps(today: NaiveDate, limit: i64, before: (NaiveDate, Uuid)) -> Query<Vec<Step>> {
    Query::all(LOCK_STEPS, read_step)
        .bind(today)
        .bind(limit)
        .bind(before.0)
        .bind(before.1)
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

/// What rows of `jobs` are called that name mails (`mails`, the ids of their lines of the outbox) which the registry is to take back.
pub const TAKE_BACK: &str = "take_back_mails";
/// How often that is tried.
const MOST_TRIES: i32 = 20;

// What waits is canceled. What the registry has been handed, or is being, it is told to take back; after a month nothing waits there.
// Each line is locked before it is looked at, so that it is one or the other.
macro_rules! take_back {
    ($before:literal, $lines:literal) => {
        concat!(
            "with ",
            $before,
            "told as (select o.id, o.state, o.leased_by from outbox o where o.id in (",
            $lines,
            ") and (o.state = 'pending' or o.state = 'sent' and o.updated_at > $2 - interval '30 days') order by o.id for update), ",
            "gone as (update outbox o set state = 'canceled', payload = '{}', leased_until = null, leased_by = null, updated_at = $2 ",
            "from told t where o.id = t.id and o.state = 'pending'), ",
            "back as (insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at) ",
            "select $3, $4, jsonb_build_object('mails', jsonb_agg(t.id)), 'queued', $2, $5, $2, $2 from told t ",
            "where t.state = 'sent' or t.leased_by is not null having count(*) > 0 returning run_at) ",
            "select back.run_at from back, helixai.note_due(back.run_at)"
        )
    };
}

fn take_back(text: &'static str, of: Uuid, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(text)
        .bind(of)
        .bind(now)
        .bind(JobId::new().as_uuid())
        .bind(TAKE_BACK)
        .bind(MOST_TRIES)
}

/// Takes back what has not been sent about a due that is not open any more.
pub fn cancel(due: DueId, now: DateTime<Utc>) -> Query<u64> {
    const CANCEL: &str = take_back!(
        "",
        "select m.outbox_id from reminders m join dues d on d.id = m.due_id where d.id = $1 and d.status <> 'open'"
    );
    take_back(CANCEL, due.as_uuid(), now)
}

/// The same for the due of an order.
pub fn cancel_of_order(order: OrderId, now: DateTime<Utc>) -> Query<u64> {
    const CANCEL: &str = take_back!(
        "",
        "select m.outbox_id from reminders m join dues d on d.id = m.due_id where d.order_id = $1 and d.status <> 'open'"
    );
    take_back(CANCEL, order.as_uuid(), now)
}

/// The same for whatever somebody owes who is to be forgotten.
pub fn cancel_of_contact(contact: ContactId, now: DateTime<Utc>) -> Query<u64> {
    const CANCEL: &str = take_back!(
        "",
        "select m.outbox_id from reminders m join dues d on d.id = m.due_id join customers c on c.id = d.customer_id \
         where c.contact_id = $1"
    );
    take_back(CANCEL, contact.as_uuid(), now)
}

/// Forgets what was decided about a due whose day becomes another: it is decided anew. Runs before the change.
pub fn forget(due: DueId, new_day: Option<NaiveDate>, now: DateTime<Utc>) -> Query<u64> {
    const FORGET: &str = take_back!(
        "others as (delete from reminders m using dues d where m.due_id = $1 and d.id = $1 and d.due_date <> $6 \
         returning m.outbox_id), ",
        "select outbox_id from others"
    );
    take_back(FORGET, due.as_uuid(), now).bind(new_day)
}

//! Dues: what customers owe on a day. Their list is read along `dues_due_date_id_idx`, latest day first.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::patched;
use crate::domain::due::{Due, DueCustomer, DueKind};
use crate::domain::ids::{CustomerId, DueId, OrderId};
use crate::domain::page::{Cursor, Limit};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone)]
pub struct DueRange {
    /// In this state.
    pub status: Option<&'static str>,
    /// Due on this day or later.
    pub from: NaiveDate,
    /// Due before this day.
    pub until: NaiveDate,
    /// Of this customer.
    pub customer: Option<CustomerId>,
}

/// A due to be.
pub struct NewDue {
    /// Its id.
    pub id: DueId,
    /// Who owes it.
    pub customer: CustomerId,
    /// For an order.
    pub order: Option<OrderId>,
    /// One line.
    pub description: String,
    /// How much.
    pub amount_cents: i64,
    /// When.
    pub due_date: NaiveDate,
}

/// A month of a customer's plan.
pub struct MonthlyDue {
    /// Its id.
    pub id: DueId,
    /// Who owes it.
    pub customer: CustomerId,
    /// First day of the month.
    pub month: NaiveDate,
    /// One line.
    pub description: String,
    /// How much.
    pub amount_cents: i64,
    /// When.
    pub due_date: NaiveDate,
}

macro_rules! columns {
    () => {
        "id, customer_id, kind, order_id, month, description, amount_cents, paid_cents, due_date, status, paid_on, charge_id, \
         pix_code, pix_expires_at, version, created_at, updated_at"
    };
}

/// The dues of `$rows`, each with whose it is.
macro_rules! shown {
    ($rows:expr) => {
        concat!(
            "select d.id, d.customer_id, k.name, d.kind, d.order_id, d.month, d.description, d.amount_cents, d.paid_cents, ",
            "d.due_date, d.status, d.paid_on, d.charge_id, d.pix_code, d.pix_expires_at, d.version, d.created_at, ",
            "d.updated_at from ",
            $rows,
            " d join customers c on c.id = d.customer_id join contacts k on k.id = c.contact_id"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Due, DbError> {
    Ok(Due {
        id: DueId::from_uuid(row.next()?),
        customer: DueCustomer {
            id: CustomerId::from_uuid(row.next()?),
            name: row.next()?,
        },
        kind: row.next()?,
        order_id: row.next::<Option<Uuid>>()?.map(OrderId::from_uuid),
        month: row.next()?,
        description: row.next()?,
        amount_cents: row.next()?,
        paid_cents: row.next()?,
        due_date: row.next()?,
        status: row.next()?,
        overdue: false,
        paid_on: row.next()?,
        charge_id: row.next()?,
        pix_code: row.next()?,
        pix_expires_at: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Adds a due that is of no month. Constraint `dues_customer_id_fkey` refuses a customer whom there is not.
pub fn insert(new: NewDue, now: DateTime<Utc>) -> Query<u64> {
    let kind = match new.order {
        Some(_) => DueKind::Order,
        None => DueKind::Single,
    };
    Query::execute(
        "insert into dues (id, customer_id, kind, order_id, description, amount_cents, due_date, status, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8)",
    )
    .bind(new.id.as_uuid())
    .bind(new.customer.as_uuid())
    .bind(kind.as_str())
    .bind(new.order.map(OrderId::as_uuid))
    .bind(new.description)
    .bind(new.amount_cents)
    .bind(new.due_date)
    .bind(now)
}

/// Adds dues of months, leaving out each month that a customer has already. Yields how many were added.
pub fn insert_monthly(new: &[MonthlyDue], now: DateTime<Utc>) -> Query<u64> {
    let rows: Vec<Value> = new
        .iter()
        .map(|due| {
            json!({
                "id": due.id, "customer_id": due.customer, "month": due.month, "description": due.description,
                "amount_cents": due.amount_cents, "due_date": due.due_date,
            })
        })
        .collect();
    Query::execute(
        "insert into dues (id, customer_id, kind, month, description, amount_cents, due_date, status, created_at, updated_at) \
         select g.id, g.customer_id, 'monthly', g.month, g.description, g.amount_cents, g.due_date, 'open', $2, $2 \
         from jsonb_to_recordset($1) as g (id uuid, customer_id uuid, month date, description text, amount_cents bigint, \
         due_date date) on conflict on constraint dues_customer_id_month_key do nothing",
    )
    .bind(Value::Array(rows))
    .bind(now)
}

const FIND: &str = shown!(concat!("(select ", columns!(), " from dues where id = $1)"));

/// One due.
pub fn find(id: DueId) -> Query<Option<Due>> {
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// One due that is there.
pub fn shown(id: DueId) -> Query<Due> {
    Query::one(FIND, read).bind(id.as_uuid())
}

// Several texts, so that the planner is not asked to serve all of them with one generic plan.
macro_rules! list {
    ($later:expr, $narrowed:literal) => {
        if $later {
            list!(text " and (due_date, id) < ($4, $5)", $narrowed)
        } else {
            list!(text "", $narrowed)
        }
    };
    (text $place:literal, $narrowed:literal) => {
        concat!(
            shown!(concat!(
                "(select ",
                columns!(),
                " from dues where due_date >= $1 and due_date < $2 and coalesce($3::text is null or status = $3, false)",
                $place,
                $narrowed,
                " order by due_date desc, id desc limit $6)"
            )),
            " order by d.due_date desc, d.id desc"
        )
    };
}

/// Dues, latest day first; one more than the page holds, to know whether there is another. Their place is [`place`].
pub fn list(range: DueRange, after: Option<Cursor>, limit: Limit) -> Query<Vec<Due>> {
    let later = after.is_some();
    let text = match range.customer {
        None => list!(later, ""),
        Some(_) => list!(later, " and customer_id = $7"),
    };
    let (day, id) = after.map(|cursor| (cursor.at.date_naive(), cursor.id)).unzip();
    let query = Query::narrowed(text, read)
        .bind(range.from)
        .bind(range.until)
        .bind(range.status)
        .bind(day)
        .bind(id)
        .bind(limit.rows());
    match range.customer {
        Some(customer) => query.bind(Some(customer.as_uuid())),
        None => query,
    }
}

/// Where a due stands in its list.
pub fn place(due: &Due) -> Cursor {
    Cursor::new(due.due_date.and_time(NaiveTime::MIN).and_utc(), due.id)
}

/// Locks a due that is open, refusing when there is none, when it has another version, and with
/// [`crate::db::Refusal::State`] when it is not open or less than `amount` is left to be paid.
pub fn lock_open(id: DueId, version: Option<i32>, amount: Option<i64>) -> Query<u64> {
    Query::execute(
        "select case when t.id is null then helixai.refuse('HX404') when $2 <> t.version then helixai.refuse('HX409') \
         when t.status <> 'open' or $3 > t.amount_cents - t.paid_cents then helixai.refuse('HX412') else 0 end \
         from (values (true)) as request (one) left join (select id, version, status, amount_cents, paid_cents from dues \
         where id = $1 for update) t on true",
    )
    .bind(id.as_uuid())
    .bind(version)
    .bind(amount)
}

/// Locks a due, refusing when there is none, when it has another version, and with [`crate::db::Refusal::State`] when it was
/// paid.
pub fn lock_unpaid(id: DueId, version: Option<i32>) -> Query<u64> {
    Query::execute(
        "select case when t.id is null then helixai.refuse('HX404') when $2 <> t.version then helixai.refuse('HX409') \
         when t.status = 'paid' then helixai.refuse('HX412') else 0 end from (values (true)) as request (one) \
         left join (select id, version, status from dues where id = $1 for update) t on true",
    )
    .bind(id.as_uuid())
    .bind(version)
}

/// Locks the due of an order, refusing with [`crate::db::Refusal::State`] when something of it was paid. Yields its id.
pub fn lock_of_order(order: OrderId) -> Query<Option<DueId>> {
    Query::optional(
        "select t.id, case when t.paid_cents > 0 then helixai.refuse('HX412') else 0 end \
         from (select id, paid_cents from dues where order_id = $1 for update) t",
        |mut row| Ok(DueId::from_uuid(row.next()?)),
    )
    .bind(order.as_uuid())
}

// A code for the former amount is no code for the new one.
const UPDATE: &str = concat!(
    "update dues set ",
    patched!("description" as "text", "amount_cents" as "bigint", "due_date" as "date"),
    "pix_code = case when $2 ? 'amount_cents' then null else pix_code end, ",
    "version = version + 1, updated_at = $3 where id = $1"
);

/// Changes the fields named in `changes`. Runs after [`lock_open`]. Constraint `dues_paid_cents_check` refuses an amount of which
/// nothing would be left to be paid.
pub fn update(id: DueId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(UPDATE)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// It is not owed any more; one that was canceled stays as it is. Runs after [`lock_unpaid`].
pub fn cancel(id: DueId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update dues set status = 'canceled', pix_code = null, version = version + 1, updated_at = $2 \
         where id = $1 and status = 'open'",
    )
    .bind(id.as_uuid())
    .bind(now)
}

/// The open due of an order is not owed any more. Runs after [`lock_of_order`].
pub fn cancel_of_order(order: OrderId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update dues set status = 'canceled', pix_code = null, version = version + 1, updated_at = $2 \
         where order_id = $1 and status = 'open'",
    )
    .bind(order.as_uuid())
    .bind(now)
}

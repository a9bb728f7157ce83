//! Orders of customers: written once with all their lines, and given up or delivered after that.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio_postgres::types::Json;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{lock_row, patched};
use crate::domain::ids::{CustomerId, OrderId};
use crate::domain::order::{Order, OrderDue, OrderLine};
use crate::domain::page::{Cursor, Limit};

/// An order to be.
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Who orders.
    pub customer: CustomerId,
    /// What.
    pub lines: Vec<OrderLine>,
    /// What they cost together.
    pub total_cents: i64,
    /// Any number of lines.
    pub notes: Option<String>,
}

macro_rules! columns {
    () => {
        "id, customer_id, status, total_cents, notes, version, created_at, updated_at"
    };
}

/// The orders of `$rows`, each with its lines and its due.
macro_rules! shown {
    ($rows:expr) => {
        concat!(
            "select o.id, o.customer_id, o.status, coalesce((select jsonb_agg(jsonb_build_object('description', ",
            "l.description, 'quantity', l.quantity, 'unit_cents', l.unit_cents, 'amount_cents', l.amount_cents) ",
            "order by l.position) from order_lines l where l.order_id = o.id), '[]'), o.total_cents, ",
            "(select jsonb_build_object('id', d.id, 'status', d.status, 'due_date', d.due_date, 'paid_cents', d.paid_cents) ",
            "from dues d where d.order_id = o.id), o.notes, o.version, o.created_at, o.updated_at from ",
            $rows,
            " o"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Order, DbError> {
    Ok(Order {
        id: OrderId::from_uuid(row.next()?),
        customer_id: CustomerId::from_uuid(row.next()?),
        status: row.next()?,
        items: row.next::<Json<_>>()?.0,
        total_cents: row.next()?,
        due: row.next::<Option<Json<OrderDue>>>()?.map(|due| due.0),
        notes: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Adds an order without its lines. Constraint `orders_customer_id_fkey` refuses a customer whom there is not.
pub fn insert(new: &NewOrder, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into orders (id, customer_id, status, total_cents, notes, created_at, updated_at) \
         values ($1, $2, 'open', $3, $4, $5, $5)",
    )
    .bind(new.id.as_uuid())
    .bind(new.customer.as_uuid())
    .bind(new.total_cents)
    .bind(new.notes.clone())
    .bind(now)
}

/// Adds the lines of an order.
pub fn insert_lines(new: &NewOrder) -> Query<u64> {
    let lines = new.lines.iter().map(|line| {
        json!({"description": line.description, "quantity": line.quantity, "unit_cents": line.unit_cents})
    });
    Query::execute(
        "insert into order_lines (order_id, position, description, quantity, unit_cents) \
         select $1, g.position::integer, g.line ->> 'description', (g.line ->> 'quantity')::integer, \
         (g.line ->> 'unit_cents')::bigint from jsonb_array_elements($2) with ordinality as g (line, position)",
    )
    .bind(new.id.as_uuid())
    .bind(Value::Array(lines.collect()))
}

/// One order.
pub fn find(id: OrderId) -> Query<Option<Order>> {
    const FIND: &str = shown!(concat!("(select ", columns!(), " from orders where id = $1)"));
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// One order that is there.
pub fn shown(id: OrderId) -> Query<Order> {
    const FIND: &str = shown!(concat!("(select ", columns!(), " from orders where id = $1)"));
    Query::one(FIND, read).bind(id.as_uuid())
}

// Two texts, so that the first page is not served with a plan for any page.
macro_rules! list {
    ($place:literal) => {
        concat!(
            shown!(concat!(
                "(select ",
                columns!(),
                " from (select ",
                columns!(),
                " from orders where coalesce(($1::text is null or status = $1)",
                " and ($2::uuid is null or customer_id = $2), false)",
                $place,
                " order by created_at desc, id desc limit 201) most limit $5)"
            )),
            " order by o.created_at desc, o.id desc"
        )
    };
}

/// Orders, newest first; one more than the page holds, to know whether there is another.
pub fn list(
    status: Option<&'static str>,
    customer: Option<CustomerId>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<Order>> {
    let text = match after {
        Some(_) => list!(" and (created_at, id) < ($3, $4)"),
        None => list!(""),
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(text, read)
        .bind(status)
        .bind(customer.map(CustomerId::as_uuid))
        .bind(at)
        .bind(id)
        .bind(limit.rows())
}

/// Locks an order, refusing when there is none or when it has another version.
pub fn lock(id: OrderId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("orders"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update orders set ",
    patched!("status" as "text", "notes" as "text"),
    "version = version + 1, updated_at = $3 where id = $1"
);

/// Changes the fields named in `changes`. Runs after [`lock`].
pub fn update(id: OrderId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(UPDATE)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Refuses with [`crate::db::Refusal::State`] when the order was given up. Runs after [`lock`].
pub fn refuse_canceled(id: OrderId) -> Query<u64> {
    Query::execute(
        "select case when status = 'canceled' then helixai.refuse('HX412') else 0 end from orders where id = $1",
    )
    .bind(id.as_uuid())
}

/// Gives an order up; one that was given up stays as it is. Runs after [`lock`], and after its due was canceled.
pub fn cancel(id: OrderId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update orders set status = 'canceled', version = version + 1, updated_at = $2 \
         where id = $1 and status <> 'canceled'",
    )
    .bind(id.as_uuid())
    .bind(now)
}

//! Customers: who pays the tenant, how much by the month and on which day. Who they are says their contact.
//!
//! Beside them: their [`plans`], their [`orders`], what they owe ([`dues`]), are charged ([`charges`]) and have paid
//! ([`payments`]), the words and days of reminders ([`templates`], [`rules`], [`reminders`]), the [`clock`] that makes what falls due, and the [`finance`] of a month.

pub mod charges;
pub mod clock;
pub mod dues;
pub mod finance;
pub mod orders;
pub mod payments;
pub mod plans;
pub mod reminders;
pub mod rules;
pub mod templates;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{given, lock_row, named, patched, search_people};
use crate::domain::customer::{Customer, CustomerContact, Monthly};
use crate::domain::day::DueDay;
use crate::domain::ids::{ContactId, CustomerId, CustomerPlanId};
use crate::domain::page::{Cursor, Limit};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// In this state.
    pub status: Option<&'static str>,
    /// With this plan.
    pub plan: Option<CustomerPlanId>,
    /// With these words in name, address, phone or notes of the contact.
    pub text: Option<String>,
}

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "customer_plan_id" as "uuid",
            "price_cents" as "bigint",
            "due_day" as "smallint",
            "starts_on" as "date",
            "status" as "text",
            "document" as "text",
            "notes" as "text",
        )
    };
}

macro_rules! columns {
    () => {
        "id, contact_id, customer_plan_id, price_cents, due_day, starts_on, status, document, notes, version, created_at, \
         updated_at"
    };
}

/// The customers of `$rows`, each with its contact and its price.
macro_rules! shown {
    ($rows:expr) => {
        concat!(
            "select c.id, k.id, k.name, k.phone, k.email, c.customer_plan_id, c.price_cents, ",
            "coalesce(c.price_cents, p.price_cents), c.due_day, c.starts_on, c.status, c.document, c.notes, c.version, ",
            "c.created_at, c.updated_at from ",
            $rows,
            " c join contacts k on k.id = c.contact_id left join customer_plans p on p.id = c.customer_plan_id"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Customer, DbError> {
    Ok(Customer {
        id: CustomerId::from_uuid(row.next()?),
        contact: CustomerContact {
            id: ContactId::from_uuid(row.next()?),
            name: row.next()?,
            phone: row.next()?,
            email: row.next()?,
        },
        customer_plan_id: row.next::<Option<Uuid>>()?.map(CustomerPlanId::from_uuid),
        price_cents: row.next()?,
        monthly_cents: row.next()?,
        due_day: row.next()?,
        starts_on: row.next()?,
        status: row.next()?,
        document: row.next()?,
        notes: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

const INSERT: &str = concat!(
    "with made as (insert into customers (id, ",
    fields!(named),
    "contact_id, created_at, updated_at) values ($1, ",
    fields!(given),
    "$4, $3, $3) returning ",
    columns!(),
    ") ",
    shown!("made")
);

/// Makes a contact a customer. Constraints `customers_contact_id_key`, `customers_contact_id_fkey`,
/// `customers_customer_plan_id_fkey` and `customers_monthly_check` refuse one who is a customer, whom there is not, a plan that
/// is not there, and a day without a price.
pub fn insert(
    id: CustomerId,
    contact: ContactId,
    fields: Map<String, Value>,
    now: DateTime<Utc>,
) -> Query<Customer> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
        .bind(contact.as_uuid())
}

/// One customer.
pub fn find(id: CustomerId) -> Query<Option<Customer>> {
    const FIND: &str = shown!(concat!("(select ", columns!(), " from customers where id = $1)"));
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// The customer that a contact is.
pub fn find_by_contact(contact: ContactId) -> Query<Option<CustomerId>> {
    Query::optional("select id from customers where contact_id = $1", |mut row| {
        Ok(CustomerId::from_uuid(row.next()?))
    })
    .bind(contact.as_uuid())
}

// Several texts, so that the planner is not asked to serve all of them with one generic plan: as `leads`.
macro_rules! list {
    ($later:expr, $narrowed:expr) => {
        if $later {
            list!(text " and (created_at, id) < ($3, $4)", $narrowed)
        } else {
            list!(text "", $narrowed)
        }
    };
    (text $place:literal, $narrowed:expr) => {
        concat!(
            shown!(concat!(
                "(select ",
                columns!(),
                " from (select ",
                columns!(),
                " from customers where coalesce(($1::text is null or status = $1)",
                " and ($2::uuid is null or customer_plan_id = $2), false)",
                $place,
                $narrowed,
                " order by created_at desc, id desc limit 201) most limit $5)"
            )),
            " order by c.created_at desc, c.id desc"
        )
    };
}

/// Customers, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: CustomerFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Customer>> {
    let later = after.is_some();
    let text = match filter.text {
        None => list!(later, ""),
        Some(_) => list!(
            later,
            concat!(
                " and contact_id = any (array(select id from contacts where ",
                search_people!("$6"),
                "))"
            )
        ),
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let query = Query::narrowed(text, read)
        .bind(filter.status)
        .bind(filter.plan.map(CustomerPlanId::as_uuid))
        .bind(at)
        .bind(id)
        .bind(limit.rows());
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}

/// Locks a customer, refusing when there is none or when it has another version.
pub fn lock(id: CustomerId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("customers"))
        .bind(id.as_uuid())
        .bind(version)
}

// Another day, another beginning, or being back: the day of the next due is found out anew.
const UPDATE: &str = concat!(
    "with changed as (update customers set ",
    fields!(patched),
    "next_due = case when $2 ?| array['status', 'due_day', 'starts_on'] then null else next_due end, ",
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!(),
    ") ",
    shown!("changed")
);

/// Changes the fields named in `changes`. Runs after [`lock`]; constraints as in [`insert`].
pub fn update(id: CustomerId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<Customer> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a customer. Runs after [`lock`]. Constraints `orders_customer_id_fkey` and `dues_customer_id_fkey` refuse one with
/// orders or dues.
pub fn delete(id: CustomerId) -> Query<u64> {
    Query::execute("delete from customers where id = $1").bind(id.as_uuid())
}

/// A customer for whom a monthly due may be made.
pub struct MonthlyCustomer {
    /// Who.
    pub id: CustomerId,
    /// The days.
    pub monthly: Monthly,
    /// What a month costs.
    pub cents: i64,
    /// The name of the plan.
    pub plan: Option<String>,
}

fn read_monthly(mut row: Columns<'_>) -> Result<MonthlyCustomer, DbError> {
    let id = CustomerId::from_uuid(row.next()?);
    let day: i16 = row.next()?;
    let due_day = DueDay::parse(day.into()).map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: "column 2 holds an unknown value".to_owned(),
    })?;
    Ok(MonthlyCustomer {
        id,
        monthly: Monthly {
            due_day,
            starts_on: row.next()?,
            next_due: row.next()?,
            last_month: row.next()?,
        },
        cents: row.next()?,
        plan: row.next()?,
    })
}

/// Locks customers whose next due may have to be made by `horizon`, in order of their ids, those after `after`.
pub fn lock_monthly(horizon: NaiveDate, after: Uuid, limit: i64) -> Query<Vec<MonthlyCustomer>> {
    Query::all(
        "select c.id, c.due_day, c.starts_on, c.next_due, \
         (select max(d.month) from dues d where d.customer_id = c.id), coalesce(c.price_cents, p.price_cents, 0), p.name \
         from customers c left join customer_plans p on p.id = c.customer_plan_id \
         where c.status = 'active' and c.due_day is not null and (c.next_due is null or c.next_due <= $1) and c.id > $2 \
         order by c.id limit $3 for update of c",
        read_monthly,
    )
    .bind(horizon)
    .bind(after)
    .bind(limit)
}

/// Notes the days of the next dues. Runs after [`lock_monthly`].
pub fn advance(next: &[(CustomerId, NaiveDate)]) -> Query<u64> {
    let rows: Vec<Value> = next
        .iter()
        .map(|(id, day)| json!({"id": id, "next_due": day}))
        .collect();
    Query::execute(
        "update customers c set next_due = g.next_due \
         from jsonb_to_recordset($1) as g (id uuid, next_due date) where c.id = g.id",
    )
    .bind(Value::Array(rows))
}

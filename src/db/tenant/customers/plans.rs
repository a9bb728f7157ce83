//! Plans of the tenant's own customers: what they may pay by the month.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{fold, given, lock_row, named, patched};
use crate::domain::customer::CustomerPlan;
use crate::domain::ids::CustomerPlanId;
use crate::domain::page::{Cursor, Limit};

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "name" as "text",
            "description" as "text",
            "price_cents" as "bigint",
            "status" as "text",
        )
    };
}

macro_rules! columns {
    () => {
        "id, name, description, price_cents, status, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<CustomerPlan, DbError> {
    Ok(CustomerPlan {
        id: CustomerPlanId::from_uuid(row.next()?),
        name: row.next()?,
        description: row.next()?,
        price_cents: row.next()?,
        status: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

const INSERT: &str = concat!(
    "insert into customer_plans (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a plan of these fields.
pub fn insert(id: CustomerPlanId, fields: Map<String, Value>, now: DateTime<Utc>) -> Query<CustomerPlan> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One plan.
pub fn find(id: CustomerPlanId) -> Query<Option<CustomerPlan>> {
    const FIND: &str = concat!("select ", columns!(), " from customer_plans where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// Plans, newest first; one more than the page holds. They are few: `text` is looked for in the name, without accents.
pub fn list(
    status: Option<&'static str>,
    text: Option<String>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<CustomerPlan>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from customer_plans where ($1::text is null or status = $1) and ($2::text is null or position(",
        fold!("$2"),
        " in ",
        fold!("name"),
        ") > 0) and ($3::timestamptz is null or (created_at, id) < ($3, $4)) order by created_at desc, id desc limit $5"
    );
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(LIST, read)
        .bind(status)
        .bind(text)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
}

/// Locks a plan, refusing when there is none or when it has another version.
pub fn lock(id: CustomerPlanId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("customer_plans"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update customer_plans set ",
    fields!(patched),
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`; dues that were made stay what they are. Runs after [`lock`].
pub fn update(id: CustomerPlanId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<CustomerPlan> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a plan. Runs after [`lock`]. Constraint `customers_customer_plan_id_fkey` refuses one that customers have.
pub fn delete(id: CustomerPlanId) -> Query<u64> {
    Query::execute("delete from customer_plans where id = $1").bind(id.as_uuid())
}

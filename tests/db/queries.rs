//! Queries of the tests, written as those of the program are.

use helixai::db::tenant::Query;
use uuid::Uuid;

/// The schema and the role that a statement finds itself in.
pub fn whereabouts() -> Query<(Option<String>, String)> {
    Query::one("select current_schema()::text, current_user::text", |mut row| {
        Ok((row.next()?, row.next()?))
    })
}

/// Adds a contact.
pub fn insert_contact(id: Uuid, name: &str) -> Query<u64> {
    Query::execute(
        "insert into contacts (id, name, created_at, updated_at) values ($1, $2, '2026-01-01Z', '2026-01-01Z')",
    )
    .bind(id)
    .bind(name.to_owned())
}

/// The names of all contacts, in their order.
pub fn list_contacts() -> Query<Vec<String>> {
    Query::all("select name from contacts order by id", |mut row| row.next())
}

/// How many contacts there are.
pub fn count_contacts() -> Query<i64> {
    Query::one("select count(*) from contacts", |mut row| row.next())
}

/// Fails.
pub fn divide_by_zero() -> Query<i32> {
    Query::one("select 1 / $1", |mut row| row.next()).bind(0_i32)
}

/// Runs for a while.
pub fn be_slow() -> Query<i64> {
    Query::one("select count(*) from generate_series(1, 30000000)", |mut row| {
        row.next()
    })
}

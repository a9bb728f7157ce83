//! Queries of the tests, written as those of the program are.

use helixai::db::tenant::Query;
use uuid::Uuid;

/// The schema and the role that a statement finds itself in.
pub fn whereabouts() -> Query<(Option<String>, String)> {
    Query::one("select current_schema()::text, current_user::text", |mut row| {
        Ok((row.next()?, row.next()?))
    })
}

/// The server process that answers.
pub fn backend() -> Query<i32> {
    Query::one("select pg_backend_pid()", |mut row| row.next())
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

/// How many contacts have another name.
pub fn count_contacts_not_named(name: &str) -> Query<i64> {
    Query::one("select count(*) from contacts where name <> $1", |mut row| {
        row.next()
    })
    .bind(name.to_owned())
}

/// Fails.
pub fn divide_by_zero() -> Query<i32> {
    Query::one("select 1 / $1", |mut row| row.next()).bind(0_i32)
}

/// Fails at the commit: two photos of a vehicle in one place.
pub fn two_photos_in_one_place() -> (Query<u64>, Query<u64>) {
    let vehicle = Uuid::now_v7();
    let insert_vehicle = Query::execute(
        "insert into vehicles (id, title, make, model, status, created_at, updated_at)
         values ($1, 'Gol', 'VW', 'Gol', 'draft', '2026-01-01Z', '2026-01-01Z')",
    );
    let insert_photos = Query::execute(
        "insert into vehicle_photos (id, vehicle_id, position, url, created_at)
         values (gen_random_uuid(), $1, 0, 'a', '2026-01-01Z'), (gen_random_uuid(), $1, 0, 'b', '2026-01-01Z')",
    );
    (insert_vehicle.bind(vehicle), insert_photos.bind(vehicle))
}

/// The ids of all contacts.
pub fn list_contact_ids() -> Query<Vec<Uuid>> {
    Query::all("select id from contacts", |mut row| row.next())
}

//! Contacts: the people a tenant talks to, one row for each, whatever form their number is written in.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::query::{Columns, Query};
use super::text::{given, lock_row, named, patched, search_people};
use crate::db::DbError;
use crate::domain::contact::Contact;
use crate::domain::ids::ContactId;
use crate::domain::page::{Cursor, Limit};

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "name" as "text",
            "phone" as "text",
            "email" as "text",
            "notes" as "text",
        )
    };
}

macro_rules! columns {
    () => {
        "id, name, phone, email, notes, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<Contact, DbError> {
    Ok(Contact {
        id: ContactId::from_uuid(row.next()?),
        name: row.next()?,
        phone: row.next()?,
        email: row.next()?,
        notes: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

const INSERT: &str = concat!(
    "insert into contacts (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a contact of these fields. Constraint `contacts_phone_key` refuses a number that is somebody's.
pub fn insert(id: ContactId, fields: Map<String, Value>, now: DateTime<Utc>) -> Query<Contact> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One contact.
pub fn find(id: ContactId) -> Query<Option<Contact>> {
    Query::optional(
        concat!("select ", columns!(), " from contacts where id = $1"),
        read,
    )
    .bind(id.as_uuid())
}

/// Whose number this is.
pub fn find_by_phone(phone: String) -> Query<Option<ContactId>> {
    Query::optional("select id from contacts where phone = $1", |mut row| {
        Ok(ContactId::from_uuid(row.next()?))
    })
    .bind(phone)
}

// Two texts, so that the planner is not asked to serve both with one generic plan.
macro_rules! list {
    ($search:expr) => {
        concat!(
            "select ",
            columns!(),
            " from contacts where ($1::timestamptz is null or (created_at, id) < ($1, $2))",
            $search,
            " order by created_at desc, id desc limit $3"
        )
    };
}

/// Contacts, newest first, perhaps only those with these words; one more than the page holds, to know whether there is
/// another.
pub fn list(text: Option<String>, after: Option<Cursor>, limit: Limit) -> Query<Vec<Contact>> {
    let statement = if text.is_some() {
        list!(concat!(" and ", search_people!("$4")))
    } else {
        list!("")
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let query = Query::narrowed(statement, read)
        .bind(at)
        .bind(id)
        .bind(limit.rows());
    match text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}

/// Locks a contact, refusing when there is none or when it has another version.
pub fn lock(id: ContactId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("contacts"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update contacts set ",
    fields!(patched),
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`. Runs after [`lock`]. Constraint `contacts_phone_key` as in [`insert`].
pub fn update(id: ContactId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<Contact> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a contact. Runs after [`lock`]. Constraint `conversations_contact_id_fkey` refuses one with conversations.
pub fn delete(id: ContactId) -> Query<u64> {
    Query::execute("delete from contacts where id = $1").bind(id.as_uuid())
}

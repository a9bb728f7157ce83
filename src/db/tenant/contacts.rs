//! Contacts: the people a tenant talks to, one row for each, whatever form their number is written in.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::query::{Columns, Query};
use super::text::{given, lock_row, named, patched, search_people};
use crate::db::DbError;
use crate::domain::contact::Contact;
use crate::domain::ids::{ContactId, LeadId};
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
        "id, name, phone, email, notes, opted_out_at, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<Contact, DbError> {
    Ok(Contact {
        id: ContactId::from_uuid(row.next()?),
        name: row.next()?,
        phone: row.next()?,
        email: row.next()?,
        notes: row.next()?,
        opted_out_at: row.next()?,
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

const ENSURE: &str = "\
insert into contacts (id, name, phone, email, created_at, updated_at)
select $1, coalesce($2 ->> 'name', l.name), $2 ->> 'phone', coalesce($2 ->> 'email', l.email), $4, $4
from (values (true)) as request (one) left join leads l on l.id = $3
on conflict on constraint contacts_phone_key do nothing";

/// Sees to it that there is a contact of the number in the `fields` of a lead that is made or changed, if they have one
/// and do not name a contact themselves. Who is known stays as they are.
pub fn ensure(lead: LeadId, fields: &Map<String, Value>, now: DateTime<Utc>) -> Option<Query<u64>> {
    let has = |field| fields.get(field).is_some_and(|value| !value.is_null());
    (has("phone") && !has("contact_id")).then(|| {
        Query::execute(ENSURE)
            .bind(ContactId::new().as_uuid())
            .bind(Value::Object(fields.clone()))
            .bind(lead.as_uuid())
            .bind(now)
    })
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

// Several texts, so that the planner is not asked to serve all of them with one generic plan; and a page that is not the
// first is sought in the index.
macro_rules! list {
    ($where:expr) => {
        concat!(
            "select ",
            columns!(),
            " from contacts where ",
            $where,
            " order by created_at desc, id desc limit $3"
        )
    };
}

/// Contacts, newest first, perhaps only those with these words; one more than the page holds, to know whether there is
/// another.
pub fn list(text: Option<String>, after: Option<Cursor>, limit: Limit) -> Query<Vec<Contact>> {
    let statement = match (after.is_some(), text.is_some()) {
        (false, false) => list!("true"),
        (true, false) => list!("(created_at, id) < ($1, $2)"),
        (false, true) => list!(search_people!("$4")),
        (true, true) => list!(concat!("(created_at, id) < ($1, $2) and ", search_people!("$4"))),
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

const SET_OPTED_OUT: &str = concat!(
    "update contacts set opted_out_at = case when $2 then coalesce(opted_out_at, $3) end, ",
    "version = version + case when (opted_out_at is not null) = $2 then 0 else 1 end, ",
    "updated_at = case when (opted_out_at is not null) = $2 then updated_at else $3 end where id = $1 returning ",
    columns!()
);

/// Notes that somebody wants no broadcasts, or wants them again; nothing when there is nobody, or with no change.
pub fn set_opted_out(id: ContactId, out: bool, now: DateTime<Utc>) -> Query<Option<Contact>> {
    Query::optional(SET_OPTED_OUT, read)
        .bind(id.as_uuid())
        .bind(out)
        .bind(now)
}

/// Removes a contact. Runs after [`lock`]. Constraint `conversations_contact_id_fkey` refuses one with conversations.
pub fn delete(id: ContactId) -> Query<u64> {
    Query::execute("delete from contacts where id = $1").bind(id.as_uuid())
}

//! Leads: people who may buy. The shape that every resource's queries copy.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::{given, lock_row, named, patched, search_people};
use crate::db::DbError;
use crate::domain::ids::{ContactId, LeadId, UserId};
use crate::domain::lead::Lead;
use crate::domain::page::{Cursor, Limit};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct LeadFilter {
    /// In this stage.
    pub stage: Option<String>,
    /// From this source.
    pub source: Option<String>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Of this person.
    pub contact: Option<ContactId>,
    /// With these words in name, address, phone or notes.
    pub text: Option<String>,
}

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "name" as "text",
            "phone" as "text",
            "email" as "text",
            "source" as "text",
            "stage" as "text",
            "notes" as "text",
            "assigned_to" as "uuid",
        )
    };
}

macro_rules! columns {
    () => {
        "id, name, phone, email, source, stage, notes, contact_id, assigned_to, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<Lead, DbError> {
    Ok(Lead {
        id: LeadId::from_uuid(row.next()?),
        name: row.next()?,
        phone: row.next()?,
        email: row.next()?,
        source: row.next()?,
        stage: row.next()?,
        notes: row.next()?,
        contact_id: row.next::<Option<Uuid>>()?.map(ContactId::from_uuid),
        assigned_to: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// The contact whose number the object `$2` has; none may go away before the lead is there.
macro_rules! contact_by_phone {
    () => {
        "(select id from contacts where phone = $2 ->> 'phone' for key share)"
    };
}

const INSERT: &str = concat!(
    "insert into leads (id, ",
    fields!(named),
    "contact_id, created_at, updated_at) select $1, ",
    fields!(given),
    "coalesce(($2 ->> 'contact_id')::uuid, ",
    contact_by_phone!(),
    "), $3, $3 returning ",
    columns!()
);

/// Adds a lead of these fields, linked to the contact that they name, else to the one of its number. Constraints
/// `leads_stage_fkey`, `leads_contact_id_fkey` and `leads_assigned_to_fkey` refuse what does not exist.
pub fn insert(id: LeadId, fields: Map<String, Value>, now: DateTime<Utc>) -> Query<Lead> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One lead.
pub fn find(id: LeadId) -> Query<Option<Lead>> {
    Query::optional(concat!("select ", columns!(), " from leads where id = $1"), read).bind(id.as_uuid())
}

// Several texts, so that the planner is not asked to serve all of them with one generic plan; and a page that is not the
// first is sought in the index. What narrows it is wrapped, and there is a bound besides the page's, so that a generic
// plan, which knows none of the values, does not take the answer for a single row and sort all leads for it.
macro_rules! list {
    ($later:expr, $narrowed:expr) => {
        if $later {
            list!(text " and (created_at, id) < ($4, $5)", $narrowed)
        } else {
            list!(text "", $narrowed)
        }
    };
    (text $place:literal, $narrowed:expr) => {
        concat!(
            "select ",
            columns!(),
            " from (select ",
            columns!(),
            " from leads where coalesce(($1::text is null or stage = $1) and ($2::text is null or source = $2)",
            " and ($3::uuid is null or assigned_to = $3), false)",
            $place,
            $narrowed,
            " order by created_at desc, id desc limit 201) most order by created_at desc, id desc limit $6"
        )
    };
}

/// Leads, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: LeadFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Lead>> {
    let later = after.is_some();
    let text = match (&filter.contact, &filter.text) {
        (None, None) => list!(later, ""),
        (Some(_), None) => list!(later, " and contact_id = $7"),
        (None, Some(_)) => list!(later, concat!(" and ", search_people!("$7"))),
        (Some(_), Some(_)) => list!(later, concat!(" and contact_id = $7 and ", search_people!("$8"))),
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let mut query = Query::narrowed(text, read)
        .bind(filter.stage)
        .bind(filter.source)
        .bind(filter.assigned_to.map(UserId::as_uuid))
        .bind(at)
        .bind(id)
        .bind(limit.rows());
    if let Some(contact) = filter.contact {
        query = query.bind(Some(contact.as_uuid()));
    }
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}

/// Locks a lead, refusing when there is none or when it has another version.
pub fn lock(id: LeadId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("leads"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update leads set ",
    fields!(patched),
    "contact_id = case when $2 ? 'contact_id' then ($2 ->> 'contact_id')::uuid else coalesce(",
    contact_by_phone!(),
    ", contact_id) end, version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`; another number is another contact's. Runs after [`lock`].
pub fn update(id: LeadId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<Lead> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a lead. Runs after [`lock`].
pub fn delete(id: LeadId) -> Query<u64> {
    Query::execute("delete from leads where id = $1").bind(id.as_uuid())
}

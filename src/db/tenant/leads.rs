//! Leads: people who may buy. The shape that every resource's queries copy.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::{given, lock_row, named, patched, search_people};
use crate::db::DbError;
use crate::domain::ids::{LeadId, UserId};
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
        "id, name, phone, email, source, stage, notes, assigned_to, version, created_at, updated_at"
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
        assigned_to: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

const INSERT: &str = concat!(
    "insert into leads (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a lead of these fields. Constraints `leads_stage_fkey` and `leads_assigned_to_fkey` refuse what does not exist.
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

// Two texts, so that the planner is not asked to serve both with one generic plan.
macro_rules! list {
    ($search:expr) => {
        concat!(
            "select ",
            columns!(),
            " from leads where ($1::text is null or stage = $1) and ($2::text is null or source = $2)",
            " and ($3::uuid is null or assigned_to = $3)",
            " and ($4::timestamptz is null or (created_at, id) < ($4, $5))",
            $search,
            " order by created_at desc, id desc limit $6"
        )
    };
}

/// Leads, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: LeadFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Lead>> {
    let text = if filter.text.is_some() {
        list!(concat!(" and ", search_people!("$7")))
    } else {
        list!("")
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let query = Query::narrowed(text, read)
        .bind(filter.stage)
        .bind(filter.source)
        .bind(filter.assigned_to.map(UserId::as_uuid))
        .bind(at)
        .bind(id)
        .bind(limit.rows());
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
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`. Runs after [`lock`].
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

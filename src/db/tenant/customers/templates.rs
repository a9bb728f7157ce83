//! Message templates: words with placeholders. The plan limits how many there are.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{fold, given, lock_row, named, patched, room};
use crate::domain::ids::{DueId, MessageTemplateId};
use crate::domain::message_template::MessageTemplate;
use crate::domain::page::{Cursor, Limit};

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!("name" as "text", "subject" as "text", "body" as "text",)
    };
}

macro_rules! columns {
    () => {
        "id, name, subject, body, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<MessageTemplate, DbError> {
    Ok(MessageTemplate {
        id: MessageTemplateId::from_uuid(row.next()?),
        name: row.next()?,
        subject: row.next()?,
        body: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Refuses with [`crate::db::Refusal::LimitReached`] when there are as many templates as the plan includes (`None`: as many as one
/// likes). Two statements.
pub fn room(most: Option<i64>) -> (Query<u64>, Query<u64>) {
    room!("message_templates", most)
}

/// How many templates there are.
pub fn count() -> Query<i64> {
    Query::one("select count(*) from message_templates", |mut row| row.next())
}

const INSERT: &str = concat!(
    "insert into message_templates (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a template of these fields. Runs after [`room`].
pub fn insert(
    id: MessageTemplateId,
    fields: Map<String, Value>,
    now: DateTime<Utc>,
) -> Query<MessageTemplate> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One template.
pub fn find(id: MessageTemplateId) -> Query<Option<MessageTemplate>> {
    const FIND: &str = concat!("select ", columns!(), " from message_templates where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// Templates, newest first; one more than the page holds. `text` is looked for in name and words, without accents.
pub fn list(text: Option<String>, after: Option<Cursor>, limit: Limit) -> Query<Vec<MessageTemplate>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from message_templates where ($1::text is null or position(",
        fold!("$1"),
        " in ",
        fold!("name || ' ' || body"),
        ") > 0) and ($2::timestamptz is null or (created_at, id) < ($2, $3)) order by created_at desc, id desc limit $4"
    );
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(LIST, read)
        .bind(text)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
}

/// Locks a template, refusing when there is none or when it has another version.
pub fn lock(id: MessageTemplateId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("message_templates"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update message_templates set ",
    fields!(patched),
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`; what was decided before is sent in the former words. Runs after [`lock`].
pub fn update(
    id: MessageTemplateId,
    changes: Map<String, Value>,
    now: DateTime<Utc>,
) -> Query<MessageTemplate> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a template. Runs after [`lock`]. Constraint `reminder_rules_template_id_fkey` refuses one by which people are reminded.
pub fn delete(id: MessageTemplateId) -> Query<u64> {
    Query::execute("delete from message_templates where id = $1").bind(id.as_uuid())
}

/// What a due would fill placeholders with, apart from what the business is called and what day it is.
pub fn filling(due: DueId) -> Query<Option<super::reminders::Owed>> {
    const FIND: &str = concat!(super::reminders::owed!(), " where d.id = $1");
    Query::optional(FIND, super::reminders::read_owed).bind(due.as_uuid())
}

//! Reminder rules: on which days, counted from the day of a due, customers are reminded of it, and in which words. They are few.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{given, lock_row, named, patched};
use crate::domain::ids::{MessageTemplateId, ReminderRuleId};
use crate::domain::message_template::ReminderRule;

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "days" as "smallint",
            "template_id" as "uuid",
            "active" as "boolean",
        )
    };
}

macro_rules! columns {
    () => {
        "id, days, template_id, active, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<ReminderRule, DbError> {
    Ok(ReminderRule {
        id: ReminderRuleId::from_uuid(row.next()?),
        days: row.next()?,
        template_id: MessageTemplateId::from_uuid(row.next()?),
        active: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Refuses with [`crate::db::Refusal::NotFound`] when the template that `fields` name is not there.
pub fn require_template(fields: &Map<String, Value>) -> Query<u64> {
    Query::execute(
        "select case when exists (select from message_templates where id = ($1 ->> 'template_id')::uuid) then 0 \
         else helixai.refuse('HX404') end",
    )
    .bind(Value::Object(fields.clone()))
}

const INSERT: &str = concat!(
    "insert into reminder_rules (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a rule of these fields. Constraints `reminder_rules_days_key` and `reminder_rules_template_id_fkey` refuse a second rule for
/// the same day and a template that is not there.
pub fn insert(id: ReminderRuleId, fields: Map<String, Value>, now: DateTime<Utc>) -> Query<ReminderRule> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One rule.
pub fn find(id: ReminderRuleId) -> Query<Option<ReminderRule>> {
    const FIND: &str = concat!("select ", columns!(), " from reminder_rules where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// The rule for a day.
pub fn find_by_days(days: i32) -> Query<Option<ReminderRuleId>> {
    Query::optional("select id from reminder_rules where days = $1", |mut row| {
        Ok(ReminderRuleId::from_uuid(row.next()?))
    })
    .bind(days)
}

/// All rules, in the order of their days: there are at most 101.
pub fn list() -> Query<Vec<ReminderRule>> {
    const LIST: &str = concat!("select ", columns!(), " from reminder_rules order by days");
    Query::all(LIST, read)
}

/// Locks a rule, refusing when there is none or when it has another version.
pub fn lock(id: ReminderRuleId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("reminder_rules"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update reminder_rules set ",
    fields!(patched),
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`. Runs after [`lock`]; constraints as in [`insert`].
pub fn update(id: ReminderRuleId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<ReminderRule> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a rule. Runs after [`lock`].
pub fn delete(id: ReminderRuleId) -> Query<u64> {
    Query::execute("delete from reminder_rules where id = $1").bind(id.as_uuid())
}

//! Settings: named values, changed one by one. The last to write a value wins; what they name is `domain::settings`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::query::Query;
use crate::domain::ids::JobId;

/// What the row of `jobs` is called by which the registry is told the language.
pub const NOTE_LANGUAGE: &str = "note_language";
/// How often that is tried.
const MOST_TRIES: i32 = 100;

/// What a tenant has set.
#[derive(Debug, Clone)]
pub struct StoredSettings {
    /// The values, by name.
    pub values: Map<String, Value>,
    /// When one of them was last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

/// All values that are set.
pub fn find_all() -> Query<StoredSettings> {
    Query::one(
        "select coalesce(jsonb_object_agg(key, value), '{}'), max(updated_at) from settings",
        |mut row| {
            let values: Value = row.next()?;
            let values = match values {
                Value::Object(values) => values,
                _ => Map::new(),
            };
            Ok(StoredSettings {
                values,
                updated_at: row.next()?,
            })
        },
    )
}

/// Locks what `changes` names, in one order for everybody.
pub fn lock(changes: &Map<String, Value>) -> Query<u64> {
    Query::execute(
        "select key from settings where key in (select jsonb_object_keys($1)) order by key for update",
    )
    .bind(Value::Object(changes.clone()))
}

/// Sets the values of `changes`. Runs after [`lock`].
pub fn upsert(changes: &Map<String, Value>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into settings (key, value, updated_at)
         select e.key, e.value, $2 from jsonb_each($1) e where jsonb_typeof(e.value) <> 'null' order by e.key
         on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(Value::Object(changes.clone()))
    .bind(now)
}

/// Forgets what `changes` says is null. Runs after [`lock`].
pub fn delete_nulls(changes: &Map<String, Value>) -> Query<u64> {
    Query::execute(
        "delete from settings where key in (select e.key from jsonb_each($1) e where jsonb_typeof(e.value) = 'null')",
    )
    .bind(Value::Object(changes.clone()))
}

/// Has the registry told the language, which has changed.
pub fn note_language(now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "with line as (insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at)
         values ($1, $2, '{}', 'queued', $3, $4, $3, $3) returning run_at)
         select line.run_at from line, helixai.note_due(line.run_at)",
    )
    .bind(JobId::new().as_uuid())
    .bind(NOTE_LANGUAGE)
    .bind(now)
    .bind(MOST_TRIES)
}

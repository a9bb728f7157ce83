//! Canned replies: words that people who answer use again and again. They are few.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::query::{Columns, Query};
use super::text::{fold, given, lock_row, named, patched, room};
use crate::db::DbError;
use crate::domain::ids::{CannedReplyId, ConversationId};
use crate::domain::inbox::{CannedReply, MOST_REPLIES};
use crate::domain::page::{Cursor, Limit};

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!("shortcut" as "text", "body" as "text",)
    };
}

macro_rules! columns {
    () => {
        "id, shortcut, body, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<CannedReply, DbError> {
    Ok(CannedReply {
        id: CannedReplyId::from_uuid(row.next()?),
        shortcut: row.next()?,
        body: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Refuses with [`crate::db::Refusal::LimitReached`] when there are as many as there may be. Two statements.
pub fn room() -> (Query<u64>, Query<u64>) {
    room!("canned_replies", MOST_REPLIES)
}

const INSERT: &str = concat!(
    "insert into canned_replies (id, ",
    fields!(named),
    "created_at, updated_at) values ($1, ",
    fields!(given),
    "$3, $3) returning ",
    columns!()
);

/// Adds a reply of these fields. Runs after [`room`]. Constraint `canned_replies_shortcut_key` refuses a shortcut that is taken.
pub fn insert(id: CannedReplyId, fields: Map<String, Value>, now: DateTime<Utc>) -> Query<CannedReply> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
}

/// One reply.
pub fn find(id: CannedReplyId) -> Query<Option<CannedReply>> {
    const FIND: &str = concat!("select ", columns!(), " from canned_replies where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// The reply of a shortcut.
pub fn find_by_shortcut(shortcut: String) -> Query<Option<CannedReplyId>> {
    Query::optional("select id from canned_replies where shortcut = $1", |mut row| {
        Ok(CannedReplyId::from_uuid(row.next()?))
    })
    .bind(shortcut)
}

/// Replies, newest first; one more than the page holds. `text` is looked for in shortcut and words, without accents.
pub fn list(text: Option<String>, after: Option<Cursor>, limit: Limit) -> Query<Vec<CannedReply>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from canned_replies where ($1::text is null or position(",
        fold!("$1"),
        " in ",
        fold!("shortcut || ' ' || body"),
        ") > 0) and ($2::timestamptz is null or (created_at, id) < ($2, $3)) order by created_at desc, id desc limit $4"
    );
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(LIST, read)
        .bind(text)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
}

/// Locks a reply, refusing when there is none or when it has another version.
pub fn lock(id: CannedReplyId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("canned_replies"))
        .bind(id.as_uuid())
        .bind(version)
}

const UPDATE: &str = concat!(
    "update canned_replies set ",
    fields!(patched),
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`. Runs after [`lock`]; constraint as in [`insert`].
pub fn update(id: CannedReplyId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<CannedReply> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

/// Removes a reply. Runs after [`lock`].
pub fn delete(id: CannedReplyId) -> Query<u64> {
    Query::execute("delete from canned_replies where id = $1").bind(id.as_uuid())
}

/// How the contact of a conversation is called, if they have said; outer `None`: there is no such conversation.
pub fn find_name(conversation: ConversationId) -> Query<Option<Option<String>>> {
    Query::optional(
        "select k.name from conversations c join contacts k on k.id = c.contact_id where c.id = $1",
        |mut row| row.next(),
    )
    .bind(conversation.as_uuid())
}

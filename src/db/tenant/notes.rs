//! Notes about conversations: what people who answer write for each other.
//!
//! Everybody reads and writes them; an agent changes their own, everybody else all of them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::access::Access;
use super::query::{Columns, Query};
use crate::db::DbError;
use crate::domain::ids::{ConversationId, NoteId, UserId};
use crate::domain::inbox::{Note, NoteText};
use crate::domain::page::{Cursor, Limit};

macro_rules! columns {
    () => {
        "id, conversation_id, user_id, body, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<Note, DbError> {
    Ok(Note {
        id: NoteId::from_uuid(row.next()?),
        conversation_id: ConversationId::from_uuid(row.next()?),
        user_id: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        body: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

const INSERT: &str = concat!(
    "insert into conversation_notes (id, conversation_id, user_id, body, created_at, updated_at) ",
    "select $1, $2, s.user_id, $3, $5, $5 ",
    "from (values (true)) as request (one) left join sessions s on s.token_hash = $4 returning ",
    columns!()
);

/// Adds a note in the name of the user who asks. Runs after [`super::conversations::lock`].
pub fn insert(id: NoteId, conversation: ConversationId, body: NoteText, access: &Access) -> Query<Note> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(conversation.as_uuid())
        .bind(String::from(body))
        .bind(access.session_bytes())
        .bind(access.now())
}

// Two texts, so that the first page is not served with a plan for any page.
macro_rules! list {
    ($place:literal) => {
        concat!(
            "select ",
            columns!(),
            " from conversation_notes where conversation_id = $1",
            $place,
            " order by created_at desc, id desc limit $2"
        )
    };
}

/// The notes about a conversation, newest first; one more than the page holds.
pub fn list(conversation: ConversationId, after: Option<Cursor>, limit: Limit) -> Query<Vec<Note>> {
    let text = match after {
        Some(_) => list!(" and (created_at, id) < ($3, $4)"),
        None => list!(""),
    };
    let query = Query::all(text, read)
        .bind(conversation.as_uuid())
        .bind(limit.rows());
    match after {
        Some(cursor) => query.bind(cursor.at).bind(cursor.id),
        None => query,
    }
}

/// Locks a note, refusing when there is none about this conversation, when it has another version, or with
/// [`crate::db::Refusal::Rights`] when whoever asks is an agent and somebody else has written it.
pub fn lock(id: NoteId, conversation: ConversationId, version: Option<i32>, access: &Access) -> Query<u64> {
    Query::execute(
        "select case when n.id is null then helixai.refuse('HX404') \
         when u.role = 'agent' and coalesce(n.user_id <> u.id, true) then helixai.refuse('HX403') \
         when $3 <> n.version then helixai.refuse('HX409') else 0 end \
         from (values (true)) as request (one) \
         left join (select id, user_id, version from conversation_notes where id = $1 and conversation_id = $2 for update) n on true \
         left join (sessions s join users u on u.id = s.user_id) on s.token_hash = $4",
    )
    .bind(id.as_uuid())
    .bind(conversation.as_uuid())
    .bind(version)
    .bind(access.session_bytes())
}

const UPDATE: &str = concat!(
    "update conversation_notes set body = coalesce($2, body), version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes what is noted. Runs after [`lock`].
pub fn update(id: NoteId, body: Option<NoteText>, now: DateTime<Utc>) -> Query<Note> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(body.map(String::from))
        .bind(now)
}

/// Removes a note. Runs after [`lock`].
pub fn delete(id: NoteId) -> Query<u64> {
    Query::execute("delete from conversation_notes where id = $1").bind(id.as_uuid())
}

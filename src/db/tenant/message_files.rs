//! What somebody has sent along with a message: whether it is here, and what is still to be fetched. The file itself is in the store,
//! under the message's id; whoever removes the row that names it removes it afterwards.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::tell_message;
use crate::db::DbError;
use crate::domain::ids::{ContactId, ConversationId, InstanceId, MessageId};
use crate::domain::message::FileState;

/// A file that is to be fetched. It has no `Debug`: it is personal data.
pub struct Pending {
    /// The message that it came along with.
    pub id: MessageId,
    /// What that carries: among it the provider's name of the file.
    pub payload: Value,
    /// What fetches it where a name is not enough, as it is stored.
    pub sealed: Option<Vec<u8>>,
    /// How often fetching it was tried.
    pub attempts: i32,
    /// When it is tried next.
    pub due_at: DateTime<Utc>,
}

/// What a bot has to fetch, at most `most`, what is due first in front.
pub fn list_pending(instance: InstanceId, most: i64) -> Query<Vec<Pending>> {
    Query::all(
        "select id, payload, file_sealed, file_attempts, file_due_at from messages where instance_id = $1 and file_state = 'pending' \
         order by file_due_at limit $2",
        |mut row| {
            Ok(Pending {
                id: MessageId::from_uuid(row.next()?),
                payload: row.next()?,
                sealed: row.next()?,
                attempts: row.next()?,
                due_at: row.next()?,
            })
        },
    )
    .bind(instance.as_uuid())
    .bind(most)
}

/// Ends a statement that has begun with `with ended as (update messages …`, of a file that is awaited still.
macro_rules! told {
    () => {
        concat!(
            " where id = $1 and file_state = 'pending' returning id, conversation_id, direction, author, status) select ",
            tell_message!("message.updated", "ended"),
            " from ended"
        )
    };
}

/// Notes that a file is kept; 0 when nobody awaits it any more.
pub fn set_stored(id: MessageId, kind: &'static str, length: i64) -> Query<u64> {
    const STORED: &str = concat!(
        "with ended as (update messages set file_state = 'stored', file_type = $2, file_bytes = $3, ",
        "file_attempts = file_attempts + 1, file_due_at = null, file_sealed = null",
        told!()
    );
    Query::execute(STORED).bind(id.as_uuid()).bind(kind).bind(length)
}

/// Notes that a file will not come: it is too large, or why else.
pub fn set_refused(id: MessageId, error: Option<&'static str>) -> Query<u64> {
    const REFUSED: &str = concat!(
        "with ended as (update messages set file_state = case when $2::text is null then 'too_large' else 'failed' end, file_error = $2, ",
        "file_attempts = file_attempts + 1, file_due_at = null, file_sealed = null",
        told!()
    );
    Query::execute(REFUSED).bind(id.as_uuid()).bind(error)
}

/// Has a file fetched later.
pub fn put_off(id: MessageId, due_at: DateTime<Utc>, is_try: bool) -> Query<u64> {
    Query::execute(
        "update messages set file_due_at = $2, file_attempts = file_attempts + $3 where id = $1 and file_state = 'pending'",
    )
    .bind(id.as_uuid())
    .bind(due_at)
    .bind(i32::from(is_try))
}

/// Nothing more is fetched for a bot that is removed.
pub fn give_up(instance: InstanceId) -> Query<u64> {
    Query::execute(
        "update messages set file_state = 'failed', file_error = 'bot_removed', file_due_at = null, file_sealed = null \
         where instance_id = $1 and file_state = 'pending'",
    )
    .bind(instance.as_uuid())
}

/// Whether a message's file is kept.
pub fn is_stored(id: MessageId) -> Query<bool> {
    Query::one(
        "select exists (select from messages where id = $1 and file_state = 'stored')",
        |mut row| row.next(),
    )
    .bind(id.as_uuid())
}

/// A message's file, for whoever wants to see it. It has no `Debug`: it is personal data.
pub struct Found {
    /// Whether it is here.
    pub state: FileState,
    /// What it is, once it is here.
    pub content_type: Option<String>,
    /// What whoever has sent it calls it.
    pub name: Option<String>,
}

/// The file of a message of this conversation; `None` when there is no such message, or nothing came along with it.
pub fn find(conversation: ConversationId, message: MessageId) -> Query<Option<Found>> {
    Query::optional(
        "select file_state, file_type, payload ->> 'file_name' from messages \
         where id = $2 and conversation_id = $1 and file_state is not null",
        |mut row| {
            Ok(Found {
                state: row.parse()?,
                content_type: row.next()?,
                name: row.next()?,
            })
        },
    )
    .bind(conversation.as_uuid())
    .bind(message.as_uuid())
}

/// The messages of a conversation whose files are to be removed with them. Locked: until the transaction ends none of them is noted as
/// kept. Runs after [`super::conversations::lock`].
pub fn lock_of_conversation(id: ConversationId) -> Query<Vec<MessageId>> {
    Query::all(
        "select id from messages where conversation_id = $1 and file_state in ('pending', 'stored') for update",
        read_id,
    )
    .bind(id.as_uuid())
}

/// The same of all that was said with a contact. Runs after [`super::contacts::lock`].
pub fn lock_of_contact(id: ContactId) -> Query<Vec<MessageId>> {
    Query::all(
        "select m.id from messages m join conversations v on v.id = m.conversation_id \
         where v.contact_id = $1 and m.file_state in ('pending', 'stored') for update of m",
        read_id,
    )
    .bind(id.as_uuid())
}

/// Those of `messages` whose file nobody keeps or awaits here.
pub fn unknown(messages: &[MessageId]) -> Query<Vec<MessageId>> {
    let ids: Vec<Uuid> = messages.iter().map(|message| message.as_uuid()).collect();
    Query::all(
        "select asked.id from unnest($1) as asked (id) \
         where not exists (select from messages m where m.id = asked.id and m.file_state in ('pending', 'stored'))",
        read_id,
    )
    .bind(ids)
}

fn read_id(mut row: Columns<'_>) -> Result<MessageId, DbError> {
    Ok(MessageId::from_uuid(row.next()?))
}

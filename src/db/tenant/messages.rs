//! Messages: what was said. They are read along `messages_conversation_id_created_at_idx`, newest first, so that a page
//! costs the same whatever was said before it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::access::Access;
use super::query::{Columns, Query};
use super::text::{tell_conversation, tell_message};
use crate::db::DbError;
use crate::domain::ids::{ConversationId, InstanceId, MessageId, UserId};
use crate::domain::message::{Message, MessageFile, MessageKind, MessageText};
use crate::domain::page::{Cursor, Limit};
use crate::domain::phone::Phone;

macro_rules! columns {
    () => {
        "id, conversation_id, direction, author, user_id, kind, body, payload, file_state, file_error, file_type, file_bytes, status, error, \
         delivered_at, read_at, created_at"
    };
}

/// Ends a statement that has begun with `with made as (`: the message, told.
macro_rules! told {
    () => {
        concat!(
            ") select ",
            columns!(),
            " from made, ",
            tell_message!("message.created", "made"),
            " told"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Message, DbError> {
    Ok(Message {
        id: MessageId::from_uuid(row.next()?),
        conversation_id: ConversationId::from_uuid(row.next()?),
        direction: row.next()?,
        author: row.next()?,
        user_id: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        kind: row.next()?,
        body: row.next()?,
        payload: row.next()?,
        file: read_file(&mut row)?,
        status: row.next()?,
        error: row.next()?,
        delivered_at: row.next()?,
        read_at: row.next()?,
        created_at: row.next()?,
    })
}

fn read_file(row: &mut Columns<'_>) -> Result<Option<MessageFile>, DbError> {
    let (state, error, content_type, byte_size) = (
        row.next::<Option<String>>()?,
        row.next()?,
        row.next()?,
        row.next()?,
    );
    Ok(state.map(|state| MessageFile {
        state,
        error,
        content_type,
        byte_size,
    }))
}

const INSERT: &str = concat!(
    "with made as (insert into messages (id, conversation_id, instance_id, direction, author, user_id, kind, body, status, created_at) ",
    "select $1, c.id, c.instance_id, 'outbound', case when $4::bytea is null then 'bot' else 'user' end, ",
    "(select s.user_id from sessions s where s.token_hash = $4), 'text', $3, 'queued', $5 ",
    "from conversations c where c.id = $2 returning ",
    columns!(),
    told!()
);

/// Adds words to be sent, in the name of the user who asks, or of the bot when a program does. Runs after
/// [`super::conversations::lock`].
pub fn insert_outbound(
    id: MessageId,
    conversation: ConversationId,
    body: MessageText,
    access: &Access,
) -> Query<Message> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(conversation.as_uuid())
        .bind(String::from(body))
        .bind(session_of(access))
        .bind(access.now())
}

fn session_of(access: &Access) -> Option<Vec<u8>> {
    access.session().map(|hash| hash.as_bytes().to_vec())
}

const INSERT_TO: &str = concat!(
    "with c as (update conversations set last_message_at = greatest(last_message_at, $6), updated_at = $6, ",
    "bot_paused_until = greatest(bot_paused_until, $7) where id = (select o.id from conversations o where o.instance_id = $2 and (o.external_id = $8 ",
    "or o.contact_id = (select k.id from contacts k where k.phone = $3)) ",
    "order by o.external_id = $8 desc, o.last_message_at desc limit 1) ",
    "returning id, instance_id, status, assigned_to, unread_count, version), ",
    "made as (insert into messages (id, conversation_id, instance_id, direction, author, user_id, kind, body, status, created_at) ",
    "select $1, c.id, c.instance_id, 'outbound', case when $5::bytea is null then 'bot' else 'user' end, ",
    "(select s.user_id from sessions s where s.token_hash = $5), 'text', $4, 'queued', $6 from c returning ",
    columns!(),
    told!(),
    ", (select ",
    tell_conversation!("c"),
    " from c) talked"
);

/// Adds words to be sent to whoever has this number, in the bot's conversation of this name, or in that with them under another. Runs after [`super::numbers::ensure`].
pub fn insert_to(
    id: MessageId,
    instance: InstanceId,
    (chat, phone): (&str, &Phone),
    body: MessageText,
    access: &Access,
    bot_paused_until: Option<DateTime<Utc>>,
) -> Query<Message> {
    Query::one(INSERT_TO, read)
        .bind(id.as_uuid())
        .bind(instance.as_uuid())
        .bind(String::from(phone.clone()))
        .bind(String::from(body))
        .bind(session_of(access))
        .bind(access.now())
        .bind(bot_paused_until)
        .bind(chat.to_owned())
}

/// Refuses when there is no such message in the conversation, or with [`crate::db::Refusal::State`] when it has not failed.
pub fn require_failed(id: MessageId, conversation: ConversationId) -> Query<u64> {
    Query::execute(
        "select case when m.id is null then helixai.refuse('HX404') \
         when m.direction <> 'outbound' or m.status <> 'failed' then helixai.refuse('HX412') else 0 end \
         from (values (true)) as request (one) left join messages m on m.id = $1 and m.conversation_id = $2",
    )
    .bind(id.as_uuid())
    .bind(conversation.as_uuid())
}

const INSERT_AGAIN: &str = concat!(
    "with made as (insert into messages (id, conversation_id, instance_id, direction, author, user_id, kind, body, payload, status, created_at) ",
    "select $1, c.id, c.instance_id, 'outbound', case when $3::bytea is null then 'bot' else 'user' end, ",
    "(select s.user_id from sessions s where s.token_hash = $3), m.kind, m.body, m.payload, 'queued', $4 ",
    "from messages m join conversations c on c.id = m.conversation_id where m.id = $2 returning ",
    columns!(),
    told!()
);

/// Says again what has failed. Runs after [`super::conversations::lock`] and [`require_failed`].
pub fn insert_again(id: MessageId, failed: MessageId, access: &Access) -> Query<Message> {
    Query::one(INSERT_AGAIN, read)
        .bind(id.as_uuid())
        .bind(failed.as_uuid())
        .bind(session_of(access))
        .bind(access.now())
}

/// Something that a bot says. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Said {
    /// What it is.
    pub kind: MessageKind,
    /// Its words.
    pub body: String,
    /// What its kind carries besides words.
    pub payload: Value,
}

/// Adds what a bot says in a conversation of its own. Runs after [`super::inbound::lock`].
pub fn insert_said(
    id: MessageId,
    conversation: ConversationId,
    said: Said,
    now: DateTime<Utc>,
) -> Query<u64> {
    const SAID: &str = concat!(
        "with made as (insert into messages ",
        "(id, conversation_id, instance_id, direction, author, kind, body, payload, status, created_at) ",
        "select $1, c.id, c.instance_id, 'outbound', 'bot', $3, $4, $5, 'queued', $6 from conversations c where c.id = $2 ",
        "returning id, conversation_id, direction, author, status) select ",
        tell_message!("message.created", "made"),
        " from made"
    );
    Query::execute(SAID)
        .bind(id.as_uuid())
        .bind(conversation.as_uuid())
        .bind(said.kind.as_str())
        .bind(said.body)
        .bind(said.payload)
        .bind(now)
}

// Two texts, so that the first page is not served with a plan for any page.
macro_rules! list {
    ($place:literal) => {
        concat!(
            "select ",
            columns!(),
            " from messages where conversation_id = $1",
            $place,
            " order by created_at desc, id desc limit $2"
        )
    };
}

/// The messages of a conversation, newest first; one more than the page holds, to know whether there is another.
pub fn list(conversation: ConversationId, after: Option<Cursor>, limit: Limit) -> Query<Vec<Message>> {
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

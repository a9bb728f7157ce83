//! Conversations: the inbox. The list is read along `conversations_last_message_at_id_idx`, latest word first.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::{lock_row, patched, search_people, tell_conversation};
use crate::db::DbError;
use crate::domain::conversation::{Conversation, ConversationContact, LastMessage};
use crate::domain::ids::{ContactId, ConversationId, MessageId, UserId};
use crate::domain::page::{Cursor, Limit};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    /// In this state.
    pub status: Option<&'static str>,
    /// On this channel.
    pub channel: Option<&'static str>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// Looked after by nobody.
    pub unassigned: bool,
    /// With messages that nobody has seen, or without.
    pub unread: Option<bool>,
    /// Put off at this moment, or not.
    pub snoozed: Option<bool>,
    /// With this label.
    pub label: Option<String>,
    /// With this contact.
    pub contact: Option<ContactId>,
    /// With a contact who has these words in name, address, phone or notes.
    pub text: Option<String>,
}

/// A conversation to be begun.
#[derive(Debug, Clone)]
pub struct NewConversation {
    /// With whom.
    pub contact: ContactId,
    /// On what.
    pub channel: &'static str,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// Words by which it is sorted.
    pub labels: Vec<String>,
}

macro_rules! columns {
    () => {
        "id, contact_id, channel, instance_id, status, assigned_to, labels, snoozed_until, bot_paused_until, \
         unread_count, last_message_at, version, created_at, updated_at"
    };
}

/// The conversations of `$rows`, each with its contact and its newest message.
macro_rules! shown {
    ($rows:expr) => {
        concat!(
            "select c.id, c.channel, c.instance_id, c.status, c.assigned_to, c.labels, c.snoozed_until, ",
            "c.bot_paused_until, c.unread_count, c.last_message_at, c.version, c.created_at, c.updated_at, ",
            "k.id, k.name, k.phone, m.id, m.direction, m.kind, left(m.body, 200), m.created_at from ",
            $rows,
            " c join contacts k on k.id = c.contact_id left join lateral (select id, direction, kind, body, created_at ",
            "from messages where conversation_id = c.id order by created_at desc, id desc limit 1) m on true"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Conversation, DbError> {
    let id = ConversationId::from_uuid(row.next()?);
    let (channel, instance_id, status) = (row.next()?, row.next()?, row.next()?);
    let assigned_to = row.next::<Option<Uuid>>()?.map(UserId::from_uuid);
    Ok(Conversation {
        id,
        channel,
        instance_id,
        status,
        assigned_to,
        labels: row.next()?,
        snoozed_until: row.next()?,
        bot_paused_until: row.next()?,
        unread_count: row.next()?,
        last_message_at: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        contact: ConversationContact {
            id: ContactId::from_uuid(row.next()?),
            name: row.next()?,
            phone: row.next()?,
        },
        last_message: read_last(&mut row)?,
    })
}

fn read_last(row: &mut Columns<'_>) -> Result<Option<LastMessage>, DbError> {
    let Some(id) = row.next::<Option<Uuid>>()? else {
        return Ok(None);
    };
    Ok(Some(LastMessage {
        id: MessageId::from_uuid(id),
        direction: row.next()?,
        kind: row.next()?,
        body: row.next()?,
        created_at: row.next()?,
    }))
}

/// Refuses with [`crate::db::Refusal::Stale`] when there is a conversation with this contact on this channel.
pub fn refuse_second(contact: ContactId, channel: &'static str) -> Query<u64> {
    Query::execute(
        "select case when exists (select from conversations where contact_id = $1 and channel = $2) \
         then helixai.refuse('HX409') else 0 end",
    )
    .bind(contact.as_uuid())
    .bind(channel)
}

/// The conversation with this contact on this channel; of several, on several bots, the one of the latest word.
pub fn find_with(contact: ContactId, channel: &'static str) -> Query<Option<ConversationId>> {
    Query::optional(
        "select id from conversations where contact_id = $1 and channel = $2 order by last_message_at desc limit 1",
        |mut row| Ok(ConversationId::from_uuid(row.next()?)),
    )
    .bind(contact.as_uuid())
    .bind(channel)
}

const INSERT: &str = concat!(
    "with made as (insert into conversations (id, contact_id, channel, status, assigned_to, labels, last_message_at, ",
    "created_at, updated_at) values ($1, $2, $3, 'open', $4, $5, $6, $6, $6) returning ",
    columns!(),
    ") ",
    shown!("made")
);

/// Begins a conversation that no bot holds yet. Constraint `conversations_contact_id_channel_instance_id_external_id_key`
/// refuses a second one; `conversations_contact_id_fkey` and `conversations_assigned_to_fkey` whom there is not.
pub fn insert(id: ConversationId, new: NewConversation, now: DateTime<Utc>) -> Query<Conversation> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(new.contact.as_uuid())
        .bind(new.channel)
        .bind(new.assigned_to.map(UserId::as_uuid))
        .bind(new.labels)
        .bind(now)
}

/// One conversation.
pub fn find(id: ConversationId) -> Query<Option<Conversation>> {
    const FIND: &str = shown!(concat!(
        "(select ",
        columns!(),
        " from conversations where id = $1)"
    ));
    Query::optional(FIND, read).bind(id.as_uuid())
}

// Several texts, so that the planner is not asked to serve all of them with one generic plan; and a page that is not the
// first is sought in the index. What narrows it is wrapped, and there is a bound besides the page's, so that a generic
// plan, which knows none of the values, does not take the answer for a single row and sort all conversations for it.
macro_rules! list {
    ($later:expr, $narrowed:expr) => {
        if $later {
            list!(text " and (last_message_at, id) < ($1, $2)", $narrowed)
        } else {
            list!(text "", $narrowed)
        }
    };
    (text $place:literal, $narrowed:expr) => {
        concat!(
            shown!(concat!(
                "(select ",
                columns!(),
                " from (select ",
                columns!(),
                " from conversations where coalesce(($4::text is null or status = $4)",
                " and ($5::text is null or channel = $5)",
                " and ($6::uuid is null or assigned_to = $6) and (not $7 or assigned_to is null)",
                " and ($8::boolean is null or (unread_count > 0) = $8)",
                " and ($9::boolean is null or coalesce(snoozed_until > $10, false) = $9)",
                " and ($11::text is null or $11 = any (labels)), false)",
                $place,
                $narrowed,
                " order by last_message_at desc, id desc limit 201) most limit $3)"
            )),
            " order by c.last_message_at desc, c.id desc"
        )
    };
}

macro_rules! of_contact {
    () => {
        " and contact_id = $12"
    };
}

// The contacts first, by their words; their conversations after that.
macro_rules! of_people {
    ($arg:literal) => {
        concat!(
            " and contact_id = any (array(select id from contacts where ",
            search_people!($arg),
            "))"
        )
    };
}

/// Conversations, latest word first; one more than the page holds, to know whether there is another. `now` tells which
/// are put off.
pub fn list(
    filter: ConversationFilter,
    now: DateTime<Utc>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<Conversation>> {
    let later = after.is_some();
    let text = match (&filter.contact, &filter.text) {
        (None, None) => list!(later, ""),
        (Some(_), None) => list!(later, of_contact!()),
        (None, Some(_)) => list!(later, of_people!("$12")),
        (Some(_), Some(_)) => list!(later, concat!(of_contact!(), of_people!("$13"))),
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let mut query = Query::narrowed(text, read)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
        .bind(filter.status)
        .bind(filter.channel)
        .bind(filter.assigned_to.map(UserId::as_uuid))
        .bind(filter.unassigned)
        .bind(filter.unread)
        .bind(filter.snoozed)
        .bind(now)
        .bind(filter.label);
    if let Some(contact) = filter.contact {
        query = query.bind(Some(contact.as_uuid()));
    }
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}

/// Locks a conversation, refusing when there is none or when it has another version: its lane, in which messages and
/// changes are one after the other.
pub fn lock(id: ConversationId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("conversations"))
        .bind(id.as_uuid())
        .bind(version)
}

/// Refuses when there is no such conversation.
pub fn require(id: ConversationId) -> Query<u64> {
    Query::execute(
        "select case when exists (select from conversations where id = $1) then 0 else helixai.refuse('HX404') end",
    )
    .bind(id.as_uuid())
}

const UPDATE: &str = concat!(
    "with changed as (update conversations set ",
    patched!(
        "status" as "text",
        "assigned_to" as "uuid",
        "snoozed_until" as "timestamptz",
        "bot_paused_until" as "timestamptz",
    ),
    "labels = case when $2 ? 'labels' then array(select jsonb_array_elements_text($2 -> 'labels')) else labels end, ",
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!(),
    ") ",
    shown!("changed")
);

/// Changes what is named in `changes`. Runs after [`lock`]. Constraint `conversations_assigned_to_fkey` refuses a user
/// whom there is not.
pub fn update(id: ConversationId, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<Conversation> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
}

const MARK_READ: &str = concat!(
    "with changed as (update conversations set unread_count = 0 where id = $1 returning ",
    columns!(),
    ") ",
    shown!("changed")
);

/// Notes that all messages have been seen. Runs after [`lock`].
pub fn mark_read(id: ConversationId) -> Query<Conversation> {
    Query::one(MARK_READ, read).bind(id.as_uuid())
}

/// Notes that something was said to the contact, and until when the bot is silent, if that is later than it was. Runs
/// after [`lock`].
pub fn note_outbound(
    id: ConversationId,
    at: DateTime<Utc>,
    bot_paused_until: Option<DateTime<Utc>>,
) -> Query<u64> {
    const NOTE: &str = concat!(
        "with changed as (update conversations set last_message_at = greatest(last_message_at, $2), updated_at = $2, ",
        "bot_paused_until = greatest(bot_paused_until, $3) where id = $1 ",
        "returning id, status, assigned_to, unread_count, version) select ",
        tell_conversation!("changed"),
        " from changed"
    );
    Query::execute(NOTE)
        .bind(id.as_uuid())
        .bind(at)
        .bind(bot_paused_until)
}

const HAND_BACK: &str = concat!(
    "with changed as (update conversations set bot_paused_until = null, assigned_to = null, version = version + 1, ",
    "updated_at = $2 where id = $1 returning ",
    columns!(),
    ") ",
    shown!("changed")
);

/// Lets the bot speak again, and nobody look after the conversation. Runs after [`lock`].
pub fn hand_back(id: ConversationId, now: DateTime<Utc>) -> Query<Conversation> {
    Query::one(HAND_BACK, read).bind(id.as_uuid()).bind(now)
}

/// Tells sockets how a conversation stands. Runs after what has changed it.
pub fn tell(id: ConversationId) -> Query<u64> {
    const TELL: &str = concat!(
        "select ",
        tell_conversation!("c"),
        " from conversations c where c.id = $1"
    );
    Query::execute(TELL).bind(id.as_uuid())
}

/// Removes a conversation and its messages. Runs after [`lock`].
pub fn delete(id: ConversationId) -> Query<u64> {
    Query::execute(
        "with gone as (delete from conversations where id = $1 returning id) \
         select helixai.tell('conversation.deleted', null, jsonb_build_object('id', gone.id)) from gone",
    )
    .bind(id.as_uuid())
}

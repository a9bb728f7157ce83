//! What comes in from a channel: stored once, however often it is delivered, before the provider is told that it has arrived.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::query::Query;
use super::text::{tell_conversation, tell_message, tell_notification};
use crate::domain::conversation::Channel;
use crate::domain::ids::{ContactId, ConversationId, InstanceId, MessageId, NotificationId};
use crate::domain::message::{FileState, MessageKind};

/// Something that somebody has said to a bot. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Heard {
    /// The provider's name of the chat.
    pub chat: String,
    /// Another name of the chat, which hid the number and under which it may have been heard before.
    pub hidden: Option<String>,
    /// The provider's name of the message, in this chat and all others of the bot.
    pub provider_message_id: String,
    /// How whoever speaks is called.
    pub name: Option<String>,
    /// Their number in E.164, where the channel tells it: one number is one contact, on whatever channel.
    pub phone: Option<String>,
    /// What it is.
    pub kind: MessageKind,
    /// Its words.
    pub body: Option<String>,
    /// What its kind carries besides words.
    pub payload: Value,
    /// What fetches the file that came along, where its name in `payload` is not enough: sealed for the bot.
    pub file_sealed: Option<Vec<u8>>,
}

// Of two messages with which somebody begins to speak the second waits here for the first, so that there are not two of anything.
pub(super) const LOCK_INSTANCE: &str = "\
select case when i.id is null then helixai.refuse('HX404') else 0 end from (values (true)) as request (one)
left join (select id from instances where id = $1 and deleted_at is null for no key update) i on true";

// Who was heard under a name that hid the number, and is known now, keeps the conversation: it is that with whoever has this number.
const REVEAL: &str = "\
with known as (select id from contacts where phone = $4),
revealed as (update conversations c set external_id = $3, contact_id = coalesce((select id from known), c.contact_id), updated_at = $5
  where c.instance_id = $1 and c.external_id = $2
    and not exists (select from conversations o where o.instance_id = $1 and o.external_id = $3) returning c.contact_id)
update contacts k set phone = $4, version = k.version + 1, updated_at = $5 from revealed r
where k.id = r.contact_id and k.phone is null and not exists (select from known)";

// A conversation that was begun here with whoever has this number is held by the bot from now on; and one that the bot holds under
// another form of the number is the same one.
const ADOPT: &str = "\
update conversations c set instance_id = $1, external_id = $2, updated_at = $5
from contacts k
where k.phone = $3 and c.contact_id = k.id and c.channel = $4
  and c.id = (select o.id from conversations o where o.contact_id = k.id and o.channel = $4
              and (o.instance_id is null or o.instance_id = $1) order by o.instance_id nulls last limit 1)
  and not exists (select from conversations o where o.instance_id = $1 and o.external_id = $2)";

const ENSURE_CONTACT: &str = "\
insert into contacts (id, name, phone, created_at, updated_at)
select $1, $2, $3, $6, $6
where not exists (select from conversations where instance_id = $4 and external_id = $5)
on conflict on constraint contacts_phone_key do nothing";

const ENSURE_CONVERSATION: &str = "\
insert into conversations (id, contact_id, channel, instance_id, external_id, status, last_message_at, created_at, updated_at)
select $1, k.id, $2, $3, $4, 'open', $5, $5, $5 from contacts k
where k.id = coalesce((select id from contacts where phone = $6), $7)
  and not exists (select from conversations where instance_id = $3 and external_id = $4)";

const INSERT: &str = concat!(
    "with made as (insert into messages ",
    "(id, conversation_id, instance_id, direction, author, kind, body, payload, provider_message_id, status, created_at, ",
    "file_state, file_due_at, file_sealed) ",
    "select $1, c.id, $2, 'inbound', 'contact', $3, $4, $5, $6, 'received', $7, $10, case $10 when 'pending' then $7 end, case $10 when 'pending' then $11 end ",
    "from conversations c where c.instance_id = $2 and c.external_id = $8 ",
    "on conflict on constraint messages_instance_id_provider_message_id_key do nothing ",
    "returning id, conversation_id, direction, author, status), ",
    "noted as (update conversations c set unread_count = c.unread_count + 1, last_message_at = greatest(c.last_message_at, $7), ",
    "status = 'open', snoozed_until = null, updated_at = $7 ",
    "from made where c.id = made.conversation_id returning c.id, c.status, c.assigned_to, c.unread_count, c.version), ",
    "notified as (insert into notifications (id, user_id, kind, conversation_id, created_at) ",
    "select $9, n.assigned_to, 'message_received', n.id, $7 from noted n where n.assigned_to is not null ",
    "on conflict do nothing returning id, user_id, kind, conversation_id, instance_id) ",
    "select c.id, (select ",
    tell_message!("message.created", "made"),
    " from made), (select ",
    tell_conversation!("noted"),
    " from noted), (select ",
    tell_notification!("notified"),
    " from notified) from conversations c where c.instance_id = $2 and c.external_id = $8"
);

const INSERT_OWN: &str = concat!(
    "with made as (insert into messages ",
    "(id, conversation_id, instance_id, direction, author, kind, body, payload, provider_message_id, status, created_at, ",
    "file_state, file_due_at, file_sealed) ",
    "select $1, c.id, $2, 'outbound', 'user', $3, $4, $5, $6, 'sent', $7, $10, case $10 when 'pending' then $7 end, case $10 when 'pending' then $11 end ",
    "from conversations c where c.instance_id = $2 and c.external_id = $8 ",
    "on conflict on constraint messages_instance_id_provider_message_id_key do nothing ",
    "returning id, conversation_id, direction, author, status), ",
    "noted as (update conversations c set last_message_at = greatest(c.last_message_at, $7), updated_at = $7, ",
    "bot_paused_until = greatest(c.bot_paused_until, $9) ",
    "from made where c.id = made.conversation_id returning c.id, c.status, c.assigned_to, c.unread_count, c.version) select ",
    tell_message!("message.created", "made"),
    ", (select ",
    tell_conversation!("noted"),
    " from noted) from made"
);

/// What there has to be before something can be stored: the bot, the contact, the conversation.
pub type Ensured = (
    Query<u64>,
    Option<Query<u64>>,
    Option<Query<u64>>,
    Query<u64>,
    Query<u64>,
);

/// Stores something, with its contact and conversation, in one round trip; which conversation it is. With `file`, something came along
/// with it. Refuses when there is no such bot.
pub fn store(
    instance: InstanceId,
    channel: Channel,
    heard: Heard,
    file: Option<FileState>,
    now: DateTime<Utc>,
) -> (Ensured, Query<ConversationId>) {
    let ensured = ensure(instance, channel, &heard, now);
    let insert = Query::one(INSERT, |mut row| Ok(ConversationId::from_uuid(row.next()?)));
    let insert = insert
        .bind(MessageId::new().as_uuid())
        .bind(instance.as_uuid())
        .bind(heard.kind.as_str())
        .bind(heard.body)
        .bind(heard.payload)
        .bind(heard.provider_message_id)
        .bind(now)
        .bind(heard.chat)
        .bind(NotificationId::new().as_uuid())
        .bind(file.map(|file| file.as_str()))
        .bind(heard.file_sealed);
    (ensured, insert)
}

/// Stores something that the bot's owner has said in its name elsewhere, as [`store`] does: the bot is silent until then.
pub fn store_own(
    instance: InstanceId,
    channel: Channel,
    said: Heard,
    file: Option<FileState>,
    paused_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (Ensured, Query<u64>) {
    let ensured = ensure(instance, channel, &said, now);
    let insert = Query::execute(INSERT_OWN)
        .bind(MessageId::new().as_uuid())
        .bind(instance.as_uuid())
        .bind(said.kind.as_str())
        .bind(said.body)
        .bind(said.payload)
        .bind(said.provider_message_id)
        .bind(now)
        .bind(said.chat)
        .bind(paused_until)
        .bind(file.map(|file| file.as_str()))
        .bind(said.file_sealed);
    (ensured, insert)
}

fn ensure(instance: InstanceId, channel: Channel, heard: &Heard, now: DateTime<Utc>) -> Ensured {
    let contact = ContactId::new();
    let lock = Query::execute(LOCK_INSTANCE).bind(instance.as_uuid());
    let reveal = heard.hidden.clone().zip(heard.phone.clone());
    let reveal = reveal.map(|(hidden, phone)| {
        Query::execute(REVEAL)
            .bind(instance.as_uuid())
            .bind(hidden)
            .bind(heard.chat.clone())
            .bind(phone)
            .bind(now)
    });
    let adopt = heard.phone.clone().map(|phone| {
        Query::execute(ADOPT)
            .bind(instance.as_uuid())
            .bind(heard.chat.clone())
            .bind(phone)
            .bind(channel.as_str())
            .bind(now)
    });
    let ensure_contact = Query::execute(ENSURE_CONTACT)
        .bind(contact.as_uuid())
        .bind(heard.name.clone())
        .bind(heard.phone.clone())
        .bind(instance.as_uuid())
        .bind(heard.chat.clone())
        .bind(now);
    let ensure_conversation = Query::execute(ENSURE_CONVERSATION)
        .bind(ConversationId::new().as_uuid())
        .bind(channel.as_str())
        .bind(instance.as_uuid())
        .bind(heard.chat.clone())
        .bind(now)
        .bind(heard.phone.clone())
        .bind(contact.as_uuid());
    (lock, reveal, adopt, ensure_contact, ensure_conversation)
}

/// A conversation in which something waits for an answer: its lane, locked, and what the answer depends on. It has no `Debug`: it is
/// personal data.
pub struct Lane {
    /// With whom.
    pub contact: ContactId,
    /// They want no broadcasts.
    pub opted_out: bool,
    /// A person answers: the bot is silent until then.
    pub bot_paused_until: Option<DateTime<Utc>>,
    /// What the bot says first.
    pub initial_message: Option<String>,
    /// Where the button under it leads.
    pub vip_link: Option<String>,
    /// Whether the bot is there still.
    pub is_active: bool,
    /// Nothing was heard here before.
    pub first: bool,
}

/// Something that waits for an answer. It has no `Debug`: it is personal data.
pub struct Waiting {
    /// The message.
    pub id: MessageId,
    /// What it is.
    pub kind: String,
    /// Its words.
    pub body: Option<String>,
}

/// Locks a conversation, in which one message is answered after the other; `None` when it is gone.
pub fn lock(conversation: ConversationId) -> Query<Option<Lane>> {
    Query::optional(
        "select k.id, k.opted_out_at is not null, c.bot_paused_until, i.initial_message, i.vip_link, coalesce(i.is_active, false), \
         not exists (select from messages m where m.conversation_id = c.id and m.direction = 'inbound' and m.processed_at is not null) \
         from (select id, contact_id, instance_id, bot_paused_until from conversations where id = $1 for update) c \
         join contacts k on k.id = c.contact_id \
         left join instances i on i.id = c.instance_id",
        |mut row| {
            Ok(Lane {
                contact: ContactId::from_uuid(row.next()?),
                opted_out: row.next()?,
                bot_paused_until: row.next()?,
                initial_message: row.next()?,
                vip_link: row.next()?,
                is_active: row.next()?,
                first: row.next()?,
            })
        },
    )
    .bind(conversation.as_uuid())
}

/// What waits for an answer in a conversation, in order. Runs after [`lock`].
pub fn list_waiting(instance: InstanceId, conversation: ConversationId) -> Query<Vec<Waiting>> {
    Query::all(
        "select id, kind, body from messages where instance_id = $1 and conversation_id = $2 and direction = 'inbound' \
         and processed_at is null order by id",
        |mut row| {
            Ok(Waiting {
                id: MessageId::from_uuid(row.next()?),
                kind: row.next()?,
                body: row.next()?,
            })
        },
    )
    .bind(instance.as_uuid())
    .bind(conversation.as_uuid())
}

/// Notes that these were answered, or need no answer.
pub fn set_processed(ids: Vec<MessageId>, now: DateTime<Utc>) -> Query<u64> {
    let ids: Vec<Uuid> = ids.into_iter().map(MessageId::as_uuid).collect();
    Query::execute("update messages set processed_at = $2 where id = any ($1) and processed_at is null")
        .bind(ids)
        .bind(now)
}

/// The conversations of a bot in which something waits for an answer, those first that wait longest, at most `most`.
pub fn list_unanswered(instance: InstanceId, most: i64) -> Query<Vec<ConversationId>> {
    Query::all(
        "select conversation_id from (select distinct on (conversation_id) conversation_id, id from (select conversation_id, id \
         from messages where instance_id = $1 and direction = 'inbound' and processed_at is null order by id limit $2) waiting \
         order by conversation_id, id) first order by id",
        |mut row| Ok(ConversationId::from_uuid(row.next()?)),
    )
    .bind(instance.as_uuid())
    .bind(most)
}

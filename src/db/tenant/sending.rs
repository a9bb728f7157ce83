//! What waits to be sent by a bot: taken by whoever runs it, in the order in which it was said, conversation by conversation.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::query::Query;
use super::text::tell_message;
use crate::domain::ids::{ConversationId, InstanceId, MessageId};

/// A message that this worker is to send. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct ToSend {
    /// The message, and the line of the outbox.
    pub id: MessageId,
    /// How often it was tried, this time included.
    pub attempts: i32,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The provider's name of the chat.
    pub chat: String,
    /// What it is.
    pub kind: String,
    /// Its words.
    pub body: Option<String>,
    /// What its kind carries besides words.
    pub payload: Value,
}

// What is to be tried again, or is in a worker's hands still, holds back what was said after it in the same conversation. Of one
// conversation only a few are taken, so that its heap does not keep the others waiting.
const CLAIM: &str = "\
with due as (
    select o.id from messages m join outbox o on o.id = m.id
    where m.instance_id = $4 and m.status = 'queued' and o.state = 'pending' and o.due_at <= $3
      and (o.leased_until is null or o.leased_until <= $3)
      and not exists (
        select from messages q join outbox p on p.id = q.id
        where q.status = 'queued' and q.conversation_id = m.conversation_id and q.id < m.id
          and p.state = 'pending' and ((p.last_error is not null and p.due_at > $3) or p.leased_until > $3))
      and (select count(*) from (
        select from messages q where q.status = 'queued' and q.conversation_id = m.conversation_id and q.id < m.id limit 4) earlier) < 4
    order by m.id limit $5 for update of o skip locked
)
update outbox o set leased_by = $1, leased_until = $2, attempts = o.attempts + 1, updated_at = $3
from due, messages m, conversations c
where o.id = due.id and m.id = o.id and c.id = m.conversation_id
returning o.id, o.attempts, c.id, c.external_id, m.kind, m.body, m.payload";

/// Takes at most `most` messages of a bot that are due, the oldest first, until `until`: of one conversation the first few. They come in
/// any order.
pub fn claim(
    worker: Uuid,
    instance: InstanceId,
    most: i64,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
) -> Query<Vec<ToSend>> {
    let claim = Query::all(CLAIM, |mut row| {
        Ok(ToSend {
            id: MessageId::from_uuid(row.next()?),
            attempts: row.next()?,
            conversation: ConversationId::from_uuid(row.next()?),
            chat: row.next()?,
            kind: row.next()?,
            body: row.next()?,
            payload: row.next()?,
        })
    });
    claim
        .bind(worker)
        .bind(until)
        .bind(now)
        .bind(instance.as_uuid())
        .bind(most)
}

/// Notes that the provider has taken a message, and what it calls it, if it has said so; 0 when another worker has it.
pub fn set_sent(
    id: MessageId,
    worker: Uuid,
    provider_message_id: Option<String>,
    now: DateTime<Utc>,
) -> Query<u64> {
    end(id, worker, ("sent", "sent"), None, provider_message_id, now)
}

/// Notes that a message will not be sent, and why; 0 when another worker has it.
pub fn set_failed(id: MessageId, worker: Uuid, error: &'static str, now: DateTime<Utc>) -> Query<u64> {
    end(id, worker, ("failed", "failed"), Some(error), None, now)
}

fn end(
    id: MessageId,
    worker: Uuid,
    (line, message): (&'static str, &'static str),
    error: Option<&'static str>,
    provider_message_id: Option<String>,
    now: DateTime<Utc>,
) -> Query<u64> {
    const END: &str = concat!(
        "with line as (update outbox set state = $3, last_error = $5, leased_by = null, leased_until = null, updated_at = $7 ",
        "where id = $1 and leased_by = $2 returning id), ",
        "ended as (update messages m set status = $4, error = $5, provider_message_id = $6 from line ",
        "where m.id = line.id and m.status = 'queued' returning m.id, m.conversation_id, m.direction, m.author, m.status) select ",
        tell_message!("message.updated", "ended"),
        " from ended"
    );
    Query::execute(END)
        .bind(id.as_uuid())
        .bind(worker)
        .bind(line)
        .bind(message)
        .bind(error)
        .bind(provider_message_id)
        .bind(now)
}

/// Gives up whatever a bot that is removed was to send.
pub fn cancel_all(instance: InstanceId, now: DateTime<Utc>) -> Query<u64> {
    const CANCEL: &str = concat!(
        "with given_up as (update messages set status = 'failed', error = 'bot_removed' ",
        "where instance_id = $1 and status = 'queued' returning id, conversation_id, direction, author, status), ",
        "canceled as (update outbox o set state = 'canceled', leased_by = null, leased_until = null, updated_at = $2 from given_up ",
        "where o.id = given_up.id and o.state = 'pending') select ",
        tell_message!("message.updated", "given_up"),
        " from given_up"
    );
    Query::execute(CANCEL).bind(instance.as_uuid()).bind(now)
}

/// Gives a message back, to be tried again then. With `untried` this time does not count.
pub fn put_off(
    id: MessageId,
    worker: Uuid,
    due_at: DateTime<Utc>,
    error: &'static str,
    untried: bool,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "update outbox set due_at = $3, last_error = $4, attempts = attempts - case when $5 then 1 else 0 end, \
         leased_by = null, leased_until = null, updated_at = $6 where id = $1 and leased_by = $2",
    )
    .bind(id.as_uuid())
    .bind(worker)
    .bind(due_at)
    .bind(error)
    .bind(untried)
    .bind(now)
}

/// When the next message of a bot is due; `None` when there is none. What waits for an earlier one of its conversation is not asked.
pub fn next_due(instance: InstanceId, now: DateTime<Utc>) -> Query<Option<DateTime<Utc>>> {
    Query::one(
        "select min(greatest(o.due_at, o.leased_until)) from messages m join outbox o on o.id = m.id \
         where m.instance_id = $1 and m.status = 'queued' and o.state = 'pending' and not exists ( \
           select from messages q join outbox p on p.id = q.id \
           where q.status = 'queued' and q.conversation_id = m.conversation_id and q.id < m.id \
             and p.state = 'pending' and ((p.last_error is not null and p.due_at > $2) or p.leased_until > $2))",
        |mut row| row.next(),
    )
    .bind(instance.as_uuid())
    .bind(now)
}

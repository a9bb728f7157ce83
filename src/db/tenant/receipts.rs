//! What has become of messages that were handed to a provider, as the provider tells: in any order, and again and again. A message goes
//! forward only: queued, sent, delivered, read; or it has failed.

use chrono::{DateTime, Utc};

use super::query::Query;
use super::text::tell_message;
use crate::domain::ids::{InstanceId, MessageId};
use crate::domain::message::MessageStatus;

/// What a provider tells of a message. It has no `Debug`: names of messages may hold a number.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's name of it.
    pub provider_message_id: String,
    /// Our own, when the provider says it back: known also when its answer was lost.
    pub ours: Option<MessageId>,
    /// What has become of it.
    pub became: MessageStatus,
    /// Why it has failed.
    pub error: Option<&'static str>,
    /// When, as the provider says.
    pub at: Option<DateTime<Utc>>,
}

// The line before the message, as whoever sends does.
const LOCK: &str = "\
select count(*) from (select o.id from outbox o
    where o.state = 'pending'
      and o.id in (select m.id from messages m
                   where m.instance_id = $1 and m.direction = 'outbound' and m.status = 'queued' and m.id = $2)
    for update) line";

const NOTE: &str = concat!(
    "with found as (select m.id, m.status from messages m ",
    "where m.instance_id = $1 and m.direction = 'outbound' and (m.provider_message_id = $2 or m.id = $3) ",
    "order by m.id = $3 desc nulls last limit 1 for update), ",
    "moved as (update messages m set status = $4, error = $5, provider_message_id = coalesce(m.provider_message_id, $2), ",
    "delivered_at = case when $4 in ('delivered', 'read') then coalesce(m.delivered_at, $6) else m.delivered_at end, ",
    "read_at = case when $4 = 'read' then coalesce(m.read_at, $6) else m.read_at end from found f ",
    "where m.id = f.id and (f.status <> 'queued' or $7 or $4 = 'failed') and case $4 ",
    "when 'sent' then f.status = 'queued' when 'delivered' then f.status in ('queued', 'sent') ",
    "when 'read' then f.status in ('queued', 'sent', 'delivered') when 'failed' then f.status in ('queued', 'sent') else false end ",
    "returning m.id, m.conversation_id, m.direction, m.author, m.status), ",
    "line as (update outbox o set state = case when $4 = 'failed' then 'failed' else 'sent' end, last_error = $5, leased_by = null, ",
    "leased_until = null, updated_at = $8 from moved where o.id = moved.id and o.state = 'pending') ",
    "select f.id is not null, case when f.status = 'queued' and not $7 and $4 <> 'failed' then f.id end, (select ",
    tell_message!("message.updated", "moved"),
    " from moved) from (values (true)) as request (one) left join found f on true"
);

/// What is known of the message that a receipt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// There is such a message.
    pub known: bool,
    /// It is queued still and has to be booked first: it was left as it is.
    pub unbooked: Option<MessageId>,
}

/// Notes what has become of a message of this bot, if that is news. One that is queued still has to be booked first: it is left as it is
/// until `booked`.
pub fn note(
    instance: InstanceId,
    receipt: &Receipt,
    booked: bool,
    now: DateTime<Utc>,
) -> (Query<u64>, Query<Noted>) {
    let ours = receipt.ours.map(MessageId::as_uuid);
    let lock = Query::execute(LOCK).bind(instance.as_uuid()).bind(ours);
    let note = Query::one(NOTE, |mut row| {
        Ok(Noted {
            known: row.next()?,
            unbooked: row.next::<Option<uuid::Uuid>>()?.map(MessageId::from_uuid),
        })
    });
    let note = note
        .bind(instance.as_uuid())
        .bind(receipt.provider_message_id.clone())
        .bind(ours)
        .bind(receipt.became.as_str())
        .bind(receipt.error)
        .bind(receipt.at.unwrap_or(now))
        .bind(booked)
        .bind(now);
    (lock, note)
}

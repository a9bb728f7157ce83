//! Who a broadcast is for, and what became of each. All of it runs with the broadcast's row locked, which counts them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::broadcasts::Due;
use crate::db::tenant::outbox::MOST_ATTEMPTS;
use crate::db::tenant::query::Query;
use crate::db::tenant::text::tell_message;
use crate::domain::broadcast::Segment;
use crate::domain::ids::{BroadcastId, ContactId, InstanceId, MessageId};

/// The conversation `c` that the bot `$1` holds with the contact `k`, of several the one of the latest word, when the segment `$2` means it.
macro_rules! meant {
    () => {
        "cross join lateral (select v.id, v.labels, v.channel from conversations v where v.contact_id = k.id and v.instance_id = $1 \
         and v.external_id not like 'erased:%' order by v.last_message_at desc, v.id desc limit 1) c \
         where (not $2 ? 'tags_any' or c.labels && array(select jsonb_array_elements_text($2 -> 'tags_any'))) \
         and (not $2 ? 'tags_all' or c.labels @> array(select jsonb_array_elements_text($2 -> 'tags_all'))) \
         and (not $2 ? 'channel' or c.channel = $2 ->> 'channel') \
         and (not $2 ? 'lead_stage' or k.id in (select l.contact_id from leads l where l.stage = $2 ->> 'lead_stage' and l.contact_id is not null)) \
         and (not $2 ? 'last_seen_after' or exists (select from messages m where m.conversation_id = c.id and m.direction = 'inbound' \
         and m.created_at >= ($2 ->> 'last_seen_after')::timestamptz)) \
         and (not $2 ? 'last_seen_before' or not exists (select from messages m where m.conversation_id = c.id and m.direction = 'inbound' \
         and m.created_at >= ($2 ->> 'last_seen_before')::timestamptz))"
    };
}

/// Who would be told now, and how many want no broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Would be told.
    pub count: i64,
    /// Want none.
    pub opted_out: i64,
}

/// Counts who is meant.
pub fn count(instance: InstanceId, segment: &Segment) -> Query<Counted> {
    const COUNT: &str = concat!(
        "select count(*) filter (where k.opted_out_at is null), count(*) filter (where k.opted_out_at is not null) from contacts k ",
        meant!()
    );
    let count = Query::one(COUNT, |mut row| {
        Ok(Counted {
            count: row.next()?,
            opted_out: row.next()?,
        })
    });
    count.bind(instance.as_uuid()).bind(json!(segment))
}

/// Some of those who would be told, with their names.
pub fn list_samples(
    instance: InstanceId,
    segment: &Segment,
    most: i64,
) -> Query<Vec<(ContactId, Option<String>)>> {
    const SAMPLES: &str = concat!(
        "select k.id, k.name from contacts k ",
        meant!(),
        " and k.opted_out_at is null order by k.id limit $3"
    );
    let samples = Query::all(SAMPLES, |mut row| {
        Ok((ContactId::from_uuid(row.next()?), row.next()?))
    });
    samples.bind(instance.as_uuid()).bind(json!(segment)).bind(most)
}

const FILL: &str = concat!(
    "with page as (select id, name, opted_out_at from contacts where id > $4 and created_at <= $5 order by id limit $6), ",
    "meant as (select k.id, c.id as conversation_id, k.opted_out_at from page k ",
    meant!(),
    "), made as (insert into broadcast_recipients (broadcast_id, contact_id, conversation_id, state) ",
    "select $3, id, conversation_id, case when opted_out_at is null then 'pending' else 'opted_out' end from meant ",
    "on conflict on constraint broadcast_recipients_pkey do nothing returning state), ",
    "counts as (select count(*)::integer as made, (count(*) filter (where state = 'opted_out'))::integer as opted_out from made) ",
    "update broadcasts b set filled_to = coalesce((select id from page order by id desc limit 1), b.filled_to), ",
    "filled = (select count(*) from page) < $6, total = b.total + counts.made, opted_out = b.opted_out + counts.opted_out ",
    "from counts where b.id = $3"
);

/// Looks at the next `page` contacts that were there at the start, and keeps those who are meant.
pub fn fill(due: &Due, page: i64, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(FILL)
        .bind(due.instance.as_uuid())
        .bind(due.segment.clone())
        .bind(due.id.as_uuid())
        .bind(due.filled_to)
        .bind(due.started_at.unwrap_or(now))
        .bind(page)
}

// For whom there was no message left in the month nothing was said: they are told when it goes on.
const SETTLE: &str = "\
with ended as (
    select r.contact_id, r.message_id,
        case when m.id is null then 'skipped' when m.status in ('sent', 'delivered', 'read') then 'sent'
             when m.error = 'limit_exceeded' then 'pending' when m.error = 'opted_out' then 'opted_out' else 'failed' end as state
    from broadcast_recipients r left join messages m on m.id = r.message_id
    where r.broadcast_id = $1 and r.state = 'queued' and coalesce(m.status, '') <> 'queued'
), unsaid as (
    delete from messages m using ended o where m.id = o.message_id and o.state = 'pending'
), noted as (
    update broadcast_recipients r set state = o.state, message_id = case o.state when 'pending' then null else o.message_id end
    from ended o where r.broadcast_id = $1 and r.contact_id = o.contact_id
), counts as (
    select count(*)::integer as ended, (count(*) filter (where state = 'sent'))::integer as sent,
        (count(*) filter (where state = 'failed'))::integer as failed, (count(*) filter (where state = 'skipped'))::integer as skipped,
        (count(*) filter (where state = 'opted_out'))::integer as opted_out,
        (count(*) filter (where state = 'pending'))::integer as limited
    from ended
)
update broadcasts b set queued = b.queued - c.ended, sent = b.sent + c.sent, failed = b.failed + c.failed, skipped = b.skipped + c.skipped,
    opted_out = b.opted_out + c.opted_out
from counts c where b.id = $1 returning b.queued, c.ended, c.limited";

/// What became of messages that were under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Under way still.
    pub queued: i32,
    /// Over since the last look.
    pub over: i32,
    /// Of those: there was no message left in the month.
    pub limited: i32,
}

/// Notes what became of the messages that were under way.
pub fn settle(id: BroadcastId) -> Query<Settled> {
    let settle = Query::one(SETTLE, |mut row| {
        Ok(Settled {
            queued: row.next()?,
            over: row.next()?,
            limited: row.next()?,
        })
    });
    settle.bind(id.as_uuid())
}

/// Somebody who is to be told. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Recipient {
    /// Who.
    pub contact: ContactId,
    /// Of the contact.
    pub name: Option<String>,
    /// They want no broadcasts any more.
    pub opted_out: bool,
    /// The conversation is there still, and its channel lets the bot speak there: on WhatsApp's Cloud API for a day after they have written.
    pub reachable: bool,
}

/// For so long after somebody has written WhatsApp's Cloud API takes whatever is said to them; then only templates that Meta has agreed to.
const WINDOW: TimeDelta = TimeDelta::hours(24);

/// Whose turn it is, at most `most`.
pub fn list_pending(
    id: BroadcastId,
    instance: InstanceId,
    most: i64,
    now: DateTime<Utc>,
) -> Query<Vec<Recipient>> {
    Query::all(
        "select r.contact_id, k.name, k.opted_out_at is not null, c.id is not null and (c.channel <> 'whatsapp_cloud' or exists \
         (select from messages m where m.conversation_id = c.id and m.direction = 'inbound' and m.created_at > $4)) \
         from broadcast_recipients r \
         left join contacts k on k.id = r.contact_id left join conversations c on c.id = r.conversation_id and c.instance_id = $2 \
         and c.external_id not like 'erased:%' \
         where r.broadcast_id = $1 and r.state = 'pending' order by r.contact_id limit $3",
        |mut row| {
            Ok(Recipient {
                contact: ContactId::from_uuid(row.next()?),
                name: row.next()?,
                opted_out: row.next()?,
                reachable: row.next()?,
            })
        },
    )
    .bind(id.as_uuid())
    .bind(instance.as_uuid())
    .bind(most)
    .bind(now - WINDOW)
}

/// What is said to somebody, or why nothing is. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub enum Told {
    /// These words.
    Words(String),
    /// They want no broadcasts.
    OptedOut,
    /// There is nobody, or nothing, to be told.
    Skipped,
}

const TELL: &str = concat!(
    "\
with given as (
    select g.contact_id, g.message_id, g.body, g.state
    from jsonb_to_recordset($2) as g (contact_id uuid, message_id uuid, body text, state text)
), said as (
    insert into messages (id, conversation_id, instance_id, direction, author, user_id, kind, body, status, created_at)
    select g.message_id, c.id, c.instance_id, 'outbound', case when b.user_id is null then 'bot' else 'user' end, b.user_id, 'text',
        g.body, 'queued', $3
    from given g join broadcast_recipients r on r.broadcast_id = $1 and r.contact_id = g.contact_id
    join conversations c on c.id = r.conversation_id join broadcasts b on b.id = $1
    join contacts k on k.id = g.contact_id and k.opted_out_at is null
    where g.message_id is not null
    returning id, conversation_id, instance_id, direction, author, status
), lines as (
    insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
    select id, 'send_message', jsonb_build_object('message_id', id, 'conversation_id', conversation_id), 'pending', $3, $4, $3, $3 from said
), noted as (
    update broadcast_recipients r set state = g.state, message_id = g.message_id
    from given g where r.broadcast_id = $1 and r.contact_id = g.contact_id
), counts as (
    select (count(*) filter (where state = 'queued'))::integer as queued, (count(*) filter (where state = 'skipped'))::integer as skipped,
        (count(*) filter (where state = 'opted_out'))::integer as opted_out
    from given
), counted as (
    update broadcasts b set queued = b.queued + c.queued, skipped = b.skipped + c.skipped, opted_out = b.opted_out + c.opted_out
    from counts c where b.id = $1
)
select helixai.wake_channel(w.instance_id), (select count(",
    tell_message!("message.created", "said"),
    ") from said) from (select distinct instance_id from said) w"
);

/// Tells these, or notes why not; wakes the bot. Runs after [`list_pending`].
pub fn tell(id: BroadcastId, told: Vec<(ContactId, Told)>, now: DateTime<Utc>) -> Query<u64> {
    let rows = told.into_iter().map(|(contact, told)| match told {
        Told::Words(body) => {
            let message = MessageId::new();
            json!({"contact_id": contact, "message_id": message, "body": body, "state": "queued"})
        }
        Told::OptedOut => json!({"contact_id": contact, "state": "opted_out"}),
        Told::Skipped => json!({"contact_id": contact, "state": "skipped"}),
    });
    Query::execute(TELL)
        .bind(id.as_uuid())
        .bind(Value::Array(rows.collect()))
        .bind(now)
        .bind(MOST_ATTEMPTS)
}

const TAKE_BACK: &str = concat!(
    "with waiting as (select o.id from broadcasts b ",
    "join broadcast_recipients r on r.broadcast_id = b.id and r.contact_id = $1 and r.state = 'queued' ",
    "join outbox o on o.id = r.message_id and o.state = 'pending' and (o.leased_until is null or o.leased_until <= $2) ",
    "where b.queued > 0 for update of o), ",
    "lines as (update outbox o set state = 'canceled', payload = '{}', leased_until = null, leased_by = null, updated_at = $2 ",
    "from waiting w where o.id = w.id), ",
    "unsaid as (update messages m set status = 'failed', error = 'opted_out' from waiting w where m.id = w.id and m.status = 'queued' ",
    "returning m.id, m.conversation_id, m.direction, m.author, m.status) select ",
    tell_message!("message.updated", "unsaid"),
    " from unsaid"
);

/// Takes back what broadcasts have said to somebody who wants none now, but for what their bot is sending at this moment.
/// [`settle`] counts it.
pub fn take_back(contact: ContactId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(TAKE_BACK).bind(contact.as_uuid()).bind(now)
}

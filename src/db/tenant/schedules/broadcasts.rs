//! Broadcasts: the same words to many. Whoever changes one, or its recipients ([`super::recipients`]), has its row locked.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stored;
use crate::db::DbError;
use crate::db::tenant::access::Access;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::tell_message;
use crate::domain::broadcast::{Broadcast, BroadcastReason, BroadcastState, Progress, Segment};
use crate::domain::ids::{BroadcastId, InstanceId};
use crate::domain::message_variables::Variables;
use crate::domain::page::{Cursor, Limit};

macro_rules! columns {
    () => {
        "id, name, instance_id, body, variables, segment, pace_per_minute, state, reason, \
         case state when 'scheduled' then next_at end, started_at, ended_at, total, queued, sent, failed, skipped, opted_out, \
         version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<Broadcast, DbError> {
    Ok(Broadcast {
        id: BroadcastId::from_uuid(row.next()?),
        name: row.next()?,
        instance_id: InstanceId::from_uuid(row.next()?),
        body: row.next()?,
        variables: stored(row.next()?)?,
        segment: stored(row.next()?)?,
        pace_per_minute: row.next()?,
        state: row.next()?,
        reason: row.next()?,
        send_at: row.next()?,
        started_at: row.next()?,
        ended_at: row.next()?,
        progress: Progress {
            total: row.next()?,
            queued: row.next()?,
            sent: row.next()?,
            failed: row.next()?,
            skipped: row.next()?,
            opted_out: row.next()?,
        },
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// A broadcast to be.
#[derive(Clone)]
pub struct NewBroadcast {
    /// As the tenant calls it.
    pub name: String,
    /// The bot that tells it.
    pub instance: InstanceId,
    /// The words.
    pub body: String,
    /// What fills them.
    pub variables: Variables,
    /// Who is meant.
    pub segment: Segment,
    /// Most messages in a minute.
    pub pace_per_minute: i32,
    /// When it starts by itself.
    pub send_at: Option<DateTime<Utc>>,
}

const INSERT: &str = concat!(
    "insert into broadcasts (id, name, instance_id, user_id, body, variables, segment, pace_per_minute, state, next_at, created_at, ",
    "updated_at) select $1, $4, $5, (select s.user_id from sessions s where s.token_hash = $2), $6, $7, $8, $9, ",
    "case when $10::timestamptz is null then 'draft' else 'scheduled' end, $10, $3, $3 from (values (true)) as request (one) returning ",
    columns!()
);

/// Adds a broadcast, in the name of the user who asks. Runs after [`require_bot`].
pub fn insert(id: BroadcastId, new: NewBroadcast, access: &Access) -> Query<Broadcast> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(access.session().map(|hash| hash.as_bytes().to_vec()))
        .bind(access.now())
        .bind(new.name)
        .bind(new.instance.as_uuid())
        .bind(new.body)
        .bind(json!(new.variables))
        .bind(json!(new.segment))
        .bind(new.pace_per_minute)
        .bind(new.send_at)
}

/// Refuses with [`crate::db::Refusal::State`] when there is no such bot.
pub fn require_bot(instance: InstanceId) -> Query<u64> {
    Query::execute(
        "select case when exists (select from instances where id = $1 and deleted_at is null) then 0 else helixai.refuse('HX412') end",
    )
    .bind(instance.as_uuid())
}

/// One of them.
pub fn find(id: BroadcastId) -> Query<Option<Broadcast>> {
    const FIND: &str = concat!("select ", columns!(), " from broadcasts where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// Newest first, perhaps only those in this state; one more than the page holds. Ids are in the order of making.
pub fn list(state: Option<&'static str>, after: Option<Cursor>, limit: Limit) -> Query<Vec<Broadcast>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from broadcasts where ($1::text is null or state = $1) and ($2::uuid is null or id < $2) order by id desc limit $3"
    );
    Query::narrowed(LIST, read)
        .bind(state)
        .bind(after.map(|cursor| cursor.id))
        .bind(limit.rows())
}

/// Locks one, refusing when there is none, or with [`crate::db::Refusal::State`] when it is in none of these states.
pub fn lock(id: BroadcastId, states: Vec<&'static str>) -> Query<u64> {
    Query::execute(
        "select case when t.id is null then helixai.refuse('HX404') when not t.state = any ($2) then helixai.refuse('HX412') else 0 end \
         from (values (true)) as request (one) left join (select id, state from broadcasts where id = $1 for update) t on true",
    )
    .bind(id.as_uuid())
    .bind(states)
}

const RUN: &str = concat!(
    "update broadcasts set state = 'running', reason = null, next_at = case state when 'running' then next_at else $2 end, ",
    "started_at = coalesce(started_at, $2), version = version + case state when 'running' then 0 else 1 end, updated_at = $2 ",
    "where id = $1 returning ",
    columns!()
);

/// Starts one, or has it go on. Runs after [`lock`].
pub fn run(id: BroadcastId, now: DateTime<Utc>) -> Query<Broadcast> {
    Query::one(RUN, read).bind(id.as_uuid()).bind(now)
}

const PAUSE: &str = concat!(
    "update broadcasts set state = 'paused', reason = $3, next_at = case when queued > 0 then $2::timestamptz end, ",
    "version = version + case state when 'paused' then 0 else 1 end, updated_at = $2 where id = $1 returning ",
    columns!()
);

/// Has one stand still, for this reason if nobody said so; what waits to be sent is sent, and looked at until it is. Runs after [`lock`].
pub fn pause(id: BroadcastId, reason: Option<BroadcastReason>, now: DateTime<Utc>) -> Query<Broadcast> {
    Query::one(PAUSE, read)
        .bind(id.as_uuid())
        .bind(now)
        .bind(reason.map(BroadcastReason::as_str))
}

// What its bot is sending at this moment is left to it, and looked at until it is over.
const CANCEL: &str = concat!(
    "with waiting as (select r.contact_id, o.id from broadcast_recipients r join outbox o on o.id = r.message_id ",
    "where r.broadcast_id = $1 and r.state = 'queued' and o.state = 'pending' and (o.leased_until is null or o.leased_until <= $2) ",
    "for update of o), ",
    "lines as (update outbox o set state = 'canceled', payload = '{}', leased_until = null, leased_by = null, updated_at = $2 ",
    "from waiting w where o.id = w.id), ",
    "unsaid as (update messages m set status = 'failed', error = 'canceled' from waiting w where m.id = w.id and m.status = 'queued' ",
    "returning m.id, m.conversation_id, m.direction, m.author, m.status), ",
    "noted as (update broadcast_recipients r set state = 'skipped' from waiting w where r.broadcast_id = $1 and r.contact_id = w.contact_id), ",
    "count as (select (select count(*)::integer from waiting) as gone, (select count(",
    tell_message!("message.updated", "unsaid"),
    ") from unsaid) as told) ",
    "update broadcasts set state = 'canceled', reason = null, ended_at = coalesce(ended_at, $2), ",
    "next_at = case when queued > count.gone then $2::timestamptz end, queued = queued - count.gone, skipped = skipped + count.gone, ",
    "version = version + case state when 'canceled' then 0 else 1 end, updated_at = $2 from count where id = $1 returning ",
    columns!()
);

/// Gives one up, with what waits to be sent. Runs after [`lock`].
pub fn cancel(id: BroadcastId, now: DateTime<Utc>) -> Query<Broadcast> {
    Query::one(CANCEL, read).bind(id.as_uuid()).bind(now)
}

/// A broadcast about which something is to be done. It has no `Debug`: its words may be personal data.
#[derive(Clone)]
pub struct Due {
    /// Which.
    pub id: BroadcastId,
    /// Where it stands.
    pub state: BroadcastState,
    /// The bot that tells it.
    pub instance: InstanceId,
    /// The bot is there and active.
    pub has_bot: bool,
    /// The words.
    pub body: String,
    /// What fills them.
    pub variables: Variables,
    /// Who is meant.
    pub segment: Value,
    /// Most messages in a minute.
    pub pace_per_minute: i32,
    /// When it was started.
    pub started_at: Option<DateTime<Utc>>,
    /// Contacts up to this one were looked at.
    pub filled_to: Uuid,
    /// All were.
    pub filled: bool,
    /// Up to this moment the pace is used up.
    pub paced_at: Option<DateTime<Utc>>,
}

/// Locks one that is due at `now`, what has waited longest first.
pub fn lock_due(now: DateTime<Utc>) -> Query<Option<Due>> {
    let lock = Query::optional(
        "select b.id, b.state, b.instance_id, i.is_active and i.deleted_at is null, b.body, b.variables, b.segment, b.pace_per_minute, \
         b.started_at, coalesce(b.filled_to, '00000000-0000-0000-0000-000000000000'), b.filled, b.paced_at \
         from broadcasts b join instances i on i.id = b.instance_id where b.next_at <= $1 order by b.next_at, b.id limit 1 for update of b",
        |mut row| {
            Ok(Due {
                id: BroadcastId::from_uuid(row.next()?),
                state: row.parse()?,
                instance: InstanceId::from_uuid(row.next()?),
                has_bot: row.next()?,
                body: row.next()?,
                variables: stored(row.next()?)?,
                segment: row.next()?,
                pace_per_minute: row.next()?,
                started_at: row.next()?,
                filled_to: row.next()?,
                filled: row.next()?,
                paced_at: row.next()?,
            })
        },
    );
    lock.bind(now)
}

/// When one is looked at again, and up to when its pace is used up. Runs after [`lock_due`].
pub fn put_off(
    id: BroadcastId,
    next_at: Option<DateTime<Utc>>,
    paced_at: Option<DateTime<Utc>>,
) -> Query<u64> {
    Query::execute("update broadcasts set next_at = $2, paced_at = coalesce($3, paced_at) where id = $1")
        .bind(id.as_uuid())
        .bind(next_at)
        .bind(paced_at)
}

/// Notes that everybody was told. Runs after [`lock_due`].
pub fn end(id: BroadcastId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update broadcasts set state = 'done', next_at = null, ended_at = $2, version = version + 1, updated_at = $2 where id = $1",
    )
    .bind(id.as_uuid())
    .bind(now)
}

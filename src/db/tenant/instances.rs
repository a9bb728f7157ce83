//! Bots. Who runs one is noted at the shard ([`super::held`]): whatever changes a bot runs [`note`] after it, in its transaction.
//!
//! An agent has the bots that are theirs, everybody else of the tenant all of them; `session` is whose.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::{given, named, patched, tell_bot, tell_notification};
use crate::db::DbError;
use crate::domain::conversation::Channel;
use crate::domain::ids::{InstanceId, NotificationId, UserId};
use crate::domain::instance::{Instance, InstanceState, InstanceStats, UNOFFICIAL};
use crate::domain::page::{Cursor, Limit};
use crate::domain::token::TokenHash;

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "name" as "text",
            "username" as "text",
            "initial_message" as "text",
            "vip_link" as "text",
            "is_active" as "boolean",
            "message_delay_ms" as "integer",
            "max_attempts" as "integer",
            "auto_reconnect" as "boolean",
        )
    };
}

macro_rules! columns {
    () => {
        "id, channel, name, username, owner_id, initial_message, vip_link, is_active, state, state_detail, state_changed_at, \
         message_delay_ms, max_attempts, auto_reconnect, version, created_at, updated_at"
    };
}

/// Whether whoever has the session of this hash may have the bot of `owner_id`; null: a program.
macro_rules! may_have {
    ($session:literal) => {
        concat!(
            "(",
            $session,
            "::bytea is null or exists (select from sessions s join users u on u.id = s.user_id where s.token_hash = ",
            $session,
            " and (u.role <> 'agent' or u.id = owner_id)))"
        )
    };
}

/// Whether only a person starts it again.
macro_rules! parked {
    () => {
        "(channel = 'whatsapp_web' and state in ('qr_expired', 'replaced', 'banned', 'outdated', 'logged_out', 'failed'))"
    };
}

fn read(mut row: Columns<'_>) -> Result<Instance, DbError> {
    let (id, channel) = (InstanceId::from_uuid(row.next()?), row.next::<String>()?);
    Ok(Instance {
        id,
        notice: notice_of(&channel),
        channel,
        name: row.next()?,
        username: row.next()?,
        user_id: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        initial_message: row.next()?,
        vip_link: row.next()?,
        is_active: row.next()?,
        state: row.next()?,
        state_detail: row.next()?,
        state_changed_at: row.next()?,
        message_delay_ms: row.next()?,
        max_attempts: row.next()?,
        auto_reconnect: row.next()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

fn notice_of(channel: &str) -> Option<&'static str> {
    (channel == Channel::WhatsappWeb.as_str()).then_some(UNOFFICIAL)
}

fn hash(session: Option<&TokenHash>) -> Option<Vec<u8>> {
    session.map(|hash| hash.as_bytes().to_vec())
}

/// Refuses with [`crate::db::Refusal::LimitReached`] when there are as many bots as the plan includes (`None`: as many as one likes).
/// Two statements: one that waits for a lock counts what was there before it waited. There may be no bot to be locked, but there
/// always is an owner.
pub fn room(most: Option<i64>) -> (Query<u64>, Query<u64>) {
    let lock = Query::execute(
        "select id from users where role = 'owner' and status = 'active' order by id for no key update",
    );
    let count = Query::execute(
        "select case when count(*) >= $1 then helixai.refuse('HX402') else 0 end from instances where deleted_at is null",
    );
    (lock, count.bind(most))
}

/// Refuses with [`crate::db::Refusal::State`]: another bot has the token.
pub fn refuse_taken() -> Query<u64> {
    Query::execute("select helixai.refuse('HX412')")
}

/// Tells the shard that something of this bot waits.
pub fn wake(id: InstanceId) -> Query<u64> {
    Query::execute("select helixai.wake_channel($1)").bind(id.as_uuid())
}

/// How many bots there are.
pub fn count() -> Query<i64> {
    Query::one(
        "select count(*) from instances where deleted_at is null",
        |mut row| row.next(),
    )
}

const INSERT: &str = concat!(
    "insert into instances (id, ",
    fields!(named),
    "channel, credentials_sealed, owner_id, state, state_changed_at, created_at, updated_at) select $1, ",
    fields!(given),
    "$4, $5, s.user_id, $7, $3, $3, $3 from (values (true)) as request (one) left join sessions s on s.token_hash = $6 returning ",
    columns!()
);

/// Adds a bot of these fields, with the credentials that its channel wants at once. Runs after [`room`].
pub fn insert(
    id: InstanceId,
    channel: Channel,
    fields: Map<String, Value>,
    credentials_sealed: Option<Vec<u8>>,
    session: Option<&TokenHash>,
    now: DateTime<Utc>,
) -> Query<Instance> {
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(Value::Object(fields))
        .bind(now)
        .bind(channel.as_str())
        .bind(credentials_sealed)
        .bind(hash(session))
        .bind(InstanceState::Created.as_str())
}

/// Tells the shard that this bot has changed, and whether it is to run. Runs after the change.
pub fn note(id: InstanceId) -> Query<u64> {
    const NOTE: &str = concat!(
        "select helixai.note_channel($1, exists (select from instances where id = $1 and is_active)), (select ",
        tell_bot!("i"),
        " from instances i where i.id = $1)"
    );
    Query::execute(NOTE).bind(id.as_uuid())
}

/// One bot.
pub fn find(id: InstanceId, session: Option<&TokenHash>) -> Query<Option<Instance>> {
    const FIND: &str = concat!(
        "select ",
        columns!(),
        " from instances where id = $1 and deleted_at is null and ",
        may_have!("$2")
    );
    Query::optional(FIND, read).bind(id.as_uuid()).bind(hash(session))
}

/// Whether a bot of this tenant has these credentials still.
pub fn exists(id: InstanceId) -> Query<bool> {
    Query::one(
        "select exists (select from instances where id = $1 and deleted_at is null)",
        |mut row| row.next(),
    )
    .bind(id.as_uuid())
}

/// The bot of WhatsApp that goes by this name: its id, its name, or that in small letters and hyphens. By one of the tenant's own names
/// (`tenant`), or by none, it is the oldest.
pub fn find_session(
    name: Option<String>,
    tenant: Vec<String>,
    session: Option<&TokenHash>,
) -> Query<Option<Instance>> {
    const FIND: &str = concat!(
        "select ",
        columns!(),
        " from instances where channel = 'whatsapp_web' and deleted_at is null and ",
        may_have!("$3"),
        " and ($1::text is null or $1 = any ($2) or id::text = lower($1) or name = $1 ",
        "or trim(both '-' from regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g')) = lower($1)) order by created_at, id limit 1"
    );
    Query::optional(FIND, read)
        .bind(name)
        .bind(tenant)
        .bind(hash(session))
}

/// Bots, newest first; one more than the page holds, to know whether there is another.
pub fn list(session: Option<&TokenHash>, after: Option<Cursor>, limit: Limit) -> Query<Vec<Instance>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from instances where deleted_at is null and ",
        may_have!("$4"),
        " and ($1::timestamptz is null or (created_at, id) < ($1, $2)) order by created_at desc, id desc limit $3"
    );
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::all(LIST, read)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
        .bind(hash(session))
}

/// How many there are, and what they do.
pub fn stats(session: Option<&TokenHash>) -> Query<InstanceStats> {
    const STATS: &str = concat!(
        "select count(*), count(*) filter (where is_active), count(*) filter (where state = 'connected' and is_active), ",
        "count(*) filter (where state in ('failed', 'banned', 'replaced', 'outdated', 'logged_out') and is_active), ",
        "coalesce(sum((select count(*) from conversations c where c.instance_id = i.id)), 0)::bigint ",
        "from instances i where deleted_at is null and ",
        may_have!("$1")
    );
    let stats = Query::one(STATS, |mut row| {
        let (total_bots, active_bots) = (row.next()?, row.next()?);
        Ok(InstanceStats {
            total_bots,
            active_bots,
            inactive_bots: total_bots - active_bots,
            connected_bots: row.next()?,
            failed_bots: row.next()?,
            conversations: row.next()?,
        })
    });
    stats.bind(hash(session))
}

/// Locks a bot, refusing when there is none, or when it has another version.
pub fn lock(id: InstanceId, version: Option<i32>, session: Option<&TokenHash>) -> Query<u64> {
    const LOCK: &str = concat!(
        "select case when t.id is null then helixai.refuse('HX404') ",
        "when $2 <> t.version then helixai.refuse('HX409') else 0 end from (values (true)) as request (one) ",
        "left join (select id, version from instances where id = $1 and deleted_at is null and ",
        may_have!("$3"),
        " for update) t on true"
    );
    Query::execute(LOCK)
        .bind(id.as_uuid())
        .bind(version)
        .bind(hash(session))
}

const UPDATE: &str = concat!(
    "update instances set ",
    fields!(patched),
    "credentials_sealed = coalesce($4, credentials_sealed), ",
    "state = case when $2 ->> 'is_active' = 'false' then 'stopped' when $2 ->> 'is_active' = 'true' and ",
    parked!(),
    " then 'created' else state end, ",
    "state_detail = case when $2 ->> 'is_active' = 'false' or ($2 ->> 'is_active' = 'true' and ",
    parked!(),
    ") then '{}' else state_detail end, ",
    "state_changed_at = case when $2 ->> 'is_active' = 'false' and state <> 'stopped' then $3 else state_changed_at end, ",
    "version = version + 1, updated_at = $3 where id = $1 returning ",
    columns!()
);

/// Changes the fields named in `changes`: `is_active`, also when it was, starts it again whatever it waits for. And the credentials when there are others. Runs after [`lock`].
pub fn update(
    id: InstanceId,
    changes: Map<String, Value>,
    credentials_sealed: Option<Vec<u8>>,
    now: DateTime<Utc>,
) -> Query<Instance> {
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
        .bind(credentials_sealed)
}

/// Removes a bot; its conversations stay. Runs after [`lock`].
pub fn delete(id: InstanceId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update instances set is_active = false, credentials_sealed = null, state = 'stopped', state_detail = '{}', \
         state_changed_at = $2, deleted_at = $2, updated_at = $2, version = version + 1 where id = $1",
    )
    .bind(id.as_uuid())
    .bind(now)
}

/// A bot as whoever runs it needs it.
#[derive(Debug, Clone)]
pub struct Runnable {
    /// Where it speaks.
    pub channel: Channel,
    /// How it is let in; empty where it is linked to a telephone instead.
    pub credentials_sealed: Vec<u8>,
    /// Only a person starts it again.
    pub parked: bool,
    /// It is to give up the telephone that it is linked to.
    pub unlinked: bool,
    /// Milliseconds between two messages.
    pub message_delay_ms: i32,
    /// How often sending a message is tried.
    pub max_attempts: i32,
    /// Whether it comes back by itself.
    pub auto_reconnect: bool,
    /// Another one: it was changed.
    pub version: i32,
    /// What people have sent to it is to be fetched.
    pub files_wait: bool,
}

/// A bot that is to run; `None` when it is not.
pub fn find_runnable(id: InstanceId) -> Query<Option<Runnable>> {
    const FIND: &str = concat!(
        "select channel, coalesce(credentials_sealed, ''), ",
        parked!(),
        ", state = 'logged_out', message_delay_ms, max_attempts, auto_reconnect, version, ",
        "exists (select from messages m where m.instance_id = instances.id and m.file_state = 'pending') ",
        "from instances where id = $1 and is_active and deleted_at is null ",
        "and (channel = 'whatsapp_web' or credentials_sealed is not null)"
    );
    Query::optional(FIND, |mut row| {
        Ok(Runnable {
            channel: row.parse()?,
            credentials_sealed: row.next()?,
            parked: row.next()?,
            unlinked: row.next()?,
            message_delay_ms: row.next()?,
            max_attempts: row.next()?,
            auto_reconnect: row.next()?,
            version: row.next()?,
            files_wait: row.next()?,
        })
    })
    .bind(id.as_uuid())
}

/// What a bot is let in with, as it is stored.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Where it speaks.
    pub channel: Channel,
    /// Sealed for its tenant and itself.
    pub sealed: Vec<u8>,
    /// Another one: it was changed.
    pub version: i32,
}

/// What a bot is let in with; `None` when there is no such bot.
pub fn find_sealed(id: InstanceId) -> Query<Option<Sealed>> {
    Query::optional(
        "select channel, credentials_sealed, version from instances \
         where id = $1 and deleted_at is null and credentials_sealed is not null",
        |mut row| {
            Ok(Sealed {
                channel: row.parse()?,
                sealed: row.next()?,
                version: row.next()?,
            })
        },
    )
    .bind(id.as_uuid())
}

/// What all bots of a channel are let in with.
pub fn list_sealed(channel: Channel) -> Query<Vec<(InstanceId, Vec<u8>)>> {
    Query::all(
        "select id, credentials_sealed from instances where channel = $1 and deleted_at is null and credentials_sealed is not null",
        |mut row| Ok((InstanceId::from_uuid(row.next()?), row.next()?)),
    )
    .bind(channel.as_str())
}

/// Notes what has become of a bot, and what the provider calls it, if that is known now. One that was logged out here is so until it
/// is started again, whatever whoever runs it still believes. When it does
/// not come back by itself, whose it is is told, or an owner.
pub fn set_state(
    id: InstanceId,
    state: InstanceState,
    detail: Value,
    username: Option<String>,
    now: DateTime<Utc>,
) -> Query<u64> {
    const SET: &str = concat!(
        "with changed as (update instances set state = $2, state_detail = $3, username = coalesce($4, username), ",
        "state_changed_at = case when state = $2 then state_changed_at else $5 end where id = $1 and deleted_at is null ",
        "and (state <> 'logged_out' or $2 in ('logged_out', 'stopped')) ",
        "and (state, state_detail, coalesce(username, '')) is distinct from ($2, $3, coalesce($4, username, '')) ",
        "returning id, owner_id, channel, state, is_active), ",
        "notified as (insert into notifications (id, user_id, kind, instance_id, created_at) ",
        "select $6, u.id, 'bot_needs_person', i.id, $5 from changed i cross join lateral (select o.id from users o ",
        "where o.status = 'active' and (o.id = i.owner_id or o.role = 'owner') ",
        "order by (o.id = i.owner_id) desc nulls last, o.created_at limit 1) u where $6::uuid is not null ",
        "on conflict do nothing returning id, user_id, kind, conversation_id, instance_id) select ",
        tell_bot!("changed"),
        ", (select ",
        tell_notification!("notified"),
        " from notified) from changed"
    );
    let notification = state.needs_person().then(|| NotificationId::new().as_uuid());
    Query::execute(SET)
        .bind(id.as_uuid())
        .bind(state.as_str())
        .bind(detail)
        .bind(username)
        .bind(now)
        .bind(notification)
}

/// Has a bot give up the telephone that it is linked to: whoever runs it does so, and it waits for a person then. Runs after [`lock`].
pub fn log_out(id: InstanceId, now: DateTime<Utc>) -> Query<Instance> {
    const LOG_OUT: &str = concat!(
        "update instances set state = 'logged_out', state_detail = '{\"code\": \"logged_out_here\"}', state_changed_at = $2, ",
        "version = version + 1, updated_at = $2 where id = $1 returning ",
        columns!()
    );
    Query::one(LOG_OUT, read).bind(id.as_uuid()).bind(now)
}

/// Whether a bot is to give up the telephone that it was linked to: it was logged out, or removed.
pub fn is_unlinked(id: InstanceId) -> Query<bool> {
    Query::one(
        "select coalesce(bool_or(deleted_at is not null or state = 'logged_out'), false) from instances where id = $1",
        |mut row| row.next(),
    )
    .bind(id.as_uuid())
}

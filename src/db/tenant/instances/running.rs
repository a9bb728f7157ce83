//! A bot as whoever runs it sees it: what it is to do, what it is let in with, and what has become of it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::read;
use crate::db::tenant::query::Query;
use crate::db::tenant::text::{tell_bot, tell_notification};
use crate::domain::conversation::Channel;
use crate::domain::ids::{InstanceId, NotificationId};
use crate::domain::instance::{Instance, InstanceState};

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
        ", ",
        unlinked!(),
        ", message_delay_ms, max_attempts, auto_reconnect, version, ",
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

/// Has a bot give up the telephone that it is linked to: whoever runs it does so, and it waits for a person then. Runs after [`super::lock`].
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
    const UNLINKED: &str = concat!(
        "select coalesce(bool_or(deleted_at is not null or ",
        unlinked!(),
        "), false) from instances where id = $1"
    );
    Query::one(UNLINKED, |mut row| row.next()).bind(id.as_uuid())
}

//! Notifications: what a user is to look at. They are written with what they are about, and what somebody has not read yet is not said to
//! them again.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::access::Access;
use super::query::{Columns, Query};
use super::text::tell_notification;
use crate::db::DbError;
use crate::domain::ids::{ConversationId, InstanceId, NotificationId};
use crate::domain::inbox::Notification;
use crate::domain::page::{Cursor, Limit};
use crate::domain::token::TokenHash;

macro_rules! columns {
    () => {
        "id, kind, conversation_id, instance_id, created_at, read_at"
    };
}

/// Whose session this is.
macro_rules! own {
    ($session:literal) => {
        concat!(
            "user_id = (select s.user_id from sessions s where s.token_hash = ",
            $session,
            ")"
        )
    };
}

fn read(mut row: Columns<'_>) -> Result<Notification, DbError> {
    Ok(Notification {
        id: NotificationId::from_uuid(row.next()?),
        kind: row.next()?,
        conversation_id: row.next::<Option<Uuid>>()?.map(ConversationId::from_uuid),
        instance_id: row.next::<Option<Uuid>>()?.map(InstanceId::from_uuid),
        created_at: row.next()?,
        read_at: row.next()?,
    })
}

macro_rules! assigned {
    ($to:literal) => {
        concat!(
            "with made as (insert into notifications (id, user_id, kind, conversation_id, created_at) ",
            "select $1, u.id, 'conversation_assigned', c.id, $3 from conversations c join users u on ",
            $to,
            " where c.id = $2 and not exists (select from sessions s where s.token_hash = $4 and s.user_id = u.id) ",
            "on conflict do nothing returning id, user_id, kind, conversation_id, instance_id) select ",
            tell_notification!("made"),
            " from made"
        )
    };
}

fn of_assignment(text: &'static str, conversation: ConversationId, access: &Access) -> Query<u64> {
    Query::execute(text)
        .bind(NotificationId::new().as_uuid())
        .bind(conversation.as_uuid())
        .bind(access.now())
        .bind(access.session_bytes())
}

/// Tells a user that a conversation will be theirs, unless it is already or they take it themselves. Runs after
/// [`super::conversations::lock`] and before `changes` are made.
pub fn assigned(conversation: ConversationId, changes: &Map<String, Value>, access: &Access) -> Query<u64> {
    const ASSIGNED: &str =
        assigned!("u.id = ($5 ->> 'assigned_to')::uuid and coalesce(c.assigned_to <> u.id, true)");
    of_assignment(ASSIGNED, conversation, access).bind(Value::Object(changes.clone()))
}

/// Tells whose a conversation is that has just been begun, unless they did so themselves.
pub fn begun(conversation: ConversationId, access: &Access) -> Query<u64> {
    of_assignment(assigned!("u.id = c.assigned_to"), conversation, access)
}

fn hash(session: &TokenHash) -> Vec<u8> {
    session.as_bytes().to_vec()
}

/// Those of the user of this session, newest first; one more than the page holds.
pub fn list(
    session: &TokenHash,
    unread: Option<bool>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<Notification>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from notifications where ",
        own!("$1"),
        " and ($2::boolean is null or (read_at is null) = $2)",
        " and ($3::uuid is null or id < $3) order by id desc limit $4"
    );
    Query::narrowed(LIST, read)
        .bind(hash(session))
        .bind(unread)
        .bind(after.map(|cursor| cursor.id))
        .bind(limit.rows())
}

/// Notes that the user of this session has seen one of theirs; `None` when it is not theirs.
pub fn set_read(id: NotificationId, session: &TokenHash, now: DateTime<Utc>) -> Query<Option<Notification>> {
    const READ: &str = concat!(
        "update notifications set read_at = coalesce(read_at, $3) where id = $1 and ",
        own!("$2"),
        " returning ",
        columns!()
    );
    Query::optional(READ, read)
        .bind(id.as_uuid())
        .bind(hash(session))
        .bind(now)
}

/// Notes that the user of this session has seen all of theirs; how many they had not.
pub fn set_all_read(session: &TokenHash, now: DateTime<Utc>) -> Query<u64> {
    const READ: &str = concat!(
        "update notifications set read_at = $2 where read_at is null and ",
        own!("$1")
    );
    Query::execute(READ).bind(hash(session)).bind(now)
}

/// Removes those that the user of this session has read before `until`: nobody looks for them any more.
pub fn prune(session: &TokenHash, until: DateTime<Utc>) -> Query<u64> {
    const PRUNE: &str = concat!("delete from notifications where read_at < $2 and ", own!("$1"));
    Query::execute(PRUNE).bind(hash(session)).bind(until)
}

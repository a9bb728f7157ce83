//! The outbox: messages to the outside.
//!
//! A line is written in the transaction of what it is about, and the shard is told that this tenant has work; a worker
//! sends it after that.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::query::Query;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::outbox::OutboxState;

/// How often sending is tried.
pub(super) const MOST_ATTEMPTS: i32 = 10;

/// Has a message sent, not before `due_at`, and tells whoever runs its bot. The line has the message's id, which is also the key of its
/// metering.
pub fn insert_message(
    message: MessageId,
    conversation: ConversationId,
    due_at: DateTime<Utc>,
) -> (Query<u64>, Query<u64>) {
    let line = Query::execute(
        "insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at) \
         values ($1, 'send_message', $2, 'pending', $3, $4, $3, $3)",
    );
    let line = line
        .bind(message.as_uuid())
        .bind(json!({"message_id": message, "conversation_id": conversation}))
        .bind(due_at)
        .bind(MOST_ATTEMPTS);
    let wake = Query::execute(
        "select helixai.wake_channel(instance_id) from conversations where id = $1 and instance_id is not null",
    );
    (line, wake.bind(conversation.as_uuid()))
}

/// Has a message sent whose conversation was found with it. Tell whoever runs its bot ([`super::instances::wake`]).
pub fn insert_message_of(message: MessageId, due_at: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at) \
         select m.id, 'send_message', jsonb_build_object('message_id', m.id, 'conversation_id', m.conversation_id), \
         'pending', $2, $3, $2, $2 from messages m where m.id = $1",
    )
    .bind(message.as_uuid())
    .bind(due_at)
    .bind(MOST_ATTEMPTS)
}

/// Gives up what waits to be sent in a conversation.
pub fn cancel_messages(conversation: ConversationId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update outbox o set state = 'canceled', payload = '{}', leased_until = null, leased_by = null, updated_at = $2 \
         from messages m where m.conversation_id = $1 and m.status = 'queued' and o.id = m.id and o.state = 'pending'",
    )
    .bind(conversation.as_uuid())
    .bind(now)
}

/// Those of these messages that exist, each with what has become of it.
pub fn find_states(ids: Vec<Uuid>) -> Query<Vec<(Uuid, OutboxState)>> {
    Query::all("select id, state from outbox where id = any ($1)", |mut row| {
        Ok((row.next()?, row.parse()?))
    })
    .bind(ids)
}

//! Messages that are said later, once or again and again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::ids::{ConversationId, MessageId, ScheduledMessageId};
use super::message_variables::Variables;
use super::recurrence::Recurrence;
use super::settings::TimeZone;
use super::text_enum::text_enum;

text_enum! {
    /// Where a scheduled message stands.
    pub enum ScheduleState {
        /// It will be said.
        Scheduled = "scheduled",
        /// It is said no more: it was, or its time has passed.
        Done = "done",
        /// Somebody has taken it back.
        Canceled = "canceled",
    }
}

text_enum! {
    /// What became of a moment at which something was to be said.
    pub enum ScheduleOutcome {
        /// The message is in its conversation: see there whether it was sent.
        Queued = "queued",
        /// Nothing was said.
        Skipped = "skipped",
    }
}

text_enum! {
    /// Why nothing was said.
    pub enum SkipReason {
        /// The subscription does not allow it.
        SubscriptionInactive = "subscription_inactive",
        /// No bot holds the conversation.
        NoBot = "no_bot",
        /// The contact has no name, and the words say nothing without one.
        Empty = "empty",
        /// The tenant was restored from a snapshot: it may have been said since.
        Restored = "restored",
    }
}

/// A message that is said later. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScheduledMessage {
    /// Its id.
    pub id: ScheduledMessageId,
    /// Where it is said.
    pub conversation_id: ConversationId,
    /// The words, with placeholders, which are filled when it is said.
    pub body: String,
    /// What fills them.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub variables: Variables,
    /// Whose clock counts.
    #[schema(value_type = TimeZone)]
    pub time_zone: String,
    /// When it is said again; none: once.
    pub recurrence: Option<Recurrence>,
    /// Where it stands.
    #[schema(value_type = ScheduleState)]
    pub state: String,
    /// When it is said next.
    pub next_at: Option<DateTime<Utc>>,
    /// How often it was said.
    pub told: i32,
    /// The last moment at which it was to be said.
    pub last_at: Option<DateTime<Utc>>,
    /// What became of it.
    #[schema(value_type = Option<ScheduleOutcome>)]
    pub last_outcome: Option<String>,
    /// Why nothing was said then.
    #[schema(value_type = Option<SkipReason>)]
    pub last_reason: Option<String>,
    /// What was said then.
    pub last_message_id: Option<MessageId>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The message that is said at one moment of a schedule: always the same one, so that nobody, also after a restore, says it twice.
pub fn message_of(schedule: ScheduledMessageId, at: DateTime<Utc>) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(schedule.as_uuid());
    hash.update(at.timestamp_micros().to_be_bytes());
    let [a, b, c, d, e, f, g, h, i, j, ..] = <[u8; 32]>::from(hash.finalize());
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]);
    MessageId::from_uuid(id.into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_a_schedule_has_one_message() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (one, other) = (ScheduledMessageId::new(), ScheduledMessageId::new());
        let (noon, later) = (at("2026-11-21T12:00:00Z"), at("2026-11-22T12:00:00Z"));
        assert_eq!(message_of(one, noon), message_of(one, noon));
        assert_ne!(message_of(one, noon), message_of(other, noon));
        assert!(message_of(one, noon) < message_of(one, later));
        assert_eq!(message_of(one, noon).as_uuid().get_version_num(), 7);
    }
}

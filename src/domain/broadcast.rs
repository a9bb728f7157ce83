//! Broadcasts: the same words to many contacts of a bot, at a pace that leaves room for conversations.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bounded::bounded_number;
use super::conversation::{Channel, Label};
use super::ids::{BroadcastId, ContactId, InstanceId};
use super::invalid::{FieldErrors, Invalid};
use super::lead::Stage;
use super::message_variables::Variables;
use super::text_enum::text_enum;

text_enum! {
    /// Where a broadcast stands.
    pub enum BroadcastState {
        /// It waits for somebody to start it.
        Draft = "draft",
        /// It starts by itself.
        Scheduled = "scheduled",
        /// It is under way.
        Running = "running",
        /// It goes on when somebody says so.
        Paused = "paused",
        /// Everybody was told.
        Done = "done",
        /// It was given up.
        Canceled = "canceled",
    }
}

text_enum! {
    /// Why a broadcast stands still when nobody said so.
    pub enum BroadcastReason {
        /// The messages of the month are used up.
        LimitExceeded = "limit_exceeded",
        /// The subscription does not allow it.
        SubscriptionInactive = "subscription_inactive",
        /// Its bot was removed, or is not active.
        NoBot = "no_bot",
        /// The tenant was restored from a snapshot: it may have gone on since.
        Restored = "restored",
    }
}

bounded_number!(
    /// Most messages in a minute.
    PacePerMinute, 1, 600, 60
);

/// The pace when nobody says another.
pub const PACE: i64 = 60;
/// Most messages that wait to be sent at once: what is said in conversations waits behind no more.
const MOST_WAITING: i64 = 50;
/// How often a broadcast is looked at.
pub const TICK: TimeDelta = TimeDelta::seconds(5);

/// Who is meant: contacts who have written to the bot, and of whom all of this holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// The conversation has one of these labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Label>)]
    pub tags_any: Vec<String>,
    /// The conversation has all of these labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Label>)]
    pub tags_all: Vec<String>,
    /// A lead of the contact is in this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Stage>)]
    pub lead_stage: Option<String>,
    /// On this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// They have written at this moment or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_after: Option<DateTime<Utc>>,
    /// They have not written at this moment or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_before: Option<DateTime<Utc>>,
}

impl Segment {
    /// Reads labels and stage as they are stored, and refuses moments that cannot be.
    ///
    /// # Errors
    /// `segment.tags_any`, `segment.tags_all`, `segment.lead_stage`, `segment.last_seen_after`, `segment.last_seen_before`.
    pub fn check(self) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let mut labels = |field: &str, labels: &[String]| {
            let read = errors.check(field, Label::parse_all(labels));
            read.unwrap_or_default().into_iter().map(String::from).collect()
        };
        let tags_any = labels("segment.tags_any", &self.tags_any);
        let tags_all = labels("segment.tags_all", &self.tags_all);
        let lead_stage = errors.check_opt("segment.lead_stage", self.lead_stage, |stage| {
            Stage::parse(&stage)
        });
        for (field, at) in [
            ("segment.last_seen_after", self.last_seen_after),
            ("segment.last_seen_before", self.last_seen_before),
        ] {
            if at.is_some_and(|at| !(1..=9999).contains(&at.year())) {
                errors.push(field, Invalid::format("must be a moment of the years 1 to 9999"));
            }
        }
        errors.finish(|| {
            Some(Self {
                tags_any,
                tags_all,
                lead_stage: lead_stage.map(Into::into),
                ..self
            })
        })
    }
}

/// How far a broadcast has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// Recipients; it grows until all contacts were looked at after the start.
    pub total: i32,
    /// Their message waits to be sent.
    pub queued: i32,
    /// Their message was taken by the provider; what became of it then, their conversation says.
    pub sent: i32,
    /// Their message could not be sent: their conversation says why.
    pub failed: i32,
    /// They were told nothing: the conversation is gone, or takes nothing now (WhatsApp's Cloud API, a day after they have written), or the
    /// broadcast was canceled meanwhile.
    pub skipped: i32,
    /// They want no broadcasts.
    pub opted_out: i32,
}

/// A broadcast.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Broadcast {
    /// Its id.
    pub id: BroadcastId,
    /// As the tenant calls it.
    pub name: String,
    /// The bot that tells it.
    pub instance_id: InstanceId,
    /// The words, with placeholders, which are filled for each recipient.
    pub body: String,
    /// What fills them.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub variables: Variables,
    /// Who is meant.
    pub segment: Segment,
    /// Most messages in a minute.
    #[schema(value_type = PacePerMinute)]
    pub pace_per_minute: i32,
    /// Where it stands.
    #[schema(value_type = BroadcastState)]
    pub state: String,
    /// Why it stands still, when nobody said so.
    #[schema(value_type = Option<BroadcastReason>)]
    pub reason: Option<String>,
    /// When it starts by itself.
    pub send_at: Option<DateTime<Utc>>,
    /// When it was started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// How far it has come.
    pub progress: Progress,
    /// How often it was changed.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A recipient, as a preview shows them. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sample {
    /// Who.
    pub contact_id: ContactId,
    /// Of the contact.
    pub name: Option<String>,
    /// What they would read; none when the words say nothing without a name.
    pub body: Option<String>,
}

/// How many messages there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// So many.
    pub most: i64,
    from: DateTime<Utc>,
    gap: TimeDelta,
}

impl Room {
    /// At this pace, used up to `paced_at`, while so many wait to be sent. What was not used in time is lost: never more than a tick's
    /// worth and one at once.
    pub fn at(pace: i32, paced_at: Option<DateTime<Utc>>, queued: i32, now: DateTime<Utc>) -> Self {
        let gap = TimeDelta::seconds(60) / pace.max(1);
        let from = paced_at.unwrap_or(now - TICK.max(gap)).max(now - TICK - gap);
        let passed = (now - from).num_milliseconds() / gap.num_milliseconds().max(1);
        let most = passed.min(MOST_WAITING - i64::from(queued)).max(0);
        Self { most, from, gap }
    }

    /// Up to when the pace is used once so many were told.
    pub fn used(&self, told: i32) -> DateTime<Utc> {
        self.from + self.gap * told
    }

    /// When there is room again.
    pub fn again(&self, told: i32) -> DateTime<Utc> {
        self.used(told) + self.gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In any minute no more than the pace and a tick's worth; and at a regular tick no less than the pace.
        #[test]
        fn the_pace_is_kept(pace in 1..=600i32, ticks in proptest::collection::vec(1..30_000i64, 1..200)) {
            let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            let (mut now, mut paced_at, mut told) = (start, None, 0);
            for tick in ticks {
                now += TimeDelta::milliseconds(tick);
                let room = Room::at(pace, paced_at, 0, now);
                let some = i32::try_from(room.most).unwrap();
                told += some;
                paced_at = Some(room.used(some));
                let minutes = (now - start).as_seconds_f64() / 60.0;
                let most = f64::from(pace) * (minutes + 5.0 / 60.0) + 1.0;
                prop_assert!(f64::from(told) <= most + 0.001 * most, "{told} in {minutes}");
            }
        }
    }

    #[test]
    fn a_regular_tick_uses_the_whole_pace() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for pace in [1, 7, 60, 600] {
            let (mut paced_at, mut told) = (None, 0);
            for tick in 0..=120 {
                let room = Room::at(pace, paced_at, 0, start + TICK * tick);
                let some = i32::try_from(room.most).unwrap();
                (told, paced_at) = (told + some, Some(room.used(some)));
            }
            assert!((pace * 10..=pace * 10 + 50).contains(&told), "{pace}: {told}");
        }
        assert_eq!(Room::at(600, None, 45, start).most, 5);
        assert_eq!(Room::at(600, None, 60, start).most, 0);
    }
}

//! What is said later, and when: the bodies that plan it and change it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::words::{Words, variables};
use crate::domain::ids::{ContactId, ConversationId, InstanceId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message_template;
use crate::domain::message_variables::Variables;
use crate::domain::patch::Patch;
use crate::domain::recurrence::{Recurrence, at_local, parse_local};
use crate::domain::scheduled_message::ScheduledMessage;
use crate::domain::settings::TimeZone;
use crate::http::body::instant;

/// Whose clock counts when nobody says so.
const TIME_ZONE: &str = "America/Sao_Paulo";

/// A message to be said later.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateScheduledMessage {
    /// Where; or else `contact_id` and `instance_id`.
    #[schema(value_type = Option<ConversationId>)]
    conversation_id: Option<String>,
    /// To whom: the conversation that the bot holds with this contact.
    #[schema(value_type = Option<ContactId>)]
    contact_id: Option<String>,
    /// By which bot.
    #[schema(value_type = Option<InstanceId>)]
    instance_id: Option<String>,
    /// The words, 1 to 4,096 characters; or else `template_id`. Placeholders: `{{nome}}`, `{{primeiro_nome}}` and `{{empresa}}` are filled
    /// when it is said (a line that needs a name which is not known is left out), all others by `variables`, also `{{var.<name>}}`.
    body: Option<String>,
    /// The words of this template, as they are now.
    #[schema(value_type = Option<crate::domain::ids::MessageTemplateId>)]
    template_id: Option<String>,
    /// What fills the words: each name that they leave open, and no other.
    variables: Option<BTreeMap<String, String>>,
    /// When, by the clock of `time_zone`: `2026-12-24T18:00`. A time that happens twice is meant the first time; one that is left out is
    /// read by the clock as it went before.
    #[schema(example = "2099-12-24T18:00")]
    at: Option<String>,
    /// Whose clock counts; `America/Sao_Paulo` when left out.
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Option<String>,
    /// When; instead of `at`.
    #[schema(value_type = Option<DateTime<Utc>>)]
    send_at: Option<String>,
    /// When again. The first time is the first moment of it that is not before `at` or `send_at`.
    recurrence: Option<Recurrence>,
}

/// Where something is said.
pub(super) enum Place {
    Conversation(ConversationId),
    With(ContactId, InstanceId),
}

/// When something is said.
pub(super) struct Timing {
    pub(super) time_zone: TimeZone,
    pub(super) from: Option<DateTime<Utc>>,
    /// Which field said so.
    pub(super) field: &'static str,
    pub(super) recurrence: Option<Recurrence>,
}

impl Timing {
    /// The first moment after `now`.
    pub(super) fn first(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, FieldErrors> {
        let mut errors = FieldErrors::new();
        let passed = |field: &str| {
            (
                field.to_owned(),
                Invalid::new("in_the_past", "must be later than now"),
            )
        };
        let first = match (&self.recurrence, self.from) {
            (None, Some(from)) if from > now => Ok(from),
            (None, Some(_)) => Err(passed(self.field)),
            (None, None) => Err(("send_at".to_owned(), Invalid::required())),
            (Some(recurrence), from) => {
                let before = from.map(|from| from - TimeDelta::microseconds(1));
                let after = before.map_or(now, |before| before.max(now));
                let first = recurrence.next_after(after, self.time_zone.tz());
                first.ok_or_else(|| passed("recurrence.until"))
            }
        };
        first.map_err(|(field, invalid)| {
            errors.push(&field, invalid);
            errors
        })
    }
}

fn zone(errors: &mut FieldErrors, zone: Option<String>) -> Option<TimeZone> {
    errors.check_opt("time_zone", zone, |zone| TimeZone::parse(&zone))
}

fn moment(
    errors: &mut FieldErrors,
    at: Option<String>,
    send_at: Option<String>,
    zone: &TimeZone,
) -> Option<DateTime<Utc>> {
    if at.is_some() && send_at.is_some() {
        let invalid = Invalid::new("not_allowed", "does not go with `at`");
        errors.push("send_at", invalid);
    }
    let local: Option<NaiveDateTime> = errors.check_opt("at", at, |at| parse_local(&at));
    let send_at = errors.check_opt("send_at", send_at, |at| instant(&at));
    local.map(|local| at_local(local, zone.tz())).or(send_at)
}

impl CreateScheduledMessage {
    pub(super) fn check(self) -> Result<(Place, Words, Variables, Timing), FieldErrors> {
        let mut errors = FieldErrors::new();
        let conversation = errors.check_opt("conversation_id", self.conversation_id, |id| id.parse());
        let contact = errors.check_opt("contact_id", self.contact_id, |id| id.parse());
        let instance = errors.check_opt("instance_id", self.instance_id, |id| id.parse());
        let place = match (conversation, contact, instance) {
            (Some(conversation), None, None) => Some(Place::Conversation(conversation)),
            (None, Some(contact), Some(instance)) => Some(Place::With(contact, instance)),
            _ => {
                let invalid = Invalid::new("required", "give it, or else contact_id and instance_id");
                errors.push("conversation_id", invalid);
                None
            }
        };
        let words = Words::require(&mut errors, self.body, self.template_id);
        let variables = variables(&mut errors, self.variables);
        let zone_given = zone(&mut errors, self.time_zone);
        let zone = zone_given.or_else(|| TimeZone::parse(TIME_ZONE).ok());
        let field = if self.at.is_some() { "at" } else { "send_at" };
        let from = zone
            .as_ref()
            .and_then(|zone| moment(&mut errors, self.at, self.send_at, zone));
        let recurrence = self.recurrence.map(Recurrence::check).transpose();
        let recurrence = errors.merge(recurrence).flatten();
        errors.finish(|| {
            let timing = Timing {
                time_zone: zone?,
                from,
                field,
                recurrence,
            };
            Some((place?, words?, variables, timing))
        })
    }
}

/// Changes to a message that is said later: what is left out stays. Another recurrence without `at` or `send_at` begins now.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateScheduledMessage {
    /// Other words, as when planning it.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    body: Patch<String>,
    /// Other values, instead of all those it has.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    variables: Patch<BTreeMap<String, String>>,
    /// When, by the clock of `time_zone`.
    at: Option<String>,
    /// Whose clock counts.
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Option<String>,
    /// When; instead of `at`.
    #[schema(value_type = Option<DateTime<Utc>>)]
    send_at: Option<String>,
    /// When again; `null`: once.
    #[serde(default)]
    #[schema(value_type = Option<Recurrence>)]
    recurrence: Patch<Recurrence>,
    /// The version that was read; what has another one since is not changed.
    pub(super) version: Option<i32>,
}

/// What a change leaves, and whether it is said at another time.
pub(super) struct Changed {
    pub(super) body: String,
    pub(super) variables: Variables,
    pub(super) timing: Timing,
    pub(super) moved: bool,
}

impl UpdateScheduledMessage {
    /// What becomes of `current`.
    pub(super) fn apply(self, current: &ScheduledMessage) -> Result<Changed, FieldErrors> {
        let mut errors = FieldErrors::new();
        let moved = self.at.is_some()
            || self.send_at.is_some()
            || self.time_zone.is_some()
            || !self.recurrence.is_absent();
        let body = self.body.parse_required(|body| message_template::body(&body));
        let body = errors.check("body", body).flatten();
        let given = errors.check("variables", self.variables.parse_required(Ok));
        let given = given.flatten().map(Variables::parse).transpose();
        let given = errors.merge(given).flatten();
        let zone = zone(&mut errors, self.time_zone).or_else(|| TimeZone::parse(&current.time_zone).ok());
        let field = if self.at.is_some() { "at" } else { "send_at" };
        let from = zone
            .as_ref()
            .and_then(|zone| moment(&mut errors, self.at, self.send_at, zone));
        let recurrence = self.recurrence.apply(current.recurrence.clone());
        let recurrence = recurrence.map(Recurrence::check).transpose();
        let recurrence = errors.merge(recurrence).flatten();
        let count = recurrence.as_ref().and_then(|recurrence| recurrence.count);
        if count.is_some_and(|count| count <= current.told) {
            let invalid = Invalid::new("in_the_past", "it was said so often already");
            errors.push("recurrence.count", invalid);
        }
        errors.finish(|| {
            let once = recurrence.is_none();
            let timing = Timing {
                time_zone: zone?,
                from: from.or(current.next_at.filter(|_| once)),
                field,
                recurrence,
            };
            Some(Changed {
                body: body.unwrap_or_else(|| current.body.clone()),
                variables: given.unwrap_or_else(|| current.variables.clone()),
                timing,
                moved,
            })
        })
    }
}

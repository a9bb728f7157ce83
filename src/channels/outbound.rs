//! Speaking: what waits in the outbox is sent by whoever runs its bot, in order within each conversation, several conversations at
//! once, not faster than the provider allows.
//!
//! Each message is reserved before it is sent and booked when the provider has taken it. What cannot be sent for now is tried
//! again, later and later; what cannot be sent at all has failed, and says why.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::session::{End, Running};
use crate::billing::metering::MeteringError;
use crate::db::DbError;
use crate::db::tenant::{Access, Batch, sending};
use crate::domain::ids::ConversationId;
use crate::domain::metering::{ActualUse, Amount, ReservationState, UsageKey};
use crate::domain::usage::Meter;
use crate::telemetry::channel_metrics::count_sent;

pub use super::pacing::Gaps;
pub use crate::db::tenant::sending::ToSend;

/// Messages of a bot that are taken at once.
const BATCH: i64 = 32;
/// Conversations that are spoken in at once.
const AT_ONCE: usize = 8;
/// How long the provider may take with one message.
const SENDING: Duration = Duration::from_secs(20);
/// For how long a line is nobody else's: then another process may take it for lost.
const LEASE: TimeDelta = TimeDelta::seconds(90);
/// Within so much of it sending is begun.
const OWN: Duration = Duration::from_secs(60);
/// The outbox is looked at this often even when nobody says that there is something in it.
const LOOK: Duration = Duration::from_secs(60);
/// When what is nobody's fault is tried again.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// When it is seen whether a tenant has paid.
const UNPAID: TimeDelta = TimeDelta::minutes(5);
/// The first wait after a failure; each is twice the one before, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(2);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);

/// Why a provider has not taken a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// It never will. The word is shown.
    Never(&'static str),
    /// It asks for silence.
    Wait(Duration),
    /// It cannot be reached, or what became of the message is unknown.
    Away(&'static str),
    /// The bot is not let in any more. The word is shown.
    ShutOut(&'static str),
}

/// What messages leave by.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Whether anything can be sent now; whoever makes it so notifies [`Running::outbox`].
    fn is_open(&self) -> bool {
        true
    }

    /// Sends a message; answers what the provider calls it, if it has said so.
    async fn send(&self, message: &ToSend) -> Result<Option<String>, Unsent>;
}

/// Sends what waits, until the session stops.
pub(super) async fn run(running: &Running, outlet: &dyn Outlet) -> End {
    loop {
        let round = match batch(running, outlet).await {
            Ok(Round::Sent) => continue,
            Ok(Round::Ended(end)) => return end,
            Ok(Round::Nothing(next)) => wait_for(next, running.channels.clock.now()),
            Err(error) => match running.retried(&error) {
                Some(end) => return end,
                None => Duration::from_secs(1),
            },
        };
        tokio::select! {
            () = running.stop.cancelled() => return End::Stopped,
            () = running.outbox.notified() => {}
            () = tokio::time::sleep(round) => {}
        }
    }
}

fn wait_for(next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let wait = next.and_then(|next| (next - now).to_std().ok());
    match next {
        None => LOOK,
        // Due already, and not to be had: somebody else holds it for a moment.
        Some(_) => wait.unwrap_or_default().clamp(Duration::from_millis(200), LOOK),
    }
}

enum Round {
    Sent,
    Nothing(Option<DateTime<Utc>>),
    Ended(End),
}

/// Takes what is due and sends it.
async fn batch(running: &Running, outlet: &dyn Outlet) -> Result<Round, DbError> {
    if running.stop.is_cancelled() {
        return Ok(Round::Ended(End::Stopped));
    }
    let now = running.channels.clock.now();
    // Nothing is taken that could not be sent.
    if !outlet.is_open() {
        return Ok(Round::Nothing(None));
    }
    match running.standing.speaks(&running.channels).await {
        Ok(true) => {}
        Ok(false) => return Ok(Round::Nothing(Some(now + UNPAID))),
        Err(_) => return Ok(Round::Nothing(Some(now + SOON))),
    }
    let claimed = Instant::now();
    let claim = sending::claim(running.worker, running.instance, BATCH, (now, now + LEASE));
    let mut messages = running.run(claim).await?;
    if messages.is_empty() {
        let next = running.run(sending::next_due(running.instance, now)).await?;
        return Ok(Round::Nothing(next));
    }
    crate::kill_point!("channels.claimed");
    messages.sort_by_key(|message| message.id);
    let mut lanes: BTreeMap<ConversationId, Vec<ToSend>> = BTreeMap::new();
    for message in messages {
        lanes.entry(message.conversation).or_default().push(message);
    }
    let ends: Vec<Result<Option<End>, DbError>> = stream::iter(lanes.into_values())
        .map(|lane| send_lane(running, outlet, lane, claimed))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut ended = None;
    for end in ends {
        ended = end?.or(ended);
    }
    Ok(ended.map_or(Round::Sent, Round::Ended))
}

/// The messages of one conversation. When one is put off, so are those after it.
async fn send_lane(
    running: &Running,
    outlet: &dyn Outlet,
    lane: Vec<ToSend>,
    claimed: Instant,
) -> Result<Option<End>, DbError> {
    let (mut end, mut held_back) = (None, None);
    for message in lane {
        if held_back.is_none() && running.stop.is_cancelled() {
            held_back = Some((TimeDelta::zero(), "stopped"));
        }
        // Before its lease is over a line is given back, not sent.
        if held_back.is_none() && claimed.elapsed() >= OWN {
            held_back = Some((TimeDelta::zero(), "taken_too_long"));
        }
        if let Some((wait, why)) = held_back {
            let now = running.channels.clock.now();
            let put_off = sending::put_off(message.id, running.worker, now + wait, why, true, now);
            running.run(put_off).await?;
            continue;
        }
        match send_one(running, outlet, &message).await? {
            Outcome::Over => {}
            Outcome::PutOff(wait, why) => held_back = Some((wait, why)),
            Outcome::ShutOut(wait, why) => {
                held_back = Some((wait, why));
                end = Some(End::Dead(why));
            }
        }
    }
    Ok(end)
}

enum Outcome {
    /// Sent or given up.
    Over,
    /// Neither, for so long; it is noted already.
    PutOff(TimeDelta, &'static str),
    /// Nor will any other be.
    ShutOut(TimeDelta, &'static str),
}

async fn send_one(running: &Running, outlet: &dyn Outlet, message: &ToSend) -> Result<Outcome, DbError> {
    let metering = &running.channels.metering;
    let key = UsageKey::outbox(message.id.as_uuid());
    let reserved = metering
        .reserve(running.tenant, Meter::Messages, Amount::ONE, &key)
        .await;
    match reserved {
        // It was booked, so it was sent, by somebody who died before saying so.
        Ok(reservation) if reservation.state == ReservationState::Settled => {
            return sent(running, message, None).await;
        }
        Ok(_) | Err(MeteringError::Expired) => {}
        Err(MeteringError::LimitExceeded(..)) => return failed(running, message, "limit_exceeded").await,
        Err(MeteringError::Released) => return failed(running, message, "canceled").await,
        Err(_) => return put_off(running, message, SOON, "registry_away", true).await,
    }
    let at = running.pace.take(&message.chat, Instant::now());
    // A line is not held for longer than it is this worker's.
    let wait = at.saturating_duration_since(Instant::now());
    if wait > OWN {
        let wait = TimeDelta::from_std(wait).unwrap_or(SOON);
        return put_off(running, message, wait, "too_fast", true).await;
    }
    tokio::select! {
        () = tokio::time::sleep_until(at.into()) => {}
        () = running.stop.cancelled() => return put_off(running, message, TimeDelta::zero(), "stopped", true).await,
    }
    crate::kill_point!("channels.sending");
    let answer = tokio::time::timeout(SENDING, outlet.send(message)).await;
    crate::kill_point!("channels.sent");
    match answer.unwrap_or(Err(Unsent::Away("timeout"))) {
        Ok(provider_message_id) => {
            // Who dies after this has sent it, and the next one knows.
            if let Err(error) = metering
                .settle(running.tenant, &key, ActualUse::from(Amount::ONE))
                .await
            {
                tracing::warn!(message_id = %message.id, %error, "a message was sent and will be booked later: {}", message.id);
            }
            crate::kill_point!("channels.booked");
            sent(running, message, provider_message_id).await
        }
        Err(Unsent::Never(why)) => failed(running, message, why).await,
        Err(Unsent::Wait(wait)) => {
            running.pace.hold(wait, Instant::now());
            let wait = TimeDelta::from_std(wait).unwrap_or(SOON);
            put_off(running, message, wait, "too_fast", true).await
        }
        Err(Unsent::Away(why)) if message.attempts >= running.runnable.max_attempts => {
            failed(running, message, why).await
        }
        Err(Unsent::Away(why)) => put_off(running, message, backoff(message.attempts), why, false).await,
        Err(Unsent::ShutOut(why)) => {
            let put_off = put_off(running, message, TimeDelta::zero(), why, true).await?;
            Ok(match put_off {
                Outcome::PutOff(wait, why) => Outcome::ShutOut(wait, why),
                other => other,
            })
        }
    }
}

async fn sent(
    running: &Running,
    message: &ToSend,
    provider_message_id: Option<String>,
) -> Result<Outcome, DbError> {
    count_sent(running.runnable.channel, "sent");
    let now = running.channels.clock.now();
    running
        .run(sending::set_sent(
            message.id,
            running.worker,
            provider_message_id,
            now,
        ))
        .await?;
    Ok(Outcome::Over)
}

async fn failed(running: &Running, message: &ToSend, why: &'static str) -> Result<Outcome, DbError> {
    count_sent(running.runnable.channel, "failed");
    let now = running.channels.clock.now();
    let set_failed = sending::set_failed(message.id, running.worker, why, now);
    if running.run(set_failed).await? > 0 {
        let key = UsageKey::outbox(message.id.as_uuid());
        // What is not given back now the sweeper gives back.
        let _ = running.channels.metering.release(running.tenant, &key).await;
    }
    Ok(Outcome::Over)
}

async fn put_off(
    running: &Running,
    message: &ToSend,
    wait: TimeDelta,
    why: &'static str,
    untried: bool,
) -> Result<Outcome, DbError> {
    count_sent(running.runnable.channel, "retried");
    let now = running.channels.clock.now();
    let put_off = sending::put_off(message.id, running.worker, now + wait, why, untried, now);
    running.run(put_off).await?;
    Ok(Outcome::PutOff(wait, why))
}

/// How long to wait after so many attempts.
fn backoff(attempts: i32) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.saturating_pow(attempts.clamp(1, 16).unsigned_abs() - 1);
    doubled.min(LONGEST_WAIT)
}

impl Running {
    /// Runs a batch in the tenant's schema, as the program itself.
    pub(super) async fn run<B: Batch>(&self, batch: B) -> Result<B::Output, DbError> {
        let access = Access::system(self.channels.clock.now());
        Ok(self.db.run(&access, batch).await?.output)
    }
}

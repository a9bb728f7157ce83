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
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::meanwhile::meanwhile;
use super::media::Unfetched;
use super::session::{End, Running};
use crate::billing::metering::MeteringError;
use crate::db::DbError;
use crate::db::tenant::message_files::Pending;
use crate::db::tenant::{Access, Batch, sending};
use crate::domain::ids::ConversationId;
use crate::domain::metering::{ActualUse, Amount, ReservationState, UsageKey};
use crate::domain::usage::Meter;
use crate::telemetry::channel_metrics::count_sent;

pub use super::pacing::Gaps;
pub use crate::db::tenant::sending::ToSend;

/// Conversations that are spoken in at a time; with fewer than a few of them others are taken in.
const CONVERSATIONS: usize = 32;
const FEW: usize = CONVERSATIONS / 2;
/// Messages that are with the provider at once.
const AT_ONCE: usize = 8;
/// How long the provider may take with one message.
const SENDING: Duration = Duration::from_secs(20);
/// For how long a line is nobody else's: then another process may take it for lost.
const LEASE: TimeDelta = TimeDelta::seconds(45);
/// Within so much of it a message's turn comes, and sending is begun so soon after.
const OWN: Duration = Duration::from_secs(20);
const MARGIN: Duration = Duration::from_secs(4);
/// The outbox is looked at this often even when nobody says that there is something in it: who writes a line says so with it.
const LOOK: Duration = Duration::from_secs(30 * 60);
/// When what is nobody's fault is tried again.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// When it is seen whether a tenant has paid.
const UNPAID: TimeDelta = TimeDelta::minutes(1);
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
    /// It asks for silence in this chat alone.
    WaitHere(Duration),
    /// It cannot be reached, or what became of the message is unknown.
    Away(&'static str),
    /// The bot is not let in any more. The word is shown.
    ShutOut(&'static str),
}

/// What messages leave by, and what came along with others is fetched by.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Whether anything can be sent now; whoever makes it so notifies [`Running::outbox`].
    fn is_open(&self) -> bool {
        true
    }

    /// Sends a message; answers what the provider calls it, if it has said so.
    async fn send(&self, message: &ToSend) -> Result<Option<String>, Unsent>;

    /// Fetches what somebody has sent along: at most so many bytes.
    async fn fetch(&self, file: &Pending, most: u64) -> Result<Vec<u8>, Unfetched>;
}

/// Sends what waits, until the session stops. Conversations do not wait for each other: whatever one has to wait for, the others go on.
pub(super) async fn run(running: &Running, outlet: &dyn Outlet) -> End {
    let sender = Sender {
        running,
        outlet,
        at_once: Semaphore::new(AT_ONCE),
        over: running.stop.child_token(),
    };
    let mut lanes = FuturesUnordered::new();
    let end = 'running: loop {
        if running.stop.is_cancelled() {
            break End::Stopped;
        }
        let (mut wait, mut ended) = (Some(LOOK), Vec::new());
        if lanes.len() <= FEW {
            let claim = sender.claim(CONVERSATIONS - lanes.len());
            wait = match meanwhile(&mut lanes, &mut ended, claim).await {
                Ok(Claimed::Lanes(claimed)) => {
                    lanes.extend(claimed.into_iter().map(|(lane, at)| sender.send_lane(lane, at)));
                    None
                }
                Ok(Claimed::Nothing(next)) => Some(wait_for(next, running.channels.clock.now())),
                Err(error) => match running.retried(&error) {
                    Some(end) => break end,
                    None => Some(Duration::from_secs(1)),
                },
            };
        }
        if let (Some(wait), true) = (wait, ended.is_empty()) {
            tokio::select! {
                () = running.stop.cancelled() => break End::Stopped,
                Some(one) = lanes.next() => ended.push(one),
                () = running.outbox.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        for one in ended {
            if let Some(end) = one.unwrap_or_else(|error| running.retried(&error)) {
                break 'running end;
            }
        }
    };
    // What is being sent is finished; what is not is given back.
    sender.over.cancel();
    while lanes.next().await.is_some() {}
    end
}

fn wait_for(next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let wait = next.and_then(|next| (next - now).to_std().ok());
    match next {
        None => LOOK,
        // Due already, and not to be had: somebody else holds it for a moment.
        Some(_) => wait.unwrap_or_default().clamp(Duration::from_millis(200), LOOK),
    }
}

/// What is sent in one conversation, in order, and since when it is this worker's.
type Lane = (Vec<ToSend>, Instant);

enum Claimed {
    Lanes(Vec<Lane>),
    /// Until then.
    Nothing(Option<DateTime<Utc>>),
}

struct Sender<'a> {
    running: &'a Running,
    outlet: &'a dyn Outlet,
    at_once: Semaphore,
    /// Nothing more is begun.
    over: CancellationToken,
}

impl Sender<'_> {
    /// Takes what is due: at most so many messages, of so many conversations at most.
    async fn claim(&self, most: usize) -> Result<Claimed, DbError> {
        let running = self.running;
        let now = running.channels.clock.now();
        // Nothing is taken that could not be sent.
        if !self.outlet.is_open() {
            return Ok(Claimed::Nothing(None));
        }
        match running.standing.speaks(&running.channels).await {
            Ok(true) => {}
            Ok(false) => return Ok(Claimed::Nothing(Some(now + UNPAID))),
            Err(_) => return Ok(Claimed::Nothing(Some(now + SOON))),
        }
        let claimed = Instant::now();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let claim = sending::claim(running.worker, running.instance, most, (now, now + LEASE));
        let mut messages = running.run(claim).await?;
        if messages.is_empty() {
            let next = running.run(sending::next_due(running.instance, now)).await?;
            return Ok(Claimed::Nothing(next));
        }
        crate::kill_point!("channels.claimed");
        messages.sort_by_key(|message| message.id);
        let mut lanes: BTreeMap<ConversationId, Vec<ToSend>> = BTreeMap::new();
        for message in messages {
            lanes.entry(message.conversation).or_default().push(message);
        }
        Ok(Claimed::Lanes(
            lanes.into_values().map(|lane| (lane, claimed)).collect(),
        ))
    }

    /// The messages of one conversation. When one is put off, so are those after it.
    async fn send_lane(&self, lane: Vec<ToSend>, claimed: Instant) -> Result<Option<End>, DbError> {
        let running = self.running;
        let (mut end, mut held_back) = (None, None);
        for message in lane {
            if held_back.is_none() && self.over.is_cancelled() {
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
            match self.send_one(&message, claimed).await? {
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

    async fn send_one(&self, message: &ToSend, claimed: Instant) -> Result<Outcome, DbError> {
        let running = self.running;
        let metering = &running.channels.metering;
        let key = UsageKey::outbox(message.id.as_uuid());
        let reserved = metering
            .reserve(running.tenant, Meter::Messages, Amount::ONE, &key)
            .await;
        match reserved {
            // It was booked, so it was sent, by somebody who died before saying so.
            Ok(reservation) if reservation.state == ReservationState::Settled => {
                return sent(running, message, None, claimed).await;
            }
            Ok(_) | Err(MeteringError::Expired) => {}
            Err(MeteringError::LimitExceeded(..)) => {
                return failed(running, message, "limit_exceeded", true).await;
            }
            Err(MeteringError::Released) => return failed(running, message, "canceled", true).await,
            Err(_) => return put_off(running, message, SOON, "registry_away", true).await,
        }
        if let Some(put_off) = self.turn(message, claimed).await? {
            return Ok(put_off);
        }
        let Ok(_sending) = self.at_once.acquire().await else {
            return put_off(running, message, TimeDelta::zero(), "stopped", true).await;
        };
        // What is begun after that may not be over before its lease is.
        if claimed.elapsed() >= OWN + MARGIN {
            return put_off(running, message, TimeDelta::zero(), "taken_too_long", true).await;
        }
        crate::kill_point!("channels.sending");
        let answer = tokio::time::timeout(SENDING, self.outlet.send(message)).await;
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
                sent(running, message, provider_message_id, claimed).await
            }
            Err(Unsent::Never(why)) => failed(running, message, why, true).await,
            Err(unsent @ (Unsent::Wait(wait) | Unsent::WaitHere(wait))) => {
                match unsent {
                    Unsent::WaitHere(_) => running.pace.hold_chat(&message.chat, wait, Instant::now()),
                    _ => running.pace.hold(wait, Instant::now()),
                }
                let wait = TimeDelta::from_std(wait).unwrap_or(SOON);
                put_off(running, message, wait, "too_fast", true).await
            }
            Err(Unsent::Away(why)) if message.attempts >= running.runnable.max_attempts => {
                // Who did not answer in time may have taken it: what was reserved for it is held until it expires.
                failed(running, message, why, why != "timeout").await
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

    /// Waits for the message's turn; `Some`: it is put off.
    async fn turn(&self, message: &ToSend, claimed: Instant) -> Result<Option<Outcome>, DbError> {
        let running = self.running;
        let too_fast = async |wait| {
            let wait = TimeDelta::from_std(wait).unwrap_or(SOON);
            put_off(running, message, wait, "too_fast", true).await.map(Some)
        };
        // A line is not held for longer than it is this worker's.
        let most = OWN.saturating_sub(claimed.elapsed());
        let mut at = match running.pace.take(&message.chat, Instant::now(), most) {
            Ok(at) => at,
            Err(wait) => return too_fast(wait).await,
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = self.over.cancelled() => {
                    return put_off(running, message, TimeDelta::zero(), "stopped", true).await.map(Some);
                }
            }
            // The provider may have asked for silence while it waited.
            match running.pace.silent_until(Instant::now()) {
                Some(until) if until - Instant::now() > OWN => return too_fast(until - Instant::now()).await,
                Some(until) => at = until,
                None => return Ok(None),
            }
        }
    }
}

enum Outcome {
    /// Sent or given up.
    Over,
    /// Neither, for so long; it is noted already.
    PutOff(TimeDelta, &'static str),
    /// Nor will any other be.
    ShutOut(TimeDelta, &'static str),
}

/// Notes that a message was sent. What is not noted is sent again: it is tried for as long as the line is this worker's.
async fn sent(
    running: &Running,
    message: &ToSend,
    provider_message_id: Option<String>,
    claimed: Instant,
) -> Result<Outcome, DbError> {
    count_sent(running.runnable.channel, "sent");
    let ours = LEASE.to_std().unwrap_or_default();
    loop {
        let now = running.channels.clock.now();
        let set_sent = sending::set_sent(message.id, running.worker, provider_message_id.clone(), now);
        match running.run(set_sent).await {
            Ok(_) => return Ok(Outcome::Over),
            Err(error) if error.is_transient() && claimed.elapsed() < ours => {
                tracing::warn!(message_id = %message.id, %error, "a message was sent, which cannot be noted yet: {}", message.id);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Gives a message up. With `untaken` the provider has certainly not taken it.
async fn failed(
    running: &Running,
    message: &ToSend,
    why: &'static str,
    untaken: bool,
) -> Result<Outcome, DbError> {
    count_sent(running.runnable.channel, "failed");
    let now = running.channels.clock.now();
    let set_failed = sending::set_failed(message.id, running.worker, why, now);
    if running.run(set_failed).await? > 0 && untaken {
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
        // Apart: a bot that waits keeps no room for what it will ask.
        let run = Box::pin(self.db.run(&access, batch));
        Ok(run.await?.output)
    }
}

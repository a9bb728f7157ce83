//! The life of one bot in the process that has it: it is started, hears and speaks, is started anew when its row has changed or its
//! provider was away, and parks when only a person can help.
//!
//! Only this bot is parked by its dead token, and only this tenant's bots by a schema that is away.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::answer::answer;
use super::outbound::{self, Outlet};
use super::pacing::Pace;
use super::standing::Standing;
use super::{Channels, media, telegram, whatsapp_cloud, whatsapp_web};
use crate::db::DbError;
use crate::db::tenant::held::Told;
use crate::db::tenant::instances::{self, Runnable};
use crate::db::tenant::{Access, TenantDb, inbound};
use crate::domain::bot_credentials::Credentials;
use crate::domain::conversation::Channel;
use crate::domain::ids::{ConversationId, InstanceId, ShardId, TenantId};
use crate::domain::instance::InstanceState;
use crate::telemetry::channel_metrics::count_silent;

/// The first wait after a failure; each is twice the one before, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest wait for a tenant that is not served.
const NOT_SERVED: Duration = Duration::from_secs(15);
/// What waits for an answer is looked for this often, even when nothing was heard: another process may have heard it and died.
const LOOK: Duration = Duration::from_secs(30 * 60);
/// Conversations that are looked for at once.
const UNANSWERED: i64 = 1000;

/// A bot that runs.
pub(super) struct Running {
    /// As all bots have it.
    pub(super) channels: Arc<Channels>,
    pub(super) tenant: TenantId,
    pub(super) instance: InstanceId,
    pub(super) db: TenantDb,
    pub(super) runnable: Runnable,
    pub(super) standing: Standing,
    pub(super) pace: Pace,
    /// Who has its lines of the outbox.
    pub(super) worker: Uuid,
    /// Something waits to be sent.
    pub(super) outbox: Notify,
    /// Something may wait to be answered that this run has not heard.
    pub(super) unheard: Notify,
    /// A file waits to be fetched.
    pub(super) files: Notify,
    /// Somebody may want something of it besides: a code.
    pub(super) asked: Notify,
    /// This run is over, for whatever reason.
    pub(super) stop: CancellationToken,
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The process gives the bot away.
    Stopped,
    /// Its row has changed.
    Changed,
    /// The provider, or the tenant's database, is away.
    Retry(&'static str),
    /// Only a person can help.
    Dead(&'static str),
    /// Only a person can help, and the bot's row says why.
    Parked,
}

impl Running {
    /// What a failure of the tenant's database means for the run; `None`: what failed is tried again.
    pub(super) fn retried(&self, error: &DbError) -> Option<End> {
        if error.refusal().is_some() {
            return Some(End::Retry("tenant_not_served"));
        }
        tracing::warn!(tenant_id = %self.tenant, instance_id = %self.instance, %error, "a bot cannot reach its rows: {}", self.instance);
        None
    }

    /// Takes what the bot is let in with, which no other may have then; why it has to stop, if it is another's.
    pub(super) async fn claim(&self, credentials: &Credentials) -> Result<(), End> {
        let claim = self.channels.claim_token(self.tenant, self.instance, credentials);
        match Box::pin(claim).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(End::Dead("bot_token_taken")),
            Err(_) => Err(End::Retry("registry_away")),
        }
    }

    /// Has what waits in this conversation answered.
    async fn answer(&self, conversation: ConversationId) -> Result<(), DbError> {
        let answer = answer(
            &self.channels,
            &self.db,
            &self.standing,
            self.instance,
            conversation,
        );
        let said = Box::pin(answer).await?;
        if said > 0 {
            self.outbox.notify_one();
        }
        Ok(())
    }

    /// Answers what was heard, in the order in which it was, and whatever waits since before.
    async fn answer_all(&self, heard: &mut mpsc::UnboundedReceiver<ConversationId>) -> End {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let conversations = tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Stopped,
                Some(conversation) = heard.recv() => Ok(vec![conversation]),
                () = self.unheard.notified() => self.run(inbound::list_unanswered(self.instance, UNANSWERED)).await,
                _ = look.tick() => self.run(inbound::list_unanswered(self.instance, UNANSWERED)).await,
            };
            let mut outcome = conversations
                .as_ref()
                .map(|_| ())
                .map_err(|error| self.retried(error));
            for conversation in conversations.unwrap_or_default() {
                if self.stop.is_cancelled() {
                    return End::Stopped;
                }
                if let Err(error) = self.answer(conversation).await {
                    outcome = Err(self.retried(&error));
                }
            }
            match outcome {
                Ok(()) => {}
                Err(Some(end)) => return end,
                Err(None) => {
                    tokio::time::sleep(FIRST_WAIT).await;
                    look.reset_immediately();
                }
            }
        }
    }

    /// Hears what the shard says of the bot: its row has changed, something waits to be sent or answered.
    async fn mind(&self, wake: &Notify) -> End {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = wake.notified() => {}
            }
            match self.run(instances::find_runnable(self.instance)).await {
                Ok(Some(runnable)) if runnable.version == self.runnable.version => {
                    self.unheard.notify_one();
                    self.asked.notify_one();
                    self.outbox.notify_one();
                    if runnable.files_wait {
                        self.files.notify_one();
                    }
                }
                Ok(_) => return End::Changed,
                Err(error) => match self.retried(&error) {
                    Some(end) => return end,
                    None => {
                        tokio::time::sleep(FIRST_WAIT).await;
                        wake.notify_one();
                    }
                },
            }
        }
    }

    /// The provider takes what the bot asks, and answers nothing: that is told, and the bot is started anew.
    pub(super) fn end_silent(&self) -> End {
        count_silent(self.runnable.channel);
        tracing::warn!(tenant_id = %self.tenant, instance_id = %self.instance,
            "a bot believes to be connected and hears nothing: {}", self.instance);
        End::Retry("provider_silent")
    }

    pub(super) async fn set_state(&self, state: InstanceState, detail: Value, username: Option<String>) {
        let now = self.channels.clock.now();
        let set = instances::set_state(self.instance, state, detail, username, now);
        if let Err(error) = self.run(set).await {
            tracing::debug!(instance_id = %self.instance, %error, "the state of a bot was not noted");
        }
    }

    /// Speaks, answers, hears and fetches until one of them ends; the others then finish what they are at.
    pub(super) async fn live(
        &self,
        outlet: &dyn Outlet,
        wake: &Notify,
        hear: impl AsyncFnOnce(mpsc::UnboundedSender<ConversationId>) -> End,
    ) -> End {
        let (heard, mut conversations) = mpsc::unbounded_channel();
        let first = OnceLock::new();
        let ended = |end: End| {
            // Who ends first says why; the others are stopped by it.
            let _ = first.set(end);
            self.stop.cancel();
        };
        tokio::join!(
            async { ended(hear(heard).await) },
            async { ended(self.answer_all(&mut conversations).await) },
            async { ended(outbound::run(self, outlet).await) },
            async { ended(media::run(self, outlet).await) },
            async { ended(self.mind(wake).await) },
        );
        first.get().copied().unwrap_or(End::Stopped)
    }
}

/// Runs a bot until `stop`, or until it is not to run any more.
pub(super) async fn run(
    channels: Arc<Channels>,
    shard: ShardId,
    told: Told,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    channels.here.enter(told.instance, Arc::clone(&wake));
    let mut failures = 0_u32;
    // As it was when its provider shut it out: until it is changed nobody asks again.
    let mut shut_out = None;
    while !stop.is_cancelled() {
        let (end, running, lived) = Box::pin(once(&channels, shard, told, (&wake, shut_out), &stop)).await;
        if lived {
            failures = 0;
        }
        if let (End::Dead(_), Some(running)) = (end, &running) {
            shut_out = Some(running.runnable.version);
        }
        let (noted, mut wait) = match end {
            End::Stopped => break,
            End::Changed => continue,
            End::Parked => (None, None),
            End::Dead(code) => (Some((InstanceState::Failed, json!({ "code": code }))), None),
            End::Retry(code) => {
                failures += 1;
                let wait = match running {
                    Some(_) => backoff(failures),
                    None => backoff(failures).min(NOT_SERVED),
                };
                let next_at = channels.clock.now() + TimeDelta::from_std(wait).unwrap_or_default();
                let detail = json!({ "code": code, "attempt": failures, "next_at": next_at });
                (Some((InstanceState::Reconnecting, detail)), Some(wait))
            }
        };
        if let (Some(running), Some((state, detail))) = (&running, noted) {
            if is_the_providers(end) && !running.runnable.auto_reconnect {
                running
                    .set_state(InstanceState::Failed, json!({ "code": "away" }), None)
                    .await;
                wait = None;
            } else {
                running.set_state(state, detail, None).await;
            }
        }
        let sleep = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = wake.notified() => {}
            () = sleep => {}
        }
    }
    channels.here.leave(told.instance, &wake);
}

/// One run: why it is over, what was running if the tenant was there at all, and whether it has lived.
async fn once(
    channels: &Arc<Channels>,
    shard: ShardId,
    told: Told,
    (wake, shut_out): (&Notify, Option<i32>),
    stop: &CancellationToken,
) -> (End, Option<Running>, bool) {
    let db = match channels.db(told.tenant).await {
        Ok(Some(db)) if db.shard() == shard => db,
        // On its way: whoever has it at the other shard runs it.
        Ok(_) => return (End::Retry("tenant_not_served"), None, false),
        Err(error) => {
            tracing::warn!(%error, "the registry cannot be asked about a bot's tenant");
            return (End::Retry("registry_away"), None, false);
        }
    };
    let access = Access::system(channels.clock.now());
    let find = instances::find_runnable(told.instance);
    let runnable = match Box::pin(db.run(&access, find)).await {
        Ok(reply) => reply.output,
        Err(error) => {
            tracing::info!(tenant_id = %told.tenant, %error, "a bot waits for its tenant: {}", told.instance);
            return (End::Retry("tenant_not_served"), None, false);
        }
    };
    let Some(runnable) = runnable else {
        let now = channels.clock.now();
        let stopped = instances::set_state(told.instance, InstanceState::Stopped, json!({}), None, now);
        let _ = Box::pin(db.run(&access, stopped)).await;
        return (End::Stopped, None, false);
    };
    if shut_out == Some(runnable.version) {
        return (End::Parked, None, false);
    }
    let delay = runnable.message_delay_ms;
    let pace = match runnable.channel {
        Channel::Telegram => Pace::new(telegram::gaps(delay)),
        Channel::WhatsappWeb => Pace::new(whatsapp_web::gaps(delay)),
        Channel::WhatsappCloud => whatsapp_cloud::pace(delay),
    };
    let running = Running {
        channels: Arc::clone(channels),
        tenant: told.tenant,
        instance: told.instance,
        db,
        runnable,
        standing: Standing::new(told.tenant),
        pace,
        worker: Uuid::now_v7(),
        outbox: Notify::new(),
        unheard: Notify::new(),
        files: Notify::new(),
        asked: Notify::new(),
        stop: stop.child_token(),
    };
    if running.runnable.parked {
        // Whatever wakes it: what it waits for is a person.
        let end = whatsapp_web::park(&running).await;
        return (end, Some(running), false);
    }
    match running.standing.hears(channels).await {
        Ok(true) => {}
        Ok(false) => return (End::Retry("subscription_inactive"), Some(running), false),
        Err(_) => return (End::Retry("registry_away"), Some(running), false),
    }
    // Apart, so that a bot of one channel has no room for what another would need.
    let (end, lived) = match running.runnable.channel {
        Channel::Telegram => Box::pin(telegram::run(&running, wake)).await,
        Channel::WhatsappWeb => Box::pin(whatsapp_web::run(&running, wake)).await,
        Channel::WhatsappCloud => Box::pin(whatsapp_cloud::run(&running, wake)).await,
    };
    (end, Some(running), lived)
}

/// Whether it is the provider who is away: not the tenant, nor the registry.
fn is_the_providers(end: End) -> bool {
    matches!(end, End::Retry(code) if code.starts_with("provider") || ["too_fast", "timeout", "conflict"].contains(&code))
}

fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.clamp(1, 12) - 1));
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a future keeps in memory while it waits.
    fn room<F: Future>(_: impl FnOnce() -> F) -> usize {
        size_of::<F>()
    }

    fn never<T>() -> T {
        unreachable!("nothing runs")
    }

    /// Whatever is asked of a database is apart: it is there only while it is asked.
    #[test]
    fn a_bot_that_waits_is_small() {
        let all = room(|| run(never(), never(), never(), never(), never()))
            + room(|| once(never(), never(), never(), never(), never()));
        let telegram = room(|| telegram::run(never(), never()));
        let cloud = room(|| whatsapp_cloud::run(never(), never()));
        let web = room(|| whatsapp_web::run(never(), never()));
        let sizes = format!("{all}, {telegram}, {cloud}, {web}");
        assert!(
            all + telegram.max(cloud) < 12 * 1024 && all + web < 16 * 1024,
            "{sizes}"
        );
    }
}

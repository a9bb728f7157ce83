//! `getUpdates`: one waits at a time, the newer ends the older (core.telegram.org/bots/api#getupdates).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::bot::{End, Poll};
use super::params::Params;
use super::reply::{Answer, Refusal};
use super::world::World;

/// The longest that the real one waits, in seconds.
const LONGEST: i64 = 50;

/// Forgets the poll when its client has gone.
struct Waiting<'a> {
    world: &'a World,
    token: &'a str,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.world.change(|book| {
            if let Some(bot) = book.bots.get_mut(self.token) {
                bot.poll.take_if(|poll| poll.number == self.number);
            }
        });
    }
}

pub async fn get_updates(world: &Arc<World>, token: &str, params: &Params, agent: &str) -> Answer {
    let offset = params.integer("offset").unwrap_or(0);
    let limit = params.integer("limit").unwrap_or(100).clamp(1, 100);
    let limit = usize::try_from(limit).unwrap_or(100);
    let timeout = params.integer("timeout").unwrap_or(0).clamp(0, LONGEST);
    let allowed = params.texts("allowed_updates")?;

    let begun = world.change(|book| {
        let number = book.number();
        let bot = book.bot(token)?;
        if bot.webhook.is_some() {
            return Err(Refusal::conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            ));
        }
        if let Some(allowed) = allowed {
            bot.allowed = allowed;
        }
        if bot.poll.is_some() {
            bot.conflicts += 1;
            bot.end_poll(End::OtherPoll);
        }
        let updates = bot.updates(offset, limit);
        if !updates.is_empty() || timeout == 0 {
            return Ok(Err(updates));
        }
        let (end, ended) = oneshot::channel();
        bot.poll = Some(Poll {
            number,
            agent: agent.to_owned(),
            end,
        });
        Ok(Ok((number, ended)))
    })?;
    let (number, ended) = match begun {
        Ok(waiting) => waiting,
        Err(updates) => return Ok(Value::Array(updates)),
    };

    let waiting = Waiting { world, token, number };
    let seconds = Duration::from_secs(timeout.unsigned_abs());
    let ended = tokio::time::timeout(seconds, ended).await;
    drop(waiting);
    match ended {
        Ok(Ok(End::OtherPoll)) => Err(Refusal::conflict(
            "terminated by other getUpdates request; make sure that only one bot instance is running",
        )),
        Ok(Ok(End::WebhookSet)) => Err(Refusal::conflict("terminated by setWebhook request")),
        Ok(Ok(End::Revoked)) => Err(Refusal::unauthorized()),
        Ok(Ok(End::Updates) | Err(_)) | Err(_) => {
            let mut book = world.lock();
            Ok(Value::Array(book.bot(token)?.updates(offset, limit)))
        }
    }
}

//! Asking for what was said. Telegram forgets what is asked for no more: so nothing is passed over before it is stored.

use std::time::Duration;

use teloxide_core::payloads::GetUpdatesSetters as _;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::Update;
use teloxide_core::{Bot, RequestError};
use tokio::sync::mpsc::UnboundedSender;

use super::heard::{KINDS, read_update};
use super::{ended, unsent};
use crate::channels::outbound::Unsent;
use crate::channels::session::{End, Running};
use crate::domain::conversation::Channel;
use crate::domain::ids::ConversationId;

/// Messages that are asked for at once.
const MOST: u8 = 100;
/// The first wait after a failure; each is twice the one before, up to the longest, and then the bot is started anew.
const WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Hears until the session stops.
pub(super) async fn run(
    running: &Running,
    bot: &Bot,
    number: &str,
    heard: &UnboundedSender<ConversationId>,
) -> End {
    let (mut offset, mut failures) = (None, 0_usize);
    loop {
        let mut ask = bot
            .get_updates()
            .timeout(running.channels.telegram.poll_secs())
            .limit(MOST)
            .allowed_updates(KINDS);
        ask.offset = offset;
        let answer = tokio::select! {
            () = running.stop.cancelled() => return End::Stopped,
            answer = ask => answer,
        };
        match answer {
            Ok(updates) => {
                failures = 0;
                for update in updates {
                    let id = update.id.0;
                    if let Some(end) = Box::pin(store(running, update, number, heard)).await {
                        return end;
                    }
                    offset = Some(i32::try_from(id.saturating_add(1)).unwrap_or(i32::MAX));
                }
            }
            // Telegram answers sooner, if only that there is nothing.
            Err(RequestError::Network(error)) if error.is_timeout() && !error.is_connect() => {
                return running.end_silent();
            }
            Err(error) => {
                let end = ended(&error);
                let Some(wait) = WAITS.get(failures).filter(|_| matches!(end, End::Retry(_))) else {
                    return end;
                };
                failures += 1;
                // Telegram may ask for more silence than that.
                let wait = match unsent(&error) {
                    Unsent::Wait(silence) => silence.max(*wait),
                    _ => *wait,
                };
                tokio::select! {
                    () = running.stop.cancelled() => return End::Stopped,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

/// Stores what was said, however long that takes; why the bot has to stop, if it has to.
async fn store(
    running: &Running,
    update: Update,
    number: &str,
    heard: &UnboundedSender<ConversationId>,
) -> Option<End> {
    let said = read_update(&update, number)?;
    // Who has canceled is not heard; Telegram keeps what it was not thanked for.
    if let Ok(false) = running.standing.hears(&running.channels).await {
        return Some(End::Retry("subscription_inactive"));
    }
    loop {
        let stored = running
            .channels
            .hear(&running.db, running.instance, Channel::Telegram, said.clone())
            .await;
        match stored {
            Ok(conversation) => {
                // Whoever receives lives as long as this.
                let _ = heard.send(conversation);
                return None;
            }
            Err(error) if error.refusal().is_none() && !error.is_transient() => {
                tracing::error!(tenant_id = %running.tenant, instance_id = %running.instance, %error,
                    "what was said to a bot cannot be stored, and is passed over: {}", running.instance);
                return None;
            }
            Err(error) => {
                if let Some(end) = running.retried(&error) {
                    return Some(end);
                }
                tokio::select! {
                    () = running.stop.cancelled() => return Some(End::Stopped),
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

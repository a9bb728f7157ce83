//! Telegram: bots by the Bot API. Each asks for what was said to it (`getUpdates`), or is told by a webhook; all share two HTTP clients.

mod heard;
mod polling;
mod sending;
pub mod webhook;

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::json;
use teloxide_core::payloads::SetWebhookSetters as _;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::Me;
use teloxide_core::{ApiError, Bot, RequestError};
use tokio::sync::Notify;

use super::outbound::{Gaps, Unsent};
use super::session::{End, Running};
use crate::domain::instance::{BotToken, InstanceState};

pub use self::heard::read_update;

/// Connections that stay open for what is said next, of all bots together: each has buffers.
const IDLE: usize = 32;
/// The longest wait for any other answer.
const CALL: Duration = Duration::from_secs(15);
/// Who has run for so long was well; the next failure is a first one.
const LIVED: Duration = Duration::from_secs(60);
/// Telegram takes about thirty messages a second of a bot, and one a second in a chat.
const GAPS: Gaps = Gaps {
    any: Duration::from_millis(34),
    chat: Duration::from_secs(1),
};

/// How fast a bot may speak that wants so many milliseconds between its messages.
pub(super) fn gaps(message_delay_ms: i32) -> Gaps {
    GAPS.at_least(message_delay_ms)
}

/// Telegram. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    url: reqwest::Url,
    /// How long Telegram holds a question for messages before it answers that there are none.
    poll: Duration,
    /// For questions that are held for long.
    polling: reqwest::Client,
    calling: reqwest::Client,
}

/// What Telegram says of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOf {
    /// It is a bot's.
    Bot {
        /// Its number.
        id: u64,
        /// Without the `@`.
        username: String,
        /// As people see it.
        name: String,
    },
    /// It is nobody's.
    Nobody,
    /// Telegram cannot be asked.
    Unknown,
}

impl Api {
    /// The Bot API at this address, which is to hold questions for messages for so long.
    ///
    /// # Errors
    /// When the address is none, or the clients cannot be made.
    pub fn new(url: &str, poll: Duration) -> Result<Self, String> {
        let client = |timeout, idle| {
            reqwest::Client::builder()
                .timeout(timeout)
                .pool_max_idle_per_host(idle)
                .connect_timeout(Duration::from_secs(5))
                .tcp_nodelay(true)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| error.without_url().to_string())
        };
        Ok(Self {
            url: reqwest::Url::parse(url).map_err(|error| error.to_string())?,
            poll,
            // Each is used again at once.
            polling: client(poll + CALL.min(poll), usize::MAX)?,
            calling: client(CALL, IDLE)?,
        })
    }

    fn bot(&self, token: &BotToken) -> Bot {
        Bot::with_client(token.secret().expose_secret(), self.calling.clone()).set_api_url(self.url.clone())
    }

    /// How long it is to hold a question for messages, in seconds.
    pub(super) fn poll_secs(&self) -> u32 {
        u32::try_from(self.poll.as_secs()).unwrap_or(u32::MAX)
    }

    pub(super) fn polling_bot(&self, token: &BotToken) -> Bot {
        Bot::with_client(token.secret().expose_secret(), self.polling.clone()).set_api_url(self.url.clone())
    }

    /// Where a file is, at the Bot API's own address; `None` for a path that leads elsewhere.
    fn file_url(&self, token: &BotToken, path: &str) -> Option<reqwest::Url> {
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
            return None;
        }
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().ok()?;
        let bot = format!("bot{}", token.secret().expose_secret());
        segments.pop_if_empty().extend(["file", &bot]).extend(parts);
        drop(segments);
        Some(url)
    }

    /// Asks whose a token is.
    pub async fn ask(&self, token: &BotToken) -> TokenOf {
        match tokio::time::timeout(CALL, self.bot(token).get_me()).await {
            Ok(Ok(me)) => TokenOf::Bot {
                id: me.id.0,
                username: me.username().to_owned(),
                name: me.full_name(),
            },
            Ok(Err(error)) if matches!(unsent(&error), Unsent::ShutOut(_)) => TokenOf::Nobody,
            Ok(Err(_)) | Err(_) => TokenOf::Unknown,
        }
    }
}

/// Runs a bot; why it is over, and whether it has lived for a while.
pub(super) async fn run(running: &Running, wake: &Notify) -> (End, bool) {
    running.set_state(InstanceState::Starting, json!({}), None).await;
    let channels = &running.channels;
    let sealed = &running.runnable.credentials_sealed;
    let Some(token) = channels.open_token(running.tenant, running.instance, sealed) else {
        return (End::Dead("credentials_unreadable"), false);
    };
    if let Err(end) = running.claim(&token.clone().into()).await {
        return (end, false);
    }
    let bot = channels.telegram.bot(&token);
    let number = token.number().to_owned();
    let me = match come_in(running, &bot, &number).await {
        Ok(me) => me,
        Err(error) => return (ended(&error), false),
    };
    let username = Some(me.username().to_owned());
    running
        .set_state(InstanceState::Connected, json!({}), username)
        .await;
    let outlet = sending::Telegram {
        api: channels.telegram.clone(),
        token: token.clone(),
        bot,
        number: number.clone(),
    };
    let begun = Instant::now();
    let end = running
        .live(&outlet, wake, async |heard| {
            if channels.hooks.is_some() {
                running.stop.cancelled().await;
                return End::Stopped;
            }
            polling::run(running, &channels.telegram.polling_bot(&token), &number, &heard).await
        })
        .await;
    (end, begun.elapsed() >= LIVED)
}

/// Asks who the bot is, and says how it wants to hear.
async fn come_in(running: &Running, bot: &Bot, number: &str) -> Result<Me, RequestError> {
    let me = bot.get_me().await?;
    match webhook::address(&running.channels, running.tenant, running.instance, number) {
        Some((url, secret)) => {
            bot.set_webhook(url)
                .secret_token(secret)
                .allowed_updates(heard::KINDS)
                .await?;
        }
        None => {
            bot.delete_webhook().await?;
        }
    }
    Ok(me)
}

/// What a failure means for the bot as a whole.
fn ended(error: &RequestError) -> End {
    match unsent(error) {
        Unsent::ShutOut(code) => End::Dead(code),
        Unsent::Wait(_) | Unsent::WaitHere(_) => End::Retry("too_fast"),
        Unsent::Never(code) | Unsent::Away(code) => End::Retry(code),
    }
}

/// What a failure means for what was asked. The error's own text may hold words of people: it is not shown.
pub(super) fn unsent(error: &RequestError) -> Unsent {
    match error {
        RequestError::Api(error) => match error {
            ApiError::InvalidToken => Unsent::ShutOut("token_refused"),
            ApiError::BotBlocked
            | ApiError::UserDeactivated
            | ApiError::CantInitiateConversation
            | ApiError::CantTalkWithBots
            | ApiError::BotKicked
            | ApiError::BotKickedFromSupergroup
            | ApiError::BotKickedFromChannel => Unsent::Never("blocked"),
            ApiError::ChatNotFound => Unsent::Never("chat_not_found"),
            ApiError::TerminatedByOtherGetUpdates | ApiError::CantGetUpdates => Unsent::Away("conflict"),
            // Telegram's own troubles come as errors, too.
            ApiError::Unknown(text) if !text.starts_with("Bad Request") && !text.starts_with("Forbidden") => {
                Unsent::Away("provider_error")
            }
            _ => Unsent::Never("rejected"),
        },
        RequestError::RetryAfter(wait) => Unsent::Wait(wait.duration()),
        RequestError::MigrateToChatId(_) => Unsent::Never("chat_not_found"),
        RequestError::InvalidJson { .. } => Unsent::Away("provider_error"),
        // Telegram was reached, and may have done what was asked.
        RequestError::Network(error) if error.is_timeout() && !error.is_connect() => Unsent::Away("timeout"),
        RequestError::Network(_) | RequestError::Io(_) => Unsent::Away("provider_away"),
    }
}

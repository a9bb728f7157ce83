//! The platform's own bot of Telegram: it answers those who run a tenant, and tells them and the administrators what has happened.
//!
//! - Whoever runs a tenant asks for a code at its address and shows it in a chat: from then on the chat speaks for that user. Each
//!   question is asked in the tenant's own schema as that user, so that a role taken away counts at once; and nobody is told anything
//!   before that schema has said that they may ask.
//! - What is told was noted in the registry by the transaction of what happened; it is told by the one process that speaks for the bot.
//!
//! A process that dies while it answers has the question answered again by the next one; nothing that may be asked here does harm twice.

mod answers;
mod orders;
mod telling;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use teloxide_core::payloads::GetUpdatesSetters as _;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::{AllowedUpdate, ChatId, Message, Update, UpdateKind};
use teloxide_core::{Bot, RequestError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Channels;
use super::outbound::Unsent;
use super::telegram::{TokenOf, unsent};
use crate::db::master::assistant::{self, LinkedChat};
use crate::db::tenant::Access;
use crate::db::{DbError, Refusal};
use crate::domain::ids::{TenantId, UserId};
use crate::domain::instance::BotToken;
use crate::domain::random;
use crate::domain::rights::Need;

/// How often the process that speaks says so, and how long it is believed.
const BEAT: Duration = Duration::from_secs(5);
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// After a failure of Telegram.
const AGAIN: Duration = Duration::from_secs(2);
/// For how long a code may be shown.
const CODE_FOR: TimeDelta = TimeDelta::minutes(15);
const CODE_LENGTH: usize = 24;
const CODE_LETTERS: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
/// Chats that are answered at once: one whose tenant is held keeps the others waiting no longer than itself.
const CHATS: usize = 8;
/// Most characters of one message.
const MOST: usize = 4000;

/// The bot. Cheap to clone.
#[derive(Clone)]
pub struct Assistant {
    token: BotToken,
    /// Where administrators are told.
    admins: Option<i64>,
}

/// A code, and where it is shown.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// To be sent to the bot as `/start CODE`.
    pub code: String,
    /// Does so when it is opened, where the bot's name is known.
    pub url: Option<String>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

impl Assistant {
    /// The bot of this token.
    pub fn new(token: BotToken, admins: Option<i64>) -> Self {
        Self { token, admins }
    }
}

impl Channels {
    /// Makes the code with which a user shows the platform's bot who they are, instead of the one before.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn invite(
        &self,
        assistant: &Assistant,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Invitation, DbError> {
        let code = random::letters(CODE_LENGTH, CODE_LETTERS);
        let expires_at = self.clock.now() + CODE_FOR;
        assistant::insert_code(&self.master, (tenant, user), &hash(&code), expires_at).await?;
        let url = match self.telegram.ask(&assistant.token).await {
            TokenOf::Bot { username, .. } => Some(format!("https://t.me/{username}?start={code}")),
            TokenOf::Nobody | TokenOf::Unknown => None,
        };
        Ok(Invitation {
            code,
            url,
            expires_at,
        })
    }
}

fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

/// Speaks for the bot until `stop`, if there is one. Any number of processes may try; one does.
pub fn spawn(channels: Channels, stop: CancellationToken) -> Option<JoinHandle<()>> {
    let assistant = channels.assistant.clone()?;
    let speaker = Speaker {
        bot: channels.telegram.polling_bot(&assistant.token),
        assistant,
        channels,
        worker: Uuid::now_v7(),
    };
    Some(tokio::spawn(async move {
        while !stop.is_cancelled() {
            if speaker.holds().await {
                let over = stop.child_token();
                tokio::join!(speaker.keep(&over), speaker.hear(&over), speaker.tell(&over));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        if let Err(error) = assistant::leave(&speaker.channels.master, speaker.worker).await {
            tracing::debug!(%error, "another speaks for the platform's bot when the lease is over");
        }
    }))
}

/// The process that speaks.
struct Speaker {
    channels: Channels,
    assistant: Assistant,
    bot: Bot,
    worker: Uuid,
}

impl Speaker {
    async fn holds(&self) -> bool {
        let now = self.channels.clock.now();
        match assistant::hold(&self.channels.master, self.worker, LEASE, now).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "the registry cannot be asked who speaks for the platform's bot");
                false
            }
        }
    }

    /// Says that it speaks, until it cannot.
    async fn keep(&self, over: &CancellationToken) {
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(BEAT) => {}
            }
            if !self.holds().await {
                over.cancel();
            }
        }
    }

    /// Answers what is said in private.
    async fn hear(&self, over: &CancellationToken) {
        let mut offset = None;
        while !over.is_cancelled() {
            let mut ask = self.bot.get_updates().timeout(self.channels.telegram.poll_secs());
            ask = ask.allowed_updates([AllowedUpdate::Message]);
            ask.offset = offset;
            let answer = tokio::select! {
                () = over.cancelled() => return,
                answer = ask => answer,
            };
            let wait = match answer {
                Ok(updates) => {
                    let last = updates.last().map(|update| update.id.0.saturating_add(1));
                    self.heed_all(updates).await;
                    offset = last
                        .map(|next| i32::try_from(next).unwrap_or(i32::MAX))
                        .or(offset);
                    continue;
                }
                Err(error) => self.wait(&error),
            };
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn wait(&self, error: &RequestError) -> Duration {
        match unsent(error) {
            Unsent::Wait(wait) | Unsent::WaitHere(wait) => wait.max(AGAIN),
            Unsent::ShutOut(_) => {
                tracing::error!(
                    "Telegram refuses the token of the platform's bot: set `channels.assistant_token` anew"
                );
                Duration::from_secs(60)
            }
            Unsent::Never(_) | Unsent::Away(_) => AGAIN,
        }
    }

    /// Answers some messages, those of a chat in their order.
    async fn heed_all(&self, updates: Vec<Update>) {
        let mut chats: BTreeMap<ChatId, Vec<Message>> = BTreeMap::new();
        for update in updates {
            if let UpdateKind::Message(message) = update.kind
                && message.chat.is_private()
            {
                chats.entry(message.chat.id).or_default().push(message);
            }
        }
        stream::iter(chats.into_values())
            .for_each_concurrent(CHATS, |messages| async move {
                for message in messages {
                    self.heed(message).await;
                }
            })
            .await;
    }

    async fn heed(&self, message: Message) {
        let chat = message.chat.id;
        for words in self.answer(&message).await {
            if let Err(error) = self.bot.send_message(chat, words).await {
                tracing::info!(why = ?unsent(&error), "an answer of the platform's bot was not taken");
                return;
            }
        }
    }

    /// What is answered to a message.
    async fn answer(&self, message: &Message) -> Vec<String> {
        let order = orders::read(message.text().unwrap_or_default());
        let ChatId(chat) = message.chat.id;
        let words = match self.obey(chat, &order).await {
            Ok(words) => words,
            Err(error) => {
                tracing::warn!(%error, "a question to the platform's bot cannot be answered");
                words::AWAY.to_owned()
            }
        };
        in_parts(&words)
    }

    async fn obey(&self, chat: i64, order: &orders::Order) -> Result<String, DbError> {
        let (master, now) = (&self.channels.master, self.channels.clock.now());
        if let orders::Order::Start(Some(code)) = order {
            if !assistant::link(master, chat, &hash(code), now).await? {
                return Ok(words::CODE_UNKNOWN.to_owned());
            }
            let Some(linked) = self.who(chat).await? else {
                return Ok(words::CODE_UNKNOWN.to_owned());
            };
            // The code may be older than what its maker may do now.
            if let Ok(false) = self.may_ask(linked.tenant, linked.user).await {
                assistant::unlink(master, chat).await?;
            }
            return answers::answer(&self.channels, linked, &orders::Order::Help).await;
        }
        let Some(linked) = self.who(chat).await? else {
            return Ok(words::WHO_ARE_YOU.to_owned());
        };
        if *order == orders::Order::Leave {
            assistant::unlink(master, chat).await?;
            return Ok(words::LEFT.to_owned());
        }
        answers::answer(&self.channels, linked, order).await
    }

    /// Whether a user may ask the bot anything, as their tenant's schema has it now.
    async fn may_ask(&self, tenant: TenantId, user: UserId) -> Result<bool, DbError> {
        let Some(db) = self.channels.db(tenant).await? else {
            return Err(DbError::Unavailable("the tenant is not served".to_owned()));
        };
        let access = Access::user(user, Need::Trade, self.channels.clock.now());
        match db.run(&access, ()).await {
            Ok(_) => Ok(true),
            Err(error) => match error.refusal() {
                Some(Refusal::Credentials | Refusal::Rights) => Ok(false),
                _ => Err(error),
            },
        }
    }

    async fn who(&self, chat: i64) -> Result<Option<LinkedChat>, DbError> {
        assistant::find(&self.channels.master, chat).await
    }
}

/// Messages of what Telegram takes at once, each ending with a line.
fn in_parts(words: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in words.lines() {
        let line: String = line.chars().take(MOST).collect();
        match parts.last_mut() {
            Some(part) if part.chars().count() + line.chars().count() < MOST => {
                if !part.is_empty() {
                    part.push('\n');
                }
                part.push_str(&line);
            }
            _ => parts.push(line),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_said_in_parts() {
        let line = "x".repeat(1500);
        let parts = in_parts(&[line.as_str(); 5].join("\n"));
        assert_eq!(
            parts.iter().map(String::len).collect::<Vec<_>>(),
            [3001, 3001, 1500]
        );
        assert_eq!(in_parts("a\n\nb"), ["a\n\nb"]);
        assert!(in_parts("").is_empty());
    }
}

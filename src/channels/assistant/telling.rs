//! What has happened, told in the chats of those whom it concerns.

use std::time::Duration;

use chrono::TimeDelta;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::ChatId;
use tokio_util::sync::CancellationToken;

use super::{Speaker, words};
use crate::channels::outbound::Unsent;
use crate::channels::telegram::unsent;
use crate::db::DbError;
use crate::db::master::assistant::{self, Notice};
use crate::domain::settings::Language;

const EVERY: Duration = Duration::from_secs(2);
/// Notices that are read at once.
const MOST: i64 = 50;
/// How often one is tried.
const ATTEMPTS: i32 = 10;
/// The first wait after a failure; each is twice the one before.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(10);

impl Speaker {
    /// Tells what is due, until `over`.
    pub(super) async fn tell(&self, over: &CancellationToken) {
        loop {
            if let Err(error) = self.tell_due(over).await {
                tracing::warn!(%error, "the registry cannot be asked what is to be told");
            }
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn tell_due(&self, over: &CancellationToken) -> Result<(), DbError> {
        let (master, now) = (&self.channels.master, self.channels.clock.now());
        for notice in assistant::list_due(master, MOST, now).await? {
            if over.is_cancelled() {
                return Ok(());
            }
            self.tell_one(&notice).await?;
        }
        Ok(())
    }

    async fn tell_one(&self, notice: &Notice) -> Result<(), DbError> {
        let (master, now) = (&self.channels.master, self.channels.clock.now());
        let chat = match (notice.chat, notice.linked) {
            (0, _) => self.assistant.admins,
            (_, None) => None,
            (chat, Some((tenant, user))) => match self.may_ask(tenant, user).await {
                Ok(true) => Some(chat),
                Ok(false) => return assistant::unlink(master, chat).await,
                Err(error) => {
                    tracing::debug!(%error, "whoever is to be told cannot be looked up just now");
                    return self.put_off(notice).await;
                }
            },
        };
        let (Some(chat), Some(words)) = (chat, text(notice)) else {
            return assistant::forget_notice(master, notice).await;
        };
        match self.bot.send_message(ChatId(chat), words).await {
            Ok(_) => assistant::forget_notice(master, notice).await,
            Err(error) => match unsent(&error) {
                // Who has stopped the bot is not linked any more.
                Unsent::Never("blocked" | "chat_not_found") if notice.chat != 0 => {
                    assistant::unlink(master, chat).await
                }
                Unsent::Never(_) => assistant::forget_notice(master, notice).await,
                Unsent::Wait(wait) | Unsent::WaitHere(wait) if notice.attempts < ATTEMPTS => {
                    let wait = TimeDelta::from_std(wait).unwrap_or(FIRST_WAIT);
                    assistant::put_off(master, notice, now + wait).await
                }
                _ => self.put_off(notice).await,
            },
        }
    }

    /// Tries again later, but not for ever.
    async fn put_off(&self, notice: &Notice) -> Result<(), DbError> {
        let (master, now) = (&self.channels.master, self.channels.clock.now());
        if notice.attempts >= ATTEMPTS {
            return assistant::forget_notice(master, notice).await;
        }
        let wait = FIRST_WAIT * 2_i32.saturating_pow(notice.attempts.clamp(0, 12).unsigned_abs());
        assistant::put_off(master, notice, now + wait).await
    }
}

/// What is said; administrators are told of whom.
fn text(notice: &Notice) -> Option<String> {
    let language = notice.language.as_deref();
    let language = language.and_then(|language| Language::parse(language).ok());
    let words = words::of_notice(&notice.kind, language.unwrap_or(Language::PtBr))?;
    Some(match (&notice.tenant_name, &notice.tenant_key) {
        (Some(name), Some(key)) if notice.chat == 0 => format!("{words}: {name} ({key})"),
        (Some(name), _) => format!("{words}\n{name}"),
        _ => words.to_owned(),
    })
}

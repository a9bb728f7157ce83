//! Saying something in Telegram.

use async_trait::async_trait;
use serde_json::Value;
use teloxide_core::payloads::SendMessageSetters as _;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::{ChatId, FileId, InlineKeyboardButton, InlineKeyboardMarkup};
use teloxide_core::{ApiError, Bot, RequestError};

use super::heard::name_of;
use super::{Api, unsent};
use crate::channels::download::download;
use crate::channels::media::{Unfetched, named};
use crate::channels::outbound::{Outlet, ToSend, Unsent};
use crate::db::tenant::message_files::Pending;
use crate::domain::instance::BotToken;

/// A bot that speaks.
pub(super) struct Telegram {
    pub(super) api: Api,
    pub(super) token: BotToken,
    pub(super) bot: Bot,
    pub(super) number: String,
}

#[async_trait]
impl Outlet for Telegram {
    async fn send(&self, message: &ToSend) -> Result<Option<String>, Unsent> {
        let chat = message.chat.parse().map(ChatId);
        let chat = chat.map_err(|_| Unsent::Never("chat_not_found"))?;
        let words = message.body.clone().unwrap_or_default();
        let mut send = self.bot.send_message(chat, words);
        let buttons = buttons(&message.payload);
        if !buttons.is_empty() {
            send = send.reply_markup(InlineKeyboardMarkup::new(buttons));
        }
        match send.await {
            Ok(sent) => Ok(Some(name_of(&sent, &self.number))),
            // Telegram has taken it; its description of it is newer than this program.
            Err(RequestError::InvalidJson { raw, .. }) if raw.starts_with("{\"ok\":true") => Ok(None),
            Err(error) => Err(unsent(&error)),
        }
    }

    async fn fetch(&self, file: &Pending, most: u64) -> Result<Vec<u8>, Unfetched> {
        let reference = named(&file.payload).ok_or(Unfetched::Never("unreadable"))?;
        let file = match self.bot.get_file(FileId(reference.to_owned())).await {
            Ok(file) if u64::from(file.size) > most => return Err(Unfetched::TooLarge),
            Ok(file) => file,
            Err(error) => return Err(unfetched(&error)),
        };
        let url = self.api.file_url(&self.token, &file.path);
        let url = url.ok_or(Unfetched::Never("unreadable"))?;
        download(self.api.calling.get(url), most).await
    }
}

/// Why Telegram does not say where a file is. It names the reason in words alone.
fn unfetched(error: &RequestError) -> Unfetched {
    match unsent(error) {
        _ if matches!(error, RequestError::Api(ApiError::Unknown(text)) if text.ends_with("file is too big")) => {
            Unfetched::TooLarge
        }
        Unsent::Never(_) => Unfetched::Never("gone"),
        Unsent::Wait(_) | Unsent::WaitHere(_) => Unfetched::Away("too_fast"),
        Unsent::Away(why) | Unsent::ShutOut(why) => Unfetched::Away(why),
    }
}

/// One row for each button that leads somewhere.
fn buttons(payload: &Value) -> Vec<Vec<InlineKeyboardButton>> {
    let buttons = payload.get("buttons").and_then(Value::as_array);
    let buttons = buttons.into_iter().flatten();
    buttons
        .filter_map(|button| {
            let text = button.get("text")?.as_str()?;
            let url = reqwest::Url::parse(button.get("url")?.as_str()?).ok()?;
            Some(vec![InlineKeyboardButton::url(text, url)])
        })
        .collect()
}

//! Saying something in Telegram.

use async_trait::async_trait;
use serde_json::Value;
use teloxide_core::payloads::SendMessageSetters as _;
use teloxide_core::requests::Requester as _;
use teloxide_core::types::{ChatId, InlineKeyboardButton, InlineKeyboardMarkup};
use teloxide_core::{Bot, RequestError};

use super::heard::name_of;
use super::unsent;
use crate::channels::outbound::{Outlet, ToSend, Unsent};

/// A bot that speaks.
pub(super) struct Telegram {
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

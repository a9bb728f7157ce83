//! Saying something in WhatsApp.
//!
//! A message has the same name whenever it is sent: whoever gets it twice shows it once.

use std::fmt::Write as _;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, IqError, Jid, SendError, SendOptions};

use super::files::Files;
use super::reading::own_id;
use crate::channels::media::Unfetched;
use crate::channels::outbound::{Outlet, ToSend, Unsent};
use crate::db::tenant::message_files::Pending;
use crate::domain::ids::MessageId;
use crate::domain::phone::Phone;

/// For how long nothing is said after the socket has gone.
const SOON: Duration = Duration::from_secs(2);

/// A bot that speaks.
pub(super) struct WhatsApp {
    pub(super) client: Arc<Client>,
    pub(super) files: Files,
}

impl WhatsApp {
    /// As WhatsApp calls whom it does not know by this number yet: who had it before mobile numbers had nine digits is called without
    /// the ninth.
    async fn whom(&self, chat: Jid) -> Result<Jid, Unsent> {
        if !chat.is_pn() || matches!(self.client.get_lid_pn_entry(&chat).await, Ok(Some(_))) {
            return Ok(chat);
        }
        let old = Phone::without_ninth_digit(&chat.user);
        let asked: Vec<Jid> = iter::once(chat.clone()).chain(old.map(Jid::pn)).collect();
        let away = Unsent::Away("provider_error");
        let found = self
            .client
            .contacts()
            .is_on_whatsapp(&asked)
            .await
            .map_err(|_| away)?;
        let there = found.iter().filter(|one| one.is_registered);
        let there = there.filter_map(|one| Some(&one.jid).filter(|jid| jid.is_pn()).or(one.pn_jid.as_ref()));
        // The one that was asked for comes first.
        let there = there.min_by_key(|jid| **jid != chat).cloned();
        let unsure = found.iter().any(|one| one.contact_error.is_some());
        there.ok_or(if unsure {
            away
        } else {
            Unsent::Never("not_on_whatsapp")
        })
    }
}

#[async_trait]
impl Outlet for WhatsApp {
    fn is_open(&self) -> bool {
        self.client.is_connected() && self.client.is_logged_in()
    }

    async fn send(&self, message: &ToSend) -> Result<Option<String>, Unsent> {
        let chat: Jid = message
            .chat
            .parse()
            .map_err(|_| Unsent::Never("chat_not_found"))?;
        if !self.is_open() {
            return Err(Unsent::Wait(SOON));
        }
        let chat = self.whom(chat).await?;
        let id = name_of(message.id);
        let said = Message {
            conversation: Some(words(message)),
            ..Default::default()
        };
        let options = SendOptions::default().with_message_id(id.clone());
        match self.client.send_message_with_options(chat, said, options).await {
            Ok(_) => Ok(Some(own_id(&id))),
            Err(error) => Err(unsent(&error)),
        }
    }

    async fn fetch(&self, file: &Pending, most: u64) -> Result<Vec<u8>, Unfetched> {
        let sealed = file.sealed.as_deref();
        self.files
            .fetch(sealed.ok_or(Unfetched::Never("unreadable"))?, most)
            .await
    }
}

/// As the client names messages itself.
fn name_of(id: MessageId) -> String {
    let digest = Sha256::digest(id.as_uuid().as_bytes());
    digest.iter().take(9).fold("3EB0".to_owned(), |mut name, byte| {
        let _infallible = write!(name, "{byte:02X}");
        name
    })
}

/// Its words. WhatsApp lets no program show buttons in this way: they are written out.
fn words(message: &ToSend) -> String {
    let mut words = message.body.clone().unwrap_or_default();
    let buttons = message.payload.get("buttons").and_then(Value::as_array);
    for button in buttons.into_iter().flatten() {
        let text = |field: &str| button.get(field).and_then(Value::as_str).unwrap_or_default();
        let _infallible = write!(words, "\n\n{}: {}", text("text"), text("url"));
    }
    words
}

/// What a failure means. The error's own text may name people: it is not shown.
fn unsent(error: &SendError) -> Unsent {
    match error {
        SendError::InvalidRequest(_) => Unsent::Never("rejected"),
        SendError::NotLoggedIn | SendError::Iq(IqError::NotConnected | IqError::Disconnected(_)) => {
            Unsent::Wait(SOON)
        }
        SendError::Client(error) if error.is_transport_unavailable() => Unsent::Wait(SOON),
        _ => Unsent::Away("provider_error"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::ConversationId;

    #[test]
    fn a_message_has_one_name() {
        let id = MessageId::new();
        let name = name_of(id);
        assert_eq!(name, name_of(id));
        assert!(name.starts_with("3EB0") && name.len() == 22);
        assert_ne!(name, name_of(MessageId::new()));
    }

    #[test]
    fn buttons_are_written_out() {
        let message = ToSend {
            id: MessageId::new(),
            attempts: 1,
            conversation: ConversationId::new(),
            chat: String::new(),
            kind: "buttons".to_owned(),
            body: Some("Bem-vindo!".to_owned()),
            payload: json!({"buttons": [{"text": "Entrar no VIP", "url": "https://vip.example"}]}),
        };
        assert_eq!(
            words(&message),
            "Bem-vindo!\n\nEntrar no VIP: https://vip.example"
        );
    }
}

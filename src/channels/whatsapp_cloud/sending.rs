//! Saying something by a number of WhatsApp's Cloud API.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Api;
use crate::channels::media::{Unfetched, named};
use crate::channels::outbound::{Outlet, ToSend, Unsent};
use crate::db::tenant::message_files::Pending;
use crate::domain::bot_credentials::CloudAccount;
use crate::domain::message::MessageText;

/// Most characters of words above a button, and on it.
const ABOVE_MOST: usize = 1024;
const BUTTON_MOST: usize = 20;

/// A number that speaks.
pub(super) struct Cloud {
    pub(super) api: Api,
    pub(super) account: CloudAccount,
}

#[async_trait]
impl Outlet for Cloud {
    async fn send(&self, message: &ToSend) -> Result<Option<String>, Unsent> {
        self.api.send(&self.account, &request(message)?).await
    }

    async fn fetch(&self, file: &Pending, most: u64) -> Result<Vec<u8>, Unfetched> {
        let reference = named(&file.payload).ok_or(Unfetched::Never("unreadable"))?;
        self.api.fetch(&self.account, reference, most).await
    }
}

/// A message as Meta takes it. Meta says our own id back with whatever becomes of it, so that it is known also when its answer is lost.
fn request(message: &ToSend) -> Result<Value, Unsent> {
    let words = message.body.as_deref().unwrap_or_default();
    let mut request = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "biz_opaque_callback_data": message.id,
    });
    // Who has not told a number is called by an id that Meta has made.
    let is_number = message.chat.bytes().all(|byte| byte.is_ascii_digit());
    let content = match links(&message.payload).as_slice() {
        [(text, url)] if fits(words, text, url) => json!({
            "type": "interactive",
            "interactive": {
                "type": "cta_url", "body": {"text": words},
                "action": {"name": "cta_url", "parameters": {"display_text": text, "url": url}},
            },
        }),
        links => json!({"type": "text", "text": {"body": with_links(words, links)?}}),
    };
    if let (Value::Object(request), Value::Object(content)) = (&mut request, content) {
        request.insert(
            if is_number { "to" } else { "recipient" }.to_owned(),
            json!(message.chat),
        );
        request.extend(content);
    }
    Ok(request)
}

/// Buttons that lead somewhere: what stands on them, and where they lead.
fn links(payload: &Value) -> Vec<(&str, &str)> {
    let buttons = payload.get("buttons").and_then(Value::as_array);
    buttons
        .into_iter()
        .flatten()
        .filter_map(|button| Some((button.get("text")?.as_str()?, button.get("url")?.as_str()?)))
        .collect()
}

/// Whether Meta shows it as a button: there is one, of few words, to a page.
fn fits(words: &str, text: &str, url: &str) -> bool {
    (1..=ABOVE_MOST).contains(&words.chars().count())
        && (1..=BUTTON_MOST).contains(&text.chars().count())
        && (url.starts_with("https://") || url.starts_with("http://"))
}

/// What cannot be a button stands below the words.
fn with_links(words: &str, links: &[(&str, &str)]) -> Result<String, Unsent> {
    let links = links.iter().map(|(text, url)| format!("{text}: {url}"));
    let all: Vec<String> = std::iter::once(words.to_owned()).chain(links).collect();
    let all = all.join("\n");
    match all.chars().count() {
        0 => Err(Unsent::Never("rejected")),
        1..=MessageText::MAX => Ok(all),
        _ => Err(Unsent::Never("too_long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ConversationId, MessageId};

    fn message(chat: &str, body: &str, payload: Value) -> ToSend {
        ToSend {
            id: MessageId::new(),
            attempts: 1,
            conversation: ConversationId::new(),
            chat: chat.to_owned(),
            kind: "text".to_owned(),
            body: Some(body.to_owned()),
            payload,
        }
    }

    fn said(chat: &str, body: &str, payload: Value) -> Value {
        request(&message(chat, body, payload)).unwrap()
    }

    #[test]
    fn words_go_to_a_number_or_to_an_id() {
        let one = message("5511987654321", "Oi", json!({}));
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "5511987654321", "type": "text",
            "text": {"body": "Oi"}, "biz_opaque_callback_data": one.id,
        });
        assert_eq!(request(&one), Ok(expected));
        let other = said("BR.13491208655302741918", "Oi", json!({}));
        assert_eq!(other["recipient"], "BR.13491208655302741918");
        assert!(other.get("to").is_none());
        let nothing = message("5511987654321", "", json!({}));
        assert_eq!(request(&nothing), Err(Unsent::Never("rejected")));
    }

    #[test]
    fn one_button_is_a_button_and_others_are_lines() {
        let button = |text: &str, url: &str| json!({"text": text, "url": url});
        let one = json!({"buttons": [button("Entrar no VIP", "https://t.me/+vip")]});
        let said_one = said("5511987654321", "Bem-vindo!", one.clone());
        assert_eq!(said_one["interactive"]["type"], "cta_url");
        assert_eq!(said_one["interactive"]["body"]["text"], "Bem-vindo!");
        assert_eq!(
            said_one["interactive"]["action"]["parameters"],
            json!({"display_text": "Entrar no VIP", "url": "https://t.me/+vip"})
        );
        let text = |body: &str, payload: Value| said("5511987654321", body, payload)["text"]["body"].clone();
        let two = json!({"buttons": [button("A", "https://a.example"), button("B", "https://b.example")]});
        assert_eq!(text("Oi", two), "Oi\nA: https://a.example\nB: https://b.example");
        let elsewhere = json!({"buttons": [button("A", "tg://join?invite=x")]});
        assert_eq!(text("Oi", elsewhere), "Oi\nA: tg://join?invite=x");
        let long = "a".repeat(1025);
        assert_eq!(
            text(&long, one.clone()),
            format!("{long}\nEntrar no VIP: https://t.me/+vip")
        );
        let longest = message("5511987654321", &"a".repeat(4090), one);
        assert_eq!(request(&longest), Err(Unsent::Never("too_long")));
    }
}

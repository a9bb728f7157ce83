//! What Meta brings, as the inbox knows it (developers.facebook.com/docs/whatsapp/cloud-api/webhooks). Only what people say to the number
//! itself is heard; what cannot be read is passed over, so that it does not keep the rest from being heard.

use serde_json::{Map, Value, json};

use super::refusals;
use crate::db::tenant::inbound::Heard;
use crate::db::tenant::receipts::Receipt;
use crate::domain::ids::MessageId;
use crate::domain::message::{MessageKind, MessageStatus};
use crate::domain::phone::Phone;

/// Most characters of a name that Meta gives something.
const NAME_MOST: usize = 200;

/// What has happened at one number. It has no `Debug`: it is personal data.
pub struct News {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// What was said to it, in order.
    pub said: Vec<Heard>,
    /// What has become of what it has said.
    pub became: Vec<Became>,
}

/// What has become of a message.
pub type Became = Receipt;

/// Reads a webhook; `None` when it is none. The text has proven to be Meta's.
pub fn read_news(body: &[u8]) -> Option<Vec<News>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get("object").and_then(Value::as_str)?;
    let changes = list(&body, "entry").flat_map(|entry| list(entry, "changes"));
    let values = changes
        .filter(|change| text(change, "field") == Some("messages"))
        .filter_map(|change| change.get("value"));
    Some(values.filter_map(read_value).collect())
}

fn read_value(value: &Value) -> Option<News> {
    let number = value.pointer("/metadata/phone_number_id")?.as_str()?;
    Some(News {
        phone_number_id: number.to_owned(),
        said: list(value, "messages")
            .filter_map(|message| read_message(value, message))
            .collect(),
        became: list(value, "statuses").filter_map(read_status).collect(),
    })
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A name that Meta gives something, if it can be kept.
fn name<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let found = text(value, name)?;
    let fits = (1..=NAME_MOST).contains(&found.chars().count()) && !found.contains('\0');
    fits.then_some(found)
}

fn read_message(value: &Value, message: &Value) -> Option<Heard> {
    // Groups are not the number's own.
    if message.get("group_id").is_some() {
        return None;
    }
    let (kind, body, mut payload) = content(message)?;
    let from = name(message, "from").or_else(|| name(message, "from_user_id"))?;
    let called = |contact: &&Value| [text(contact, "wa_id"), text(contact, "user_id")].contains(&Some(from));
    let contact = list(value, "contacts").find(called);
    let phone = Phone::parse(&format!("+{from}")).ok().map(String::from);
    for (field, found) in [
        ("reply_to", message.pointer("/context/id")),
        ("referral", message.get("referral")),
    ] {
        if let Some(found) = found {
            payload.insert(field.to_owned(), found.clone());
        }
    }
    Some(Heard {
        // Old Brazilian numbers come with and without their ninth digit, and are one chat.
        chat: phone
            .as_deref()
            .map_or(from, |phone| phone.trim_start_matches('+'))
            .to_owned(),
        provider_message_id: name(message, "id")?.to_owned(),
        name: contact
            .and_then(|contact| contact.pointer("/profile/name"))
            .and_then(Value::as_str)
            .map(str::to_owned),
        phone,
        kind,
        body: body.map(str::to_owned),
        payload: Value::Object(payload),
        file_sealed: None,
        hidden: None,
    })
}

/// What it is, its words, and what it carries besides.
type Content<'a> = (MessageKind, Option<&'a str>, Map<String, Value>);

/// What a message says; `None` for what is no message.
fn content(message: &Value) -> Option<Content<'_>> {
    let kind = text(message, "type")?;
    let part = message.get(kind).unwrap_or(&Value::Null);
    match kind {
        "text" => Some((MessageKind::Text, text(part, "body"), Map::new())),
        "image" => media(MessageKind::Image, part),
        "audio" | "voice" => media(MessageKind::Audio, part),
        "video" => media(MessageKind::Video, part),
        "document" => media(MessageKind::Document, part),
        "sticker" => media(MessageKind::Sticker, part),
        "location" => Some((
            MessageKind::Location,
            None,
            some(part, &["latitude", "longitude", "name", "address"]),
        )),
        "contacts" => {
            let card = part.get(0).unwrap_or(&Value::Null);
            let of_card = [
                ("name", card.pointer("/name/formatted_name")),
                ("phone", card.pointer("/phones/0/phone")),
            ];
            let of_card = of_card
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
            Some((MessageKind::Contact, None, of_card.collect()))
        }
        // A button of a template's: what it stands for is beside what stands on it.
        "button" => Some((MessageKind::Text, text(part, "text"), stands_for(part, "payload"))),
        "interactive" => {
            let reply = part.get("button_reply").or_else(|| part.get("list_reply"));
            match reply {
                Some(reply) => Some((MessageKind::Text, text(reply, "title"), stands_for(reply, "id"))),
                None => Some((MessageKind::Other, None, some(part, &["type", "nfm_reply"]))),
            }
        }
        "reaction" | "system" | "request_welcome" | "ephemeral" => None,
        _ => Some((MessageKind::Other, None, some(message, &["type", kind]))),
    }
}

/// A file is named, not brought.
fn media(kind: MessageKind, part: &Value) -> Option<Content<'_>> {
    let mut payload = some(part, &["mime_type", "sha256", "voice", "animated"]);
    for (ours, theirs) in [
        ("media_id", "id"),
        ("file_name", "filename"),
        ("size", "file_size"),
    ] {
        if let Some(value) = part.get(theirs) {
            payload.insert(ours.to_owned(), value.clone());
        }
    }
    Some((kind, text(part, "caption"), payload))
}

fn some(value: &Value, names: &[&str]) -> Map<String, Value> {
    let found = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
    found.filter(|(_, value)| !value.is_null()).collect()
}

fn stands_for(value: &Value, field: &str) -> Map<String, Value> {
    let id = value.get(field).map(|id| ("button".to_owned(), json!(id)));
    id.into_iter().collect()
}

fn read_status(status: &Value) -> Option<Became> {
    let became = match text(status, "status")? {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "failed" => MessageStatus::Failed,
        _ => return None,
    };
    let code = status.pointer("/errors/0/code").and_then(Value::as_i64);
    let ours = text(status, "biz_opaque_callback_data").and_then(|id| id.parse::<MessageId>().ok());
    let at = text(status, "timestamp").and_then(|at| at.parse().ok());
    Some(Receipt {
        provider_message_id: name(status, "id")?.to_owned(),
        ours,
        became,
        error: (became == MessageStatus::Failed).then(|| code.map_or("rejected", refusals::refused)),
        at: at.and_then(|at| chrono::DateTime::from_timestamp(at, 0)),
    })
}

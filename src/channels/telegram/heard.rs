//! What Telegram brings, as the inbox knows it. Only what people say to the bot in private is heard.

use serde_json::{Value, json};
use teloxide_core::types::{AllowedUpdate, CallbackQuery, Message, Update, UpdateKind, User};

use crate::db::tenant::inbound::Heard;
use crate::domain::message::MessageKind;

/// What is asked for.
pub(super) const KINDS: [AllowedUpdate; 2] = [AllowedUpdate::Message, AllowedUpdate::CallbackQuery];

/// What somebody has said to the bot of this number, if the update is that.
pub fn read_update(update: &Update, number: &str) -> Option<Heard> {
    match &update.kind {
        UpdateKind::Message(message) => read_message(message, number),
        UpdateKind::CallbackQuery(query) => read_button(query),
        _ => None,
    }
}

/// What a message is called: numbers of messages are those of a chat, and those of a chat a bot's.
pub(super) fn name_of(message: &Message, number: &str) -> String {
    format!("{number}:{}:{}", message.chat.id, message.id)
}

fn read_message(message: &Message, number: &str) -> Option<Heard> {
    if !message.chat.is_private() {
        return None;
    }
    let (kind, payload) = content(message);
    let words = message.text().or_else(|| message.caption());
    Some(Heard {
        chat: message.chat.id.to_string(),
        provider_message_id: name_of(message, number),
        name: message.from.as_ref().map(User::full_name),
        phone: None,
        kind,
        body: words.map(str::to_owned),
        payload,
        file_sealed: None,
        hidden: None,
    })
}

/// A button under something that the bot has said: what it stands for counts as said.
fn read_button(query: &CallbackQuery) -> Option<Heard> {
    let message = query.message.as_ref()?;
    if !message.chat().is_private() {
        return None;
    }
    let data = query.data.clone()?;
    Some(Heard {
        chat: message.chat().id.to_string(),
        provider_message_id: format!("button:{}", query.id),
        name: Some(query.from.full_name()),
        phone: None,
        kind: MessageKind::Text,
        payload: json!({ "button": data }),
        body: Some(data),
        file_sealed: None,
        hidden: None,
    })
}

fn content(message: &Message) -> (MessageKind, Value) {
    if message.text().is_some() {
        return (MessageKind::Text, json!({}));
    }
    // The largest of the sizes that Telegram has made of a picture.
    if let Some(photo) = message.photo().and_then(|sizes| sizes.last()) {
        let payload = json!({
            "file_id": photo.file.id, "size": photo.file.size, "width": photo.width, "height": photo.height,
        });
        return (MessageKind::Image, payload);
    }
    if let Some(document) = message.document() {
        let payload = json!({
            "file_id": document.file.id, "size": document.file.size, "file_name": document.file_name,
            "mime_type": document.mime_type.as_ref().map(ToString::to_string),
        });
        return (MessageKind::Document, payload);
    }
    if let Some(voice) = message.voice() {
        let payload = json!({
            "file_id": voice.file.id, "size": voice.file.size, "seconds": voice.duration.seconds(),
            "mime_type": voice.mime_type.as_ref().map(ToString::to_string),
        });
        return (MessageKind::Audio, payload);
    }
    if let Some(audio) = message.audio() {
        let payload = json!({
            "file_id": audio.file.id, "size": audio.file.size, "seconds": audio.duration.seconds(),
            "mime_type": audio.mime_type.as_ref().map(ToString::to_string),
        });
        return (MessageKind::Audio, payload);
    }
    if let Some(video) = message.video() {
        let payload = json!({
            "file_id": video.file.id, "size": video.file.size, "seconds": video.duration.seconds(),
            "mime_type": video.mime_type.as_ref().map(ToString::to_string),
        });
        return (MessageKind::Video, payload);
    }
    if let Some(note) = message.video_note() {
        let payload = json!({
            "file_id": note.file.id, "size": note.file.size, "seconds": note.duration.seconds(),
        });
        return (MessageKind::Video, payload);
    }
    if let Some(sticker) = message.sticker() {
        let payload = json!({ "file_id": sticker.file.id, "emoji": sticker.emoji });
        return (MessageKind::Sticker, payload);
    }
    if let Some(place) = message.location() {
        return (
            MessageKind::Location,
            json!({ "latitude": place.latitude, "longitude": place.longitude }),
        );
    }
    if let Some(card) = message.contact() {
        let payload = json!({ "name": card.first_name, "phone": card.phone_number });
        return (MessageKind::Contact, payload);
    }
    (MessageKind::Other, json!({}))
}

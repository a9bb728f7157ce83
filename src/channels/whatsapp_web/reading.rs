//! What WhatsApp brings, as the inbox knows it. Only what people say to each other by themselves is heard: no groups, no
//! broadcasts, no channels.

use serde_json::{Value, json};
use whatsapp_rust::types::events::InboundMessage;
use whatsapp_rust::wacore::proto_helpers::MessageExt as _;
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, Jid, Server};

use super::files::Files;
use crate::db::tenant::inbound::Heard;
use crate::domain::message::MessageKind;
use crate::domain::phone::Phone;

/// Somebody else has said it to the bot, or the account's owner has said it on the telephone.
pub(super) enum Said {
    Theirs(Heard),
    Ours(Heard),
}

/// What was said, if it is something that is heard.
pub(super) async fn read(client: &Client, files: &Files, inbound: &InboundMessage) -> Option<Said> {
    let info = &inbound.info;
    let source = &info.source;
    if source.is_group || !is_persons(&source.chat) {
        return None;
    }
    let (kind, payload) = content(&inbound.message)?;
    let other = if source.is_from_me {
        &source.recipient_alt
    } else {
        &source.sender_alt
    };
    let person = with_number(client, &source.chat, other.as_ref()).await;
    let chat = person.to_string();
    let words = inbound.message.text_content();
    let words = words.or_else(|| inbound.message.get_caption());
    let name = (!source.is_from_me && !info.push_name.is_empty()).then(|| info.push_name.clone());
    let called = source.chat.to_non_ad().to_string();
    let heard = Heard {
        provider_message_id: if source.is_from_me {
            own_id(&info.id)
        } else {
            // As it was called when it was sent: so it comes again, whatever is known of whoever says it by then.
            format!("{called}:{}", info.id)
        },
        hidden: (called != chat).then_some(called),
        chat,
        name,
        phone: number_of(&person),
        kind,
        body: words.map(str::to_owned),
        payload,
        file_sealed: files.seal(&inbound.message),
    };
    Some(if source.is_from_me {
        Said::Ours(heard)
    } else {
        Said::Theirs(heard)
    })
}

/// What the bot's own messages are called, wherever they were written.
pub(super) fn own_id(id: &str) -> String {
    format!("own:{id}")
}

/// A person, by number or by the name that hides it; not WhatsApp itself, which speaks as number 0.
fn is_persons(jid: &Jid) -> bool {
    matches!(jid.server, Server::Pn | Server::Lid) && jid.user.as_str() != "0"
}

/// The same person by number, if it is known.
async fn with_number(client: &Client, chat: &Jid, other: Option<&Jid>) -> Jid {
    if chat.is_pn() {
        return chat.to_non_ad();
    }
    if let Some(other) = other.filter(|other| other.is_pn()) {
        return other.to_non_ad();
    }
    match client.get_lid_pn_entry(chat).await {
        Ok(Some(entry)) => Jid::pn(&*entry.phone_number),
        Ok(None) | Err(_) => chat.to_non_ad(),
    }
}

fn number_of(person: &Jid) -> Option<String> {
    let number = person.is_pn().then(|| format!("+{}", person.user))?;
    Phone::parse(&number).ok().map(String::from)
}

/// What it is, and what it carries besides words; none of what changes other messages, or is for programs.
fn content(message: &Message) -> Option<(MessageKind, Value)> {
    let message = message.get_base_message();
    if message.text_content().is_some() {
        return Some((MessageKind::Text, json!({})));
    }
    if let Some(image) = message.image_message.as_option() {
        let payload = json!({
            "mime_type": image.mimetype, "size": image.file_length, "width": image.width, "height": image.height,
        });
        return Some((MessageKind::Image, payload));
    }
    if let Some(video) = message
        .video_message
        .as_option()
        .or(message.ptv_message.as_option())
    {
        let payload =
            json!({"mime_type": video.mimetype, "size": video.file_length, "seconds": video.seconds});
        return Some((MessageKind::Video, payload));
    }
    if let Some(audio) = message.audio_message.as_option() {
        let payload =
            json!({"mime_type": audio.mimetype, "size": audio.file_length, "seconds": audio.seconds});
        return Some((MessageKind::Audio, payload));
    }
    if let Some(file) = message.document_message.as_option() {
        let payload =
            json!({"mime_type": file.mimetype, "size": file.file_length, "file_name": file.file_name});
        return Some((MessageKind::Document, payload));
    }
    if let Some(sticker) = message.sticker_message.as_option() {
        return Some((MessageKind::Sticker, json!({"mime_type": sticker.mimetype})));
    }
    if let Some(place) = message.location_message.as_option() {
        let payload = json!({"latitude": place.degrees_latitude, "longitude": place.degrees_longitude, "name": place.name});
        return Some((MessageKind::Location, payload));
    }
    if let Some(card) = message.contact_message.as_option() {
        return Some((MessageKind::Contact, json!({"name": card.display_name})));
    }
    let tapped = message.buttons_response_message.is_set() || message.list_response_message.is_set();
    let asked = message.poll_creation_message.is_set() || message.poll_creation_message_v3.is_set();
    (tapped || asked).then(|| (MessageKind::Other, json!({})))
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::waproto::whatsapp::message::{ImageMessage, ProtocolMessage, ReactionMessage};

    use super::*;

    #[test]
    fn what_changes_other_messages_is_none() {
        let reaction = Message {
            reaction_message: MessageField::some(ReactionMessage::default()),
            ..Default::default()
        };
        let protocol = Message {
            protocol_message: MessageField::some(ProtocolMessage::default()),
            ..Default::default()
        };
        for none in [Message::default(), reaction, protocol] {
            assert!(content(&none).is_none());
        }
    }

    #[test]
    fn no_key_of_a_picture_is_kept() {
        let picture = Message {
            image_message: MessageField::some(ImageMessage {
                url: Some("https://mmg.whatsapp.net/x".to_owned()),
                mimetype: Some("image/jpeg".to_owned()),
                caption: Some("a casa".to_owned()),
                file_length: Some(9),
                media_key: Some(vec![1; 32]),
                ..Default::default()
            }),
            ..Default::default()
        };
        let (kind, payload) = content(&picture).unwrap();
        assert_eq!(kind, MessageKind::Image);
        assert_eq!(
            payload,
            json!({"mime_type": "image/jpeg", "size": 9, "width": null, "height": null})
        );
    }

    #[test]
    fn both_forms_of_a_number_are_one() {
        let number = |user: &str| number_of(&Jid::pn(user));
        assert_eq!(number("5511987650002"), Some("+5511987650002".to_owned()));
        assert_eq!(number("551187650002"), number("5511987650002"));
        assert_eq!(number_of(&Jid::lid("775511987650002")), None);
        assert!(!is_persons(&Jid::pn("0")) && !is_persons(&Jid::group("1-2")));
    }
}

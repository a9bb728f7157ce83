//! Conversations: what is held with one contact on one channel, and what the people who answer do with it.

use super::ids::{ContactId, ConversationId, MessageId, UserId};
use super::{
    invalid::Invalid,
    message::{Direction, MessageKind},
    phone::Phone,
    text::line,
    text_enum::text_enum,
    text_value::text_value,
};
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// For how long the bot is silent after a person has answered.
pub const BOT_PAUSE: Duration = Duration::hours(12);

text_enum! {
    /// What a conversation is held on.
    pub enum Channel {
        /// Telegram.
        Telegram = "telegram",
        /// WhatsApp, as a linked device.
        WhatsappWeb = "whatsapp_web",
        /// WhatsApp's own API.
        WhatsappCloud = "whatsapp_cloud",
    }
}

text_enum! {
    /// Where a conversation stands.
    pub enum ConversationStatus {
        /// Somebody has to see to it.
        Open = "open",
        /// The contact has to say something first.
        Pending = "pending",
        /// Done.
        Closed = "closed",
    }
}

/// A word by which conversations are sorted: one line, 1 to 50 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

text_value!(Label, "A word by which conversations are sorted", "financiamento");

impl Label {
    /// Most labels of a conversation.
    pub const MOST: usize = 20;

    /// Reads a label; space around it is dropped.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        line(value, 50).map(Self)
    }

    /// Reads the labels of a conversation; one that is there twice is there once.
    pub fn parse_all(values: &[String]) -> Result<Vec<Self>, Invalid> {
        let mut labels: Vec<Self> = Vec::new();
        for value in values {
            let label = Self::parse(value)?;
            if labels.contains(&label) {
                continue;
            }
            if labels.len() == Self::MOST {
                return Err(Invalid::new(
                    "too_many",
                    format!("must be at most {}", Self::MOST),
                ));
            }
            labels.push(label);
        }
        Ok(labels)
    }
}

/// With whom a conversation is held.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConversationContact {
    /// Of the contact.
    pub id: ContactId,
    /// None: has not said.
    pub name: Option<String>,
    /// E.164.
    #[schema(value_type = Option<Phone>)]
    pub phone: Option<String>,
}

/// The newest message of a conversation, as a list shows it.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastMessage {
    /// Its id.
    pub id: MessageId,
    /// Who spoke to whom.
    #[schema(value_type = Direction)]
    pub direction: String,
    /// What it is.
    #[schema(value_type = MessageKind)]
    pub kind: String,
    /// How its text begins: at most 200 characters.
    pub body: Option<String>,
    /// When it was said.
    pub created_at: DateTime<Utc>,
}

/// A conversation. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// With whom.
    pub contact: ConversationContact,
    /// On what.
    #[schema(value_type = Channel)]
    pub channel: String,
    /// The bot that holds it; none until a bot does.
    pub instance_id: Option<Uuid>,
    /// Where it stands.
    #[schema(value_type = ConversationStatus)]
    pub status: String,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// Words by which it is sorted.
    #[schema(value_type = Vec<Label>)]
    pub labels: Vec<String>,
    /// Out of sight until then.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// The bot is silent until then.
    pub bot_paused_until: Option<DateTime<Utc>>,
    /// Messages from the contact that nobody has seen.
    pub unread_count: i32,
    /// The newest one.
    pub last_message: Option<LastMessage>,
    /// When something was last said; until then, when it was begun.
    pub last_message_at: DateTime<Utc>,
    /// Send it with a PATCH to be told when somebody else was faster. Messages do not change it.
    pub version: i32,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(values: &[&str]) -> Result<Vec<String>, &'static str> {
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        Label::parse_all(&values)
            .map(|labels| labels.into_iter().map(String::from).collect())
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn labels_are_few_and_different() {
        assert_eq!(
            parse(&[" vip ", "à vista", "vip"]),
            Ok(vec!["vip".to_owned(), "à vista".to_owned()])
        );
        assert_eq!(parse(&[]), Ok(vec![]));
        assert_eq!(parse(&["a", ""]), Err("required"));
        assert_eq!(parse(&["a\nb"]), Err("invalid_format"));
        assert_eq!(parse(&[&"a".repeat(51)]), Err("too_long"));
        let numbers: Vec<String> = (0..21).map(|number| number.to_string()).collect();
        assert_eq!(Label::parse_all(&numbers).map_err(|e| e.code), Err("too_many"));
        assert!(Label::parse_all(&numbers[..20]).is_ok());
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            if let Ok(label) = Label::parse(&text) {
                prop_assert_eq!(Label::parse(label.as_str()), Ok(label.clone()));
            }
        }
    }
}

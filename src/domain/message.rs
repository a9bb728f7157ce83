//! Messages: what was said in a conversation, by whom, and what has become of it.

use super::ids::{ConversationId, MessageId, UserId};
use super::{invalid::Invalid, text::text, text_enum::text_enum, text_value::text_value};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

text_enum! {
    /// Who spoke to whom.
    pub enum Direction {
        /// The contact to the tenant.
        Inbound = "inbound",
        /// The tenant to the contact.
        Outbound = "outbound",
    }
}

text_enum! {
    /// Who spoke.
    pub enum Author {
        /// The contact.
        Contact = "contact",
        /// A program: a flow, an AI, an API key.
        Bot = "bot",
        /// A person who works for the tenant.
        User = "user",
    }
}

text_enum! {
    /// What a message is.
    pub enum MessageKind {
        /// Words.
        Text = "text",
        /// A picture.
        Image = "image",
        /// Sound.
        Audio = "audio",
        /// Pictures that move.
        Video = "video",
        /// A file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
        /// A place.
        Location = "location",
        /// Somebody's card.
        Contact = "contact",
        /// Words with buttons.
        Buttons = "buttons",
        /// Words with a list to choose from.
        List = "list",
        /// What the program does not know.
        Other = "other",
    }
}

text_enum! {
    /// What has become of a message.
    pub enum MessageStatus {
        /// It came from the contact.
        Received = "received",
        /// It waits to be sent.
        Queued = "queued",
        /// The provider has taken it.
        Sent = "sent",
        /// It has arrived.
        Delivered = "delivered",
        /// It was seen.
        Read = "read",
        /// It will not be sent.
        Failed = "failed",
    }
}

text_enum! {
    /// What has become of what somebody has sent along with a message.
    pub enum FileState {
        /// It is being fetched.
        Pending = "pending",
        /// It is here.
        Stored = "stored",
        /// It is larger than what is kept.
        TooLarge = "too_large",
        /// It will not come.
        Failed = "failed",
    }
}

/// What somebody has sent along with a message.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct MessageFile {
    /// What has become of it.
    #[schema(value_type = FileState)]
    pub state: String,
    /// Why it will not come, in a word.
    pub error: Option<String>,
    /// What its first bytes say that it is, once it is here.
    pub content_type: Option<String>,
    /// How long it is, once it is here.
    pub byte_size: Option<i64>,
}

/// The words of a message: 1 to 4,096 characters in any number of lines, which is what every channel takes at once.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(String);

text_value!(
    MessageText,
    "The words of a message",
    "Bom dia! O Uno ainda está à venda?",
    private
);

impl MessageText {
    /// Most characters.
    pub const MAX: usize = 4096;

    /// Reads the words; they are kept as they are.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.trim().is_empty() {
            return Err(Invalid::required());
        }
        text(value, Self::MAX).map(Self)
    }
}

/// A message. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// In which conversation.
    pub conversation_id: ConversationId,
    /// Who spoke to whom.
    #[schema(value_type = Direction)]
    pub direction: String,
    /// Who spoke.
    #[schema(value_type = Author)]
    pub author: String,
    /// The person who spoke, if a user did and is still there.
    pub user_id: Option<UserId>,
    /// What it is.
    #[schema(value_type = MessageKind)]
    pub kind: String,
    /// Its words.
    pub body: Option<String>,
    /// What its kind carries besides words.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// What came along with it, if anything did that can be fetched: `GET …/media` answers it once it is `stored`.
    pub file: Option<MessageFile>,
    /// What has become of it.
    #[schema(value_type = MessageStatus)]
    pub status: String,
    /// Why it was not sent.
    pub error: Option<String>,
    /// When it has arrived, where the channel tells.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was seen, where the channel tells.
    pub read_at: Option<DateTime<Utc>>,
    /// When it was said.
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_kept_as_they_are() {
        let parse = |value: &str| MessageText::parse(value).map(String::from).map_err(|e| e.code);
        assert_eq!(
            parse(" Oi\n\ttudo bem? 👋 "),
            Ok(" Oi\n\ttudo bem? 👋 ".to_owned())
        );
        assert_eq!(parse(" \n"), Err("required"));
        assert_eq!(parse("a\0"), Err("invalid_format"));
        assert!(parse(&"é".repeat(4096)).is_ok());
        assert_eq!(parse(&"é".repeat(4097)), Err("too_long"));
    }

    proptest! {
        #[test]
        fn parse_never_panics(value in any::<String>()) {
            if let Ok(words) = MessageText::parse(&value) {
                prop_assert_eq!(words.as_str(), value);
            }
        }
    }
}

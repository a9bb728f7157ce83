//! What people who answer have besides what is said: notes for each other, words that they use again and again, and what they are to
//! look at.

use super::ids::{CannedReplyId, ConversationId, InstanceId, NoteId, NotificationId, UserId};
use super::message_template::{self, Placeholder};
use super::{invalid::Invalid, text::text, text_enum::text_enum, text_value::text_value};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// Most characters of a note.
pub const NOTE_MAX: usize = 4096;
/// Most canned replies of a tenant.
pub const MOST_REPLIES: i64 = 500;

/// The words of a note: 1 to 4,096 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteText(String);

text_value!(
    NoteText,
    "A note: 1 to 4,096 characters",
    "Prefere falar à tarde",
    private
);

impl NoteText {
    /// Reads a note.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.trim().is_empty() {
            return Err(Invalid::required());
        }
        text(value, NOTE_MAX).map(Self)
    }
}

/// What one types to have a canned reply: 1 to 40 small letters, digits, `-` and `_`, without the `/` before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shortcut(String);

text_value!(Shortcut, "What one types to have a canned reply", "horario");

impl Shortcut {
    /// Reads a shortcut; space around it, a `/` before it and capitals do not matter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let value = value.trim();
        let value = value.strip_prefix('/').unwrap_or(value).to_ascii_lowercase();
        if value.is_empty() {
            return Err(Invalid::required());
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = value.len() <= 40
            && value.starts_with(plain)
            && value.chars().all(|c| plain(c) || c == '-' || c == '_');
        if fits {
            Ok(Self(value))
        } else {
            Err(Invalid::format(
                "must be 1 to 40 letters without accents, digits, - and _",
            ))
        }
    }
}

/// What a canned reply may leave open.
const OPEN: [Placeholder; 3] = [Placeholder::Name, Placeholder::FirstName, Placeholder::Company];

/// Reads the words of a canned reply: those of a message template that ask for nothing but names.
///
/// # Errors
/// As [`message_template::body`].
pub fn reply(value: &str) -> Result<String, Invalid> {
    let body = message_template::body(value)?;
    let other = |open: &&Placeholder| !OPEN.contains(open) && message_template::uses(&body, **open);
    if Placeholder::ALL.iter().any(|open| other(&open)) {
        let known = OPEN.map(Placeholder::as_str).join(", ");
        return Err(Invalid::new(
            "unknown_placeholder",
            format!("may leave open only: {known}"),
        ));
    }
    Ok(body)
}

/// What somebody has noted about a conversation: the contact never sees it. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// About which conversation.
    pub conversation_id: ConversationId,
    /// Who has written it; none: a program, or somebody who has been removed.
    pub user_id: Option<UserId>,
    /// What is noted.
    pub body: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Words that are used again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CannedReply {
    /// Its id.
    pub id: CannedReplyId,
    /// What one types to have it.
    #[schema(value_type = Shortcut)]
    pub shortcut: String,
    /// The words.
    pub body: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

text_enum! {
    /// Why somebody is to look.
    pub enum NotificationKind {
        /// A conversation is theirs now.
        ConversationAssigned = "conversation_assigned",
        /// Something was said in a conversation of theirs.
        MessageReceived = "message_received",
        /// A bot does not come back by itself.
        BotNeedsPerson = "bot_needs_person",
    }
}

/// Something that a user is to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Why.
    #[schema(value_type = NotificationKind)]
    pub kind: String,
    /// Of which conversation.
    pub conversation_id: Option<ConversationId>,
    /// Of which bot.
    pub instance_id: Option<InstanceId>,
    /// Since when. What is not read yet is not said again.
    pub created_at: DateTime<Utc>,
    /// When the user has seen it.
    pub read_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortcut_has_one_form() {
        let parse = |text| {
            Shortcut::parse(text)
                .map(String::from)
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(parse(" /Horario-1 "), Ok("horario-1".to_owned()));
        for (text, refusal) in [
            ("", "required"),
            ("/", "required"),
            ("horário", "invalid_format"),
            ("-a", "invalid_format"),
            ("a b", "invalid_format"),
            (&"a".repeat(41), "invalid_format"),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn a_reply_asks_for_names_only() {
        let refused = |text| reply(text).map_err(|refusal| refusal.code);
        assert!(refused("Oi {{primeiro_nome}}, aqui é da {{empresa}}: {{ nome }}").is_ok());
        assert_eq!(refused("{{valor}}"), Err("unknown_placeholder"));
        assert_eq!(refused("{{nada}}"), Err("unknown_placeholder"));
        assert_eq!(refused(" "), Err("required"));
    }

    #[test]
    fn a_note_says_something() {
        assert!(NoteText::parse(&"é".repeat(NOTE_MAX)).is_ok());
        assert_eq!(
            NoteText::parse(" \n").map_err(|refusal| refusal.code),
            Err("required")
        );
        assert_eq!(
            NoteText::parse(&"é".repeat(NOTE_MAX + 1)).map_err(|refusal| refusal.code),
            Err("too_long")
        );
    }
}

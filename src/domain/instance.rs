//! Bots: what a tenant's robots are called, how they are let in, and what has become of them.

use super::conversation::Channel;
use super::ids::{InstanceId, UserId};
use super::{
    bounded::bounded_number, invalid::Invalid, message::MessageText, text::line, text_enum::text_enum,
    text_value::text_value,
};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

text_enum! {
    /// What has become of a bot.
    pub enum InstanceState {
        /// It was made, and nobody has run it yet.
        Created = "created",
        /// It is being started.
        Starting = "starting",
        /// A telephone has to scan its code.
        AwaitingQr = "awaiting_qr",
        /// A telephone has to enter its code.
        AwaitingPairCode = "awaiting_pair_code",
        /// A browser has to show a passkey.
        AwaitingPasskey = "awaiting_passkey",
        /// A telephone has scanned it.
        Pairing = "pairing",
        /// It hears and speaks.
        Connected = "connected",
        /// The provider cannot be reached; it is tried again.
        Reconnecting = "reconnecting",
        /// No telephone has scanned its codes in time.
        QrExpired = "qr_expired",
        /// Somebody else came in with its credentials.
        Replaced = "replaced",
        /// The provider has shut it out.
        Banned = "banned",
        /// The provider demands a newer program.
        Outdated = "outdated",
        /// It was unlinked at the telephone.
        LoggedOut = "logged_out",
        /// It is not active.
        Stopped = "stopped",
        /// It cannot run until somebody mends it: `state_detail.code` says why.
        Failed = "failed",
    }
}

impl InstanceState {
    /// Whether it stays so until somebody does something.
    pub const fn needs_person(self) -> bool {
        matches!(
            self,
            Self::QrExpired | Self::Replaced | Self::Banned | Self::Outdated | Self::LoggedOut | Self::Failed
        )
    }
}

/// A token that Telegram gives a bot: `<number>:<secret>`. Its text is shown nowhere.
#[derive(Clone)]
pub struct BotToken(SecretString);

impl BotToken {
    /// Reads a token; space around it is dropped.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let value = value.trim();
        if value.is_empty() {
            return Err(Invalid::required());
        }
        let refused = || Invalid::format("must be a token as BotFather gives it, as 123456789:AA…");
        let (number, secret) = value.split_once(':').ok_or_else(refused)?;
        let is_number = (3..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_secret = (30..=100).contains(&secret.len())
            && secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if is_number && is_secret {
            Ok(Self(value.into()))
        } else {
            Err(refused())
        }
    }

    /// The bot's number: its tokens change, the number stays.
    pub fn number(&self) -> &str {
        let token = self.0.expose_secret();
        token.split_once(':').map_or(token, |(number, _)| number)
    }

    /// The token, to be sealed or shown to Telegram.
    pub const fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// An address that a button of a message leads to: `https://`, `http://` or `tg://`, at most 500 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButtonLink(String);

text_value!(
    ButtonLink,
    "An address that a button leads to",
    "https://t.me/+AbCdEf"
);

impl ButtonLink {
    /// Reads an address; space around it is dropped.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let value = line(value, 500)?;
        let rest = ["https://", "http://", "tg://"]
            .iter()
            .find_map(|scheme| value.strip_prefix(scheme));
        let fits = rest.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_alphanumeric())
                && !value.chars().any(|c| c.is_whitespace() || c.is_control())
        });
        if fits {
            Ok(Self(value))
        } else {
            Err(Invalid::format("must be an address that begins with https://"))
        }
    }
}

bounded_number!(
    /// Milliseconds between two messages of a bot, besides what the provider demands.
    MessageDelayMs,
    0,
    60_000,
    0
);

bounded_number!(
    /// How often sending a message is tried.
    MaxAttempts,
    1,
    20,
    10
);

/// What whoever makes a bot of `whatsapp_web` should know.
pub const UNOFFICIAL: &str = "Conexão não oficial: o WhatsApp pode bloquear o número, e o uso pode contrariar os termos dele. / \
    Unofficial connection: WhatsApp may ban the number, and using it may break its terms.";

/// A bot, without its credentials.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Where it speaks.
    #[schema(value_type = Channel)]
    pub channel: String,
    /// What the tenant calls it.
    pub name: String,
    /// What the provider calls it; none until it has said so, or somebody else has.
    pub username: Option<String>,
    /// The user who looks after it.
    pub user_id: Option<UserId>,
    /// What it says first.
    #[schema(value_type = Option<MessageText>)]
    pub initial_message: Option<String>,
    /// Where the button under it leads.
    #[schema(value_type = Option<ButtonLink>)]
    pub vip_link: Option<String>,
    /// Whether it is to run.
    pub is_active: bool,
    /// What has become of it.
    #[schema(value_type = InstanceState)]
    pub state: String,
    /// More of that: `code`, `attempt`, `next_at`.
    #[schema(value_type = Object)]
    pub state_detail: Value,
    /// Since when.
    pub state_changed_at: DateTime<Utc>,
    /// Milliseconds between two messages, besides what the provider demands.
    #[schema(value_type = MessageDelayMs)]
    pub message_delay_ms: i32,
    /// How often sending a message is tried.
    #[schema(value_type = MaxAttempts)]
    pub max_attempts: i32,
    /// Whether it comes back by itself when the provider could not be reached.
    pub auto_reconnect: bool,
    /// Send it with a change to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// What whoever has it should know: WhatsApp has not made the way that `whatsapp_web` takes, and may shut out who takes it.
    #[schema(value_type = Option<String>)]
    pub notice: Option<&'static str>,
}

/// How many bots there are, and what they do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InstanceStats {
    /// All that were not removed.
    pub total_bots: i64,
    /// Those that are to run.
    pub active_bots: i64,
    /// The others.
    pub inactive_bots: i64,
    /// Those that hear and speak at this moment.
    pub connected_bots: i64,
    /// Those that cannot run until somebody mends them.
    pub failed_bots: i64,
    /// Conversations that they hold.
    pub conversations: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_have_their_form() {
        let good = format!(" 123456789:AA{} ", "x".repeat(33));
        assert_eq!(
            BotToken::parse(&good).unwrap().secret().expose_secret(),
            good.trim()
        );
        assert_eq!(BotToken::parse(&good).unwrap().number(), "123456789");
        let refused = |value: &str| BotToken::parse(value).map(|_| ()).map_err(|e| e.code);
        assert_eq!(refused(" "), Err("required"));
        for value in [
            "123456789",
            "abc:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "123456789:short",
            "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/AA",
        ] {
            assert_eq!(refused(value), Err("invalid_format"), "{value}");
        }
    }

    #[test]
    fn a_button_leads_somewhere() {
        for good in [
            "https://t.me/+AbC",
            "http://loja.example/vip",
            "tg://join?invite=x",
        ] {
            assert!(ButtonLink::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "https://",
            "https://a b",
            "ftp://x",
            "t.me/x",
        ] {
            assert!(ButtonLink::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = BotToken::parse(&text);
            let _ = ButtonLink::parse(&text);
        }
    }
}

//! The bodies of [`super::bots`].

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::conversation::Channel;
use crate::domain::instance::{BotToken, ButtonLink, MaxAttempts, MessageDelayMs};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message::MessageText;
use crate::domain::patch::Patch;
use crate::domain::text::line;
use crate::http::form::Changes;

/// A bot to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBot {
    /// What the tenant calls it: one line of at most 100 characters.
    #[schema(value_type = String)]
    name: Option<String>,
    /// Where it speaks: `telegram` when left out. A bot of `whatsapp_web` is linked to a telephone by a QR code (`GET …/qr`).
    #[schema(value_type = Option<Channel>)]
    channel: Option<String>,
    /// The token that BotFather gave, of a bot of Telegram only. It is never shown again.
    #[schema(value_type = Option<String>, example = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc")]
    token: Option<String>,
    /// What Telegram calls it; when left out, what Telegram says.
    #[schema(value_type = Option<String>)]
    username: Option<String>,
    /// What it says first.
    #[schema(value_type = Option<MessageText>)]
    initial_message: Option<String>,
    /// Where the button under it leads.
    #[schema(value_type = Option<ButtonLink>)]
    vip_link: Option<String>,
    /// Whether it is to run; `true` when left out.
    is_active: Option<bool>,
    /// Milliseconds between two messages, besides what Telegram demands; 0 when left out.
    #[schema(value_type = Option<MessageDelayMs>)]
    message_delay_ms: Option<i64>,
    /// How often sending a message is tried; 10 when left out.
    #[schema(value_type = Option<MaxAttempts>)]
    max_attempts: Option<i64>,
    /// Whether it comes back by itself when Telegram could not be reached; `true` when left out.
    auto_reconnect: Option<bool>,
}

/// Changes to a bot: what is left out stays, `null` empties.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateBot {
    /// What the tenant calls it.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    name: Patch<String>,
    /// Another token, of this bot or another.
    #[schema(value_type = Option<String>)]
    token: Option<String>,
    /// What Telegram calls it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    username: Patch<String>,
    /// What it says first.
    #[serde(default)]
    #[schema(value_type = Option<MessageText>)]
    initial_message: Patch<String>,
    /// Where the button under it leads.
    #[serde(default)]
    #[schema(value_type = Option<ButtonLink>)]
    vip_link: Patch<String>,
    /// Whether it is to run.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    is_active: Patch<bool>,
    /// Milliseconds between two messages, besides what Telegram demands.
    #[serde(default)]
    #[schema(value_type = MessageDelayMs, required = false)]
    message_delay_ms: Patch<i64>,
    /// How often sending a message is tried.
    #[serde(default)]
    #[schema(value_type = MaxAttempts, required = false)]
    max_attempts: Patch<i64>,
    /// Whether it comes back by itself when Telegram could not be reached.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    auto_reconnect: Patch<bool>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

/// What a body changes.
pub(super) struct Checked {
    pub(super) fields: Map<String, Value>,
    pub(super) token: Option<BotToken>,
    pub(super) version: Option<i32>,
}

impl UpdateBot {
    pub(super) fn check(self) -> Result<Checked, FieldErrors> {
        let mut errors = FieldErrors::new();
        let mut form = Changes::default();
        form.required("name", self.name, |name| line(&name, 100));
        form.optional("username", self.username, |name| username(&name));
        form.optional("initial_message", self.initial_message, |words| {
            MessageText::parse(&words)
        });
        form.optional("vip_link", self.vip_link, |link| ButtonLink::parse(&link));
        form.required("is_active", self.is_active, Ok);
        form.required("message_delay_ms", self.message_delay_ms, MessageDelayMs::parse);
        form.required("max_attempts", self.max_attempts, MaxAttempts::parse);
        form.required("auto_reconnect", self.auto_reconnect, Ok);
        let token = errors.check_opt("token", self.token, |token| BotToken::parse(&token));
        let fields = errors.merge(form.finish());
        let version = self.version;
        errors.finish(|| {
            Some(Checked {
                fields: fields?,
                token,
                version,
            })
        })
    }
}

impl CreateBot {
    pub(super) fn check(self) -> Result<NewBot, FieldErrors> {
        let mut errors = FieldErrors::new();
        let channel = errors.check_opt("channel", self.channel, |channel| hosted(&channel));
        let channel = channel.unwrap_or(Channel::Telegram);
        match (channel, &self.token) {
            (Channel::Telegram, None) => errors.push("token", Invalid::required()),
            (Channel::WhatsappWeb, Some(_)) => errors.push("token", no_token()),
            _ => {}
        }
        let given = UpdateBot {
            name: self.name.map_or(Patch::Null, Patch::Value),
            token: self.token,
            username: self.username.map_or(Patch::Null, Patch::Value),
            initial_message: self.initial_message.map_or(Patch::Null, Patch::Value),
            vip_link: self.vip_link.map_or(Patch::Null, Patch::Value),
            is_active: Patch::Value(self.is_active.unwrap_or(true)),
            message_delay_ms: Patch::Value(self.message_delay_ms.unwrap_or(0)),
            max_attempts: Patch::Value(self.max_attempts.unwrap_or(10)),
            auto_reconnect: Patch::Value(self.auto_reconnect.unwrap_or(true)),
            version: None,
        };
        let checked = errors.merge(given.check());
        errors.finish(|| {
            let checked = checked?;
            Some(NewBot {
                channel,
                fields: checked.fields,
                token: checked.token,
            })
        })
    }
}

/// A bot to be made.
pub(super) struct NewBot {
    pub(super) channel: Channel,
    pub(super) fields: Map<String, Value>,
    /// Of a bot of Telegram.
    pub(super) token: Option<BotToken>,
}

/// A channel that bots can be made for.
fn hosted(channel: &str) -> Result<Channel, Invalid> {
    match Channel::parse(channel)? {
        Channel::WhatsappCloud => Err(Invalid::unknown_value(&["telegram", "whatsapp_web"])),
        channel => Ok(channel),
    }
}

/// What is said to who gives a token to a bot that is linked to a telephone.
pub(super) fn no_token() -> Invalid {
    Invalid::new(
        "unexpected",
        "is for bots of Telegram: this one is linked to a telephone",
    )
}

/// What Telegram calls a bot, with or without its `@`.
fn username(value: &str) -> Result<String, Invalid> {
    let value = line(value, 100)?;
    let name = value.strip_prefix('@').unwrap_or(&value);
    let fits = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Invalid::format(
            "must be letters, digits and _, as minha_loja_bot",
        ))
    }
}

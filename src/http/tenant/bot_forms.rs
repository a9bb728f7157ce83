//! The bodies of [`super::bots`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::bot_credentials::{
    CloudAccount, CloudChanges, Credentials, cloud_secret, phone_number_id,
};
use crate::domain::conversation::Channel;
use crate::domain::instance::{BotToken, ButtonLink, Instance, MaxAttempts, MessageDelayMs};
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
    /// Where it speaks: `telegram` when left out, `whatsapp_cloud`, or `whatsapp_web`: linked to a telephone by a QR code (`GET …/qr`).
    #[schema(value_type = Option<Channel>)]
    channel: Option<String>,
    /// Telegram: the token that BotFather gave. It is never shown again, like all that follows but the number's id.
    #[schema(example = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc")]
    token: Option<String>,
    /// WhatsApp's Cloud API: Meta's id of the number.
    #[schema(example = "106540352242922")]
    phone_number_id: Option<String>,
    /// WhatsApp's Cloud API: what requests are made with.
    access_token: Option<String>,
    /// WhatsApp's Cloud API: the secret of the application at Meta, which signs webhooks.
    app_secret: Option<String>,
    /// WhatsApp's Cloud API: what Meta shows when the webhook's address is entered there; made by the program when left out.
    verify_token: Option<String>,
    /// What the provider calls it; when left out, what the provider says.
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
    /// Milliseconds between two messages, besides what its provider demands; 0 when left out.
    #[schema(value_type = Option<MessageDelayMs>)]
    message_delay_ms: Option<i64>,
    /// How often sending a message is tried; 10 when left out.
    #[schema(value_type = Option<MaxAttempts>)]
    max_attempts: Option<i64>,
    /// Whether it comes back by itself when its provider could not be reached; `true` when left out.
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
    /// WhatsApp's Cloud API: Meta's id of another number.
    phone_number_id: Option<String>,
    /// WhatsApp's Cloud API: another token to make requests with.
    access_token: Option<String>,
    /// WhatsApp's Cloud API: another secret of the application.
    app_secret: Option<String>,
    /// WhatsApp's Cloud API: something else for Meta to show.
    verify_token: Option<String>,
    /// What its provider calls it.
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
    /// Milliseconds between two messages, besides what its provider demands.
    #[serde(default)]
    #[schema(value_type = MessageDelayMs, required = false)]
    message_delay_ms: Patch<i64>,
    /// How often sending a message is tried.
    #[serde(default)]
    #[schema(value_type = MaxAttempts, required = false)]
    max_attempts: Patch<i64>,
    /// Whether it comes back by itself when its provider could not be reached.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    auto_reconnect: Patch<bool>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

/// What a body changes.
pub(super) struct Checked {
    pub(super) fields: Map<String, Value>,
    pub(super) credentials: Given,
    pub(super) version: Option<i32>,
}

/// The credentials that a body gives, of whatever channel.
pub(super) struct Given {
    token: Option<BotToken>,
    account: CloudChanges,
}

impl Given {
    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.token.is_some() || self.account.given().next().is_some()
    }

    /// What a new bot of this channel is let in with; nothing when it is linked to a telephone.
    fn of_new(self, channel: Channel) -> Result<Option<Credentials>, FieldErrors> {
        match channel {
            Channel::WhatsappWeb => self.only_of(channel).map(|()| None),
            Channel::Telegram | Channel::WhatsappCloud => self.whole(channel).map(Some),
        }
    }

    /// What a bot of this channel is let in with.
    fn whole(self, channel: Channel) -> Result<Credentials, FieldErrors> {
        self.only_of(channel)?;
        match channel {
            Channel::WhatsappCloud => self.account.whole().map(Credentials::from),
            Channel::Telegram | Channel::WhatsappWeb => {
                let mut errors = FieldErrors::new();
                let token = errors.require("token", self.token, Ok);
                errors.finish(|| token.map(Credentials::from))
            }
        }
    }

    /// What a bot of this channel is let in with from now on; `account`: what one of WhatsApp's Cloud API was let in with until now.
    pub(super) fn onto(
        self,
        channel: Channel,
        account: Option<CloudAccount>,
    ) -> Result<Credentials, FieldErrors> {
        self.only_of(channel)?;
        match account {
            Some(account) => Ok(self.account.onto(account).into()),
            None => self.whole(channel),
        }
    }

    /// Refuses what a bot of this channel has not.
    pub(super) fn only_of(&self, channel: Channel) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        let token = self.token.is_some().then_some("token");
        let foreign: Vec<&str> = match channel {
            Channel::WhatsappCloud => token.into_iter().collect(),
            Channel::Telegram => self.account.given().collect(),
            Channel::WhatsappWeb => token.into_iter().chain(self.account.given()).collect(),
        };
        for field in foreign {
            errors.push(
                field,
                Invalid::new("not_allowed", "belongs to bots of another channel"),
            );
        }
        errors.finish(|| Some(()))
    }
}

/// A bot, and how its provider tells it what was said.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ShownBot {
    /// The bot.
    #[serde(flatten)]
    pub(super) bot: Instance,
    /// Of bots of WhatsApp's Cloud API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<BotWebhook>,
}

/// What is to be entered at Meta.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BotWebhook {
    /// The address that Meta is to call, for the field `messages`.
    pub(super) url: String,
    /// What Meta is to show there. Told once, to whoever makes the bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verify_token: Option<String>,
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
        let credentials = Given {
            token: errors.check_opt("token", self.token, |token| BotToken::parse(&token)),
            account: CloudChanges {
                phone_number_id: errors
                    .check_opt("phone_number_id", self.phone_number_id, |id| phone_number_id(&id)),
                access_token: errors
                    .check_opt("access_token", self.access_token, |token| cloud_secret(&token)),
                app_secret: errors.check_opt("app_secret", self.app_secret, |secret| cloud_secret(&secret)),
                verify_token: errors
                    .check_opt("verify_token", self.verify_token, |token| cloud_secret(&token)),
            },
        };
        let fields = errors.merge(form.finish());
        let version = self.version;
        errors.finish(|| {
            Some(Checked {
                fields: fields?,
                credentials,
                version,
            })
        })
    }
}

impl CreateBot {
    pub(super) fn check(self) -> Result<NewBot, FieldErrors> {
        let mut errors = FieldErrors::new();
        let channel = errors.check("channel", channel(self.channel.as_deref()));
        let missing = Self::missing(
            channel,
            &[
                &self.token,
                &self.phone_number_id,
                &self.access_token,
                &self.app_secret,
            ],
        );
        let given = UpdateBot {
            name: self.name.map_or(Patch::Null, Patch::Value),
            token: self.token,
            phone_number_id: self.phone_number_id,
            access_token: self.access_token,
            app_secret: self.app_secret,
            verify_token: self.verify_token,
            username: self.username.map_or(Patch::Null, Patch::Value),
            initial_message: self.initial_message.map_or(Patch::Null, Patch::Value),
            vip_link: self.vip_link.map_or(Patch::Null, Patch::Value),
            is_active: Patch::Value(self.is_active.unwrap_or(true)),
            message_delay_ms: Patch::Value(self.message_delay_ms.unwrap_or(0)),
            max_attempts: Patch::Value(self.max_attempts.unwrap_or(10)),
            auto_reconnect: Patch::Value(self.auto_reconnect.unwrap_or(true)),
            version: None,
        };
        for field in missing {
            errors.push(field, Invalid::required());
        }
        let checked = errors.merge(given.check());
        let (channel, checked) = errors.finish(|| channel.zip(checked))?;
        Ok(NewBot {
            channel,
            fields: checked.fields,
            credentials: checked.credentials.of_new(channel)?,
        })
    }

    /// What a bot of this channel cannot do without, so that all that is wrong is told at once.
    fn missing(channel: Option<Channel>, [token, account @ ..]: &[&Option<String>; 4]) -> Vec<&'static str> {
        let fields = ["phone_number_id", "access_token", "app_secret"];
        match channel {
            Some(Channel::Telegram) => token.is_none().then_some("token").into_iter().collect(),
            Some(Channel::WhatsappCloud) => {
                let given = account.iter().zip(fields);
                given
                    .filter_map(|(value, field)| value.is_none().then_some(field))
                    .collect()
            }
            Some(Channel::WhatsappWeb) | None => Vec::new(),
        }
    }
}

/// Where a new bot is to speak.
fn channel(value: Option<&str>) -> Result<Channel, Invalid> {
    let Some(value) = value else {
        return Ok(Channel::Telegram);
    };
    Channel::parse(value)
}

/// A bot to be made.
pub(super) struct NewBot {
    pub(super) channel: Channel,
    pub(super) fields: Map<String, Value>,
    /// None for one that is linked to a telephone.
    pub(super) credentials: Option<Credentials>,
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

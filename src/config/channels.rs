//! `[channels]`: where providers of channels are, and how bots hear them.

use secrecy::SecretString;
use serde::Deserialize;

use super::error::Problems;
use super::gateways::check_url;
use super::values;

/// How a bot of Telegram hears what is said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TelegramUpdates {
    /// It asks, again and again.
    Polling,
    /// Telegram calls `/hooks/telegram/…`.
    Webhook,
}

/// Addresses and ways.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// Whether this process runs bots.
    pub run: bool,
    /// Base address of Telegram's Bot API.
    pub telegram_url: String,
    /// How its bots hear.
    pub telegram_updates: TelegramUpdates,
    /// Address of WhatsApp's socket; empty: WhatsApp's own.
    pub whatsapp_url: String,
    /// Which version of WhatsApp's page to be, as `2.3000.1015901307`; empty: the one that WhatsApp's page names.
    pub whatsapp_version: String,
    /// The token of the platform's own bot.
    #[serde(deserialize_with = "values::secret")]
    pub assistant_token: Option<SecretString>,
    /// Telegram's number of the chat where administrators are told.
    #[serde(deserialize_with = "values::non_zero")]
    pub assistant_admin_chat: Option<i64>,
    /// Base address of Meta's Graph API.
    pub whatsapp_cloud_url: String,
    /// Version of it.
    pub whatsapp_cloud_version: String,
    /// The longest file that is fetched of what people send.
    pub media_max_bytes: u64,
}

impl ChannelSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        check_url("channels.telegram_url", &self.telegram_url, problems);
        problems.range("channels.media_max_bytes", self.media_max_bytes, 1024..=64 << 20);
        check_url("channels.whatsapp_cloud_url", &self.whatsapp_cloud_url, problems);
        let version = self.whatsapp_cloud_version.strip_prefix('v');
        let numbers = version.and_then(|version| version.split_once('.'));
        if !numbers.is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor.parse::<u16>().is_ok())
        {
            problems.add(
                "channels.whatsapp_cloud_version",
                "must be a version such as v24.0",
            );
        }
    }
}

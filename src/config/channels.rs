//! `[channels]`: where providers of channels are, and how bots hear them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::Problems;
use super::gateways::check_url;
use super::values;

/// The folder of session backups in the folder of files, when none is named.
const DEVICES: &str = "devices";

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
    /// How long Telegram is to hold a question for messages.
    #[serde(rename = "telegram_poll_secs", deserialize_with = "values::seconds")]
    pub telegram_poll: Duration,
    /// Address of WhatsApp's socket; empty: WhatsApp's own.
    pub whatsapp_url: String,
    /// Which version of WhatsApp's page to be, as `2.3000.1015901307`; empty: the one that WhatsApp's page names.
    pub whatsapp_version: String,
    /// Where copies of linked devices are, when named; see [`ChannelSettings::session_backups`].
    session_backup_folder: PathBuf,
    /// The time between two copies; 0: none are made by the clock.
    #[serde(rename = "session_backups_every_hours", deserialize_with = "values::hours")]
    session_backups_every: Duration,
    /// How many copies of each device are kept.
    pub session_backups_keep: usize,
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
    /// Where copies of linked devices are; `storage` is the folder of tenants' files.
    pub fn session_backups(&self, storage: &Path) -> PathBuf {
        if self.session_backup_folder.as_os_str().is_empty() {
            storage.join(DEVICES)
        } else {
            self.session_backup_folder.clone()
        }
    }

    /// The time between two copies of a linked device; zero: none are made by the clock.
    pub fn session_backups_every(&self) -> Option<TimeDelta> {
        TimeDelta::from_std(self.session_backups_every).ok()
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.session_backup_folder.is_relative() && !self.session_backup_folder.as_os_str().is_empty() {
            problems.add(
                "channels.session_backup_folder",
                "is relative, and so another folder for each process: name it absolutely",
            );
        }
        problems.range(
            "channels.session_backups_every_hours",
            self.session_backups_every.as_secs() / 3600,
            0..=24 * 31,
        );
        problems.range(
            "channels.session_backups_keep",
            self.session_backups_keep,
            1..=100,
        );
        problems.range(
            "channels.telegram_poll_secs",
            self.telegram_poll.as_secs(),
            1..=50,
        );
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

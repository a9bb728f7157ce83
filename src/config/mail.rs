//! `[mail]`: how mails are sent, and from whom they are.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::error::Problems;
use super::values;
use crate::domain::email::Email;

/// Mails that the platform sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// How.
    pub transport: MailTransport,
    /// Where the files are, of [`MailTransport::Folder`].
    #[serde(deserialize_with = "values::optional")]
    pub folder: Option<PathBuf>,
    /// The mail server, of [`MailTransport::Smtp`].
    #[serde(deserialize_with = "values::secret")]
    pub smtp_url: Option<SecretString>,
    /// From which address.
    #[serde(deserialize_with = "values::optional")]
    pub from: Option<Email>,
    /// From whom, as shown.
    pub from_name: String,
    /// Where answers go, if elsewhere.
    #[serde(deserialize_with = "values::optional")]
    pub reply_to: Option<Email>,
    /// The longest that handing one over may take.
    #[serde(rename = "timeout_secs", deserialize_with = "values::seconds")]
    pub timeout: Duration,
}

/// How mails are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTransport {
    /// Not at all.
    None,
    /// Each as a file.
    Folder,
    /// To a mail server.
    Smtp,
}

impl MailSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range("mail.timeout_secs", self.timeout.as_secs(), 1..=300);
        if self.from_name.chars().any(char::is_control) || self.from_name.chars().count() > 100 {
            problems.add(
                "mail.from_name",
                "is no name: write at most 100 characters on one line",
            );
        }
        if self.transport == MailTransport::None {
            return;
        }
        if self.from.is_none() {
            problems.add("mail.from", "is not set: name the address that mails come from");
        }
        if self.transport == MailTransport::Folder && self.folder.is_none() {
            problems.add(
                "mail.folder",
                "is not set: name the folder that mails are written to",
            );
        }
        if self.transport == MailTransport::Smtp && self.smtp_url.is_none() {
            problems.add(
                "mail.smtp_url",
                "is not set: give the mail server's address, as smtps://user:password@host",
            );
        }
    }
}

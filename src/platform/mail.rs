//! The way that mails take, as the settings say.

use super::StartError;
use crate::config::{MailSettings, MailTransport};
use crate::mail::transport::{Sender, Transport};

/// How mails are sent, and from whom.
pub(super) fn way(mail: &MailSettings) -> Result<Option<(Transport, Sender)>, StartError> {
    let Some(address) = mail.from.clone() else {
        return Ok(None);
    };
    let transport = match (mail.transport, &mail.folder, &mail.smtp_url) {
        (MailTransport::Folder, Some(folder), _) => Transport::Folder(folder.clone()),
        (MailTransport::Smtp, _, Some(url)) => Transport::smtp(url, mail.timeout)
            .map_err(|why| StartError::Setting(format!("`mail.smtp_url` {why}")))?,
        // What is missing has been refused with the settings.
        _ => return Ok(None),
    };
    let sender = Sender {
        address,
        name: mail.from_name.clone(),
        reply_to: mail.reply_to.clone(),
    };
    Ok(Some((transport, sender)))
}

//! How a mail leaves: as a file of a folder, or to a mail server.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use secrecy::{ExposeSecret, SecretString};

use super::smtp::MailServer;
use super::templates::Rendered;
use crate::domain::email::Email;
use crate::domain::ids::MailId;

/// Hands mails over. Cheap to clone.
#[derive(Clone)]
pub enum Transport {
    /// Writes each to a file.
    Folder(PathBuf),
    /// Gives them to a mail server.
    Smtp(MailServer),
}

/// From whom mails are.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The address.
    pub address: Email,
    /// As shown.
    pub name: String,
    /// Where answers go, if elsewhere.
    pub reply_to: Option<Email>,
}

/// Why a mail was not taken, in words without anybody's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotTaken {
    /// In a few words.
    pub what: String,
    /// Whether trying again is no use.
    pub for_good: bool,
}

impl NotTaken {
    pub(super) fn for_good(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            for_good: true,
        }
    }

    pub(super) fn for_now(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            for_good: false,
        }
    }
}

impl Transport {
    /// The way to the mail server of this address, which has so long to take a mail.
    ///
    /// # Errors
    /// Why the address cannot be used; shows nothing of it.
    pub fn smtp(url: &SecretString, timeout: Duration) -> Result<Self, &'static str> {
        let server = MailServer::parse(url.expose_secret(), timeout);
        let server = server.ok_or("cannot be read: write smtps://user:password@host")?;
        Ok(Self::Smtp(server))
    }

    /// Hands a mail over.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows whether it was.
    pub async fn send(&self, id: MailId, message: &Message) -> Result<(), NotTaken> {
        match self {
            Self::Folder(folder) => write(folder.clone(), id, message.formatted()).await,
            Self::Smtp(server) => server.hand_over(message).await,
        }
    }
}

/// Under its own name only when it is whole. A mail that is sent again replaces itself.
async fn write(folder: PathBuf, id: MailId, bytes: Vec<u8>) -> Result<(), NotTaken> {
    let written = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let unfinished = folder.join(format!(".{id}.eml"));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, folder.join(format!("{id}.eml")))
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(NotTaken::for_now(format!(
            "the folder cannot be written to: {}",
            error.kind()
        ))),
        Err(_) => Err(NotTaken::for_now("the folder cannot be written to")),
    }
}

/// A mail as it travels. Its `Message-ID` is made of its id, so that one which was sent twice is recognised.
///
/// # Errors
/// When an address is none for the mail server; never for one of ours.
pub(super) fn compose(
    id: MailId,
    sender: &Sender,
    to: &Email,
    content: Rendered,
    now: DateTime<Utc>,
) -> Result<Message, NotTaken> {
    let domain = sender.address.as_str().rsplit('@').next().unwrap_or_default();
    let mut builder = Message::builder()
        .from(mailbox(Some(sender.name.clone()), &sender.address)?)
        .to(mailbox(None, to)?)
        .subject(content.subject)
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{id}@{domain}>")))
        // RFC 3834, 5: nobody's absence note is to answer it.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(reply_to) = &sender.reply_to {
        builder = builder.reply_to(mailbox(None, reply_to)?);
    }
    builder
        .multipart(MultiPart::alternative_plain_html(content.text, content.html))
        .map_err(|_| NotTaken::for_good("the mail cannot be written"))
}

fn mailbox(name: Option<String>, email: &Email) -> Result<Mailbox, NotTaken> {
    let address: Address = email
        .as_str()
        .parse()
        .map_err(|_| NotTaken::for_good("the address is none"))?;
    Ok(Mailbox::new(name.filter(|name| !name.is_empty()), address))
}

//! Handing a mail to a mail server (RFC 5321).
//!
//! Each mail has a connection of its own: on one that is used again, an answer that comes late would be taken for the answer to
//! another mail. And each step is ours to see: what is refused about the recipient is refused for good, anything else may be about
//! us (the sender, our address, our password), and is tried again.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use url::Url;

use super::transport::NotTaken;

/// How long a mail server that has taken a mail may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// A mail server. Cheap to clone.
#[derive(Clone)]
pub struct MailServer(Arc<Address>);

struct Address {
    host: String,
    port: u16,
    tls: Tls,
    /// How we introduce ourselves.
    name: ClientId,
    credentials: Option<Credentials>,
    /// The longest that handing over may take.
    timeout: Duration,
}

/// A step of handing over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    Sender,
    Recipient,
    Content,
}

impl MailServer {
    /// The one of this address: `smtps://user:password@host` (TLS from the start), `smtp://…?tls=required` (STARTTLS) or, in clear,
    /// `smtp://…`; what follows as a path is the name that we give ourselves.
    pub(super) fn parse(text: &str, timeout: Duration) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.to_owned();
        let wanted = url.query_pairs().find(|(name, _)| name == "tls");
        let parameters = || TlsParameters::new(host.clone()).ok();
        let (tls, port) = match (url.scheme(), wanted.as_ref().map(|(_, value)| value.as_ref())) {
            ("smtps", _) => (Tls::Wrapper(parameters()?), SUBMISSIONS_PORT),
            ("smtp", Some("required")) => (Tls::Required(parameters()?), SUBMISSION_PORT),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic(parameters()?), SUBMISSION_PORT),
            ("smtp", None) => (Tls::None, SMTP_PORT),
            _ => return None,
        };
        let name = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        let plain = |text| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
        let credentials = match url.password() {
            Some(password) => Some(Credentials::new(plain(url.username())?, plain(password)?)),
            None => None,
        };
        Some(Self(Arc::new(Address {
            port: url.port().unwrap_or(port),
            host,
            tls,
            name,
            credentials,
            timeout,
        })))
    }

    /// Hands a mail over.
    pub(super) async fn hand_over(&self, message: &Message) -> Result<(), NotTaken> {
        let handed = tokio::time::timeout(self.0.timeout, self.try_hand_over(message)).await;
        let mut server = handed.map_err(|_| NotTaken::for_now("timed out"))??;
        // It was taken, whatever becomes of the farewell.
        let _ = tokio::time::timeout(FAREWELL, server.abort()).await;
        Ok(())
    }

    async fn try_hand_over(&self, message: &Message) -> Result<AsyncSmtpConnection, NotTaken> {
        let at = |step| move |error| not_taken(&error, step);
        let mut server = self.connect().await.map_err(at(Step::Greeting))?;
        let envelope = message.envelope();
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        server.command(sender).await.map_err(at(Step::Sender))?;
        for to in envelope.to() {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            server.command(recipient).await.map_err(at(Step::Recipient))?;
        }
        server.command(Data).await.map_err(at(Step::Content))?;
        let bytes = message.formatted();
        server.message(&bytes).await.map_err(at(Step::Content))?;
        Ok(server)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let Address {
            host,
            port,
            tls,
            name,
            credentials,
            timeout,
        } = self.0.as_ref();
        let wrapped = match tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let at = (host.as_str(), *port);
        let mut server = AsyncSmtpConnection::connect_tokio1(at, Some(*timeout), name, wrapped, None).await?;
        match tls {
            Tls::Required(parameters) => server.starttls(parameters.clone(), name).await?,
            Tls::Opportunistic(parameters) if server.can_starttls() => {
                server.starttls(parameters.clone(), name).await?;
            }
            _ => {}
        }
        if let Some(credentials) = credentials {
            server.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(server)
    }
}

/// The words of a refusal are dropped, but for its numbers: they may name the address.
fn not_taken(error: &Error, step: Step) -> NotTaken {
    if let Some(code) = error.status() {
        let code = u16::from(code);
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        let reason = reason(&words);
        let said = reason.map_or_else(
            || format!("the mail server said {code}"),
            |(class, subject, detail)| format!("the mail server said {code} {class}.{subject}.{detail}"),
        );
        return if error.is_permanent() && is_of_recipient(step, code, reason) {
            NotTaken::for_good(said)
        } else {
            NotTaken::for_now(said)
        };
    }
    NotTaken::for_now(if error.is_timeout() {
        "timed out"
    } else if error.is_tls() {
        "TLS failed"
    } else if error.is_response() {
        "the mail server said something unreadable"
    } else if error.is_client() {
        "the mail server does not offer what is needed"
    } else {
        "the mail server cannot be reached"
    })
}

/// The reason that a refusal begins with, `5.1.1` (RFC 3463).
fn reason(words: &str) -> Option<(u16, u16, u16)> {
    let mut parts = words.split_whitespace().next()?.splitn(3, '.');
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?, number()?))
}

/// Whether there is no such recipient. A mail server that does not give reasons says so by the code of its answer to `RCPT TO`.
fn is_of_recipient(step: Step, code: u16, reason: Option<(u16, u16, u16)>) -> bool {
    match (step, reason) {
        (Step::Greeting | Step::Sender, _) => false,
        // X.1.7 and X.1.8 are about the sender's address; X.2.1: the mailbox takes no mail.
        (_, Some((_, 1, detail))) => detail != 7 && detail != 8,
        (_, Some((_, subject, detail))) => (subject, detail) == (2, 1),
        (step, None) => step == Step::Recipient && matches!(code, 550 | 551 | 553),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_how_to_connect() {
        let of = |text: &str| MailServer::parse(text, Duration::from_secs(1));
        let port = |text: &str| of(text).map(|server| server.0.port);
        assert_eq!(port("smtps://mail.example"), Some(465));
        assert_eq!(port("smtp://mail.example?tls=required"), Some(587));
        assert_eq!(port("smtp://mail.example?tls=opportunistic"), Some(587));
        assert_eq!(port("smtp://mail.example"), Some(25));
        assert_eq!(port("smtp://127.0.0.1:2525/our.name"), Some(2525));
        for wrong in [
            "",
            "mail.example",
            "http://mail.example",
            "smtp://mail.example?tls=perhaps",
        ] {
            assert!(of(wrong).is_none(), "{wrong}");
        }
        let with =
            of("smtps://ana%40mail.example:p%2Fw@mail.example").map(|server| server.0.credentials.clone());
        let expected = Credentials::new("ana@mail.example".to_owned(), "p/w".to_owned());
        assert_eq!(with, Some(Some(expected)));
    }

    #[test]
    fn only_what_is_about_the_recipient_is_for_good() {
        use Step::{Content, Recipient, Sender};
        for (step, code, words, expected) in [
            (Recipient, 550, "5.1.1 <ana@garage.example>: unknown", true),
            (Recipient, 550, "no such user", true),
            (Recipient, 553, "", true),
            (Recipient, 550, "5.2.1 disabled", true),
            (Recipient, 552, "5.2.2 full", false),
            (Recipient, 554, "5.7.1 relaying denied", false),
            (Recipient, 550, "5.1.8 bad sender", false),
            (Recipient, 554, "refused", false),
            (Sender, 550, "5.1.1 unknown", false),
            (Content, 550, "5.1.1 unknown", true),
            (Content, 550, "refused", false),
        ] {
            assert_eq!(
                is_of_recipient(step, code, reason(words)),
                expected,
                "{code} {words}"
            );
        }
        assert_eq!(reason("5.1"), None);
        assert_eq!(reason("5.7.26 x"), Some((5, 7, 26)));
        assert_eq!(reason("ana.b.c"), None);
    }
}

//! What bots are let in with by their providers. Nothing of it is ever shown.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::conversation::Channel;
use super::instance::BotToken;
use super::{invalid::FieldErrors, invalid::Invalid, random};

/// Letters of a token that the program makes.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What one bot is let in with.
#[derive(Clone)]
pub enum Credentials {
    /// A token of Telegram's.
    Telegram(BotToken),
    /// A number of WhatsApp's Cloud API.
    WhatsappCloud(CloudAccount),
}

impl Credentials {
    /// Where they are good.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Telegram(_) => Channel::Telegram,
            Self::WhatsappCloud(_) => Channel::WhatsappCloud,
        }
    }

    /// As they are sealed.
    pub fn plain(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Telegram(token) => token.secret().expose_secret().as_bytes().to_vec(),
            Self::WhatsappCloud(account) => account.plain(),
        })
    }

    /// What one bot alone on the whole platform may have: which kind of thing, and which one.
    pub fn claimed(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Telegram(token) => ("bot_token", token.secret().expose_secret().as_bytes()),
            Self::WhatsappCloud(account) => ("whatsapp_number", account.phone_number_id.as_bytes()),
        }
    }
}

impl From<BotToken> for Credentials {
    fn from(token: BotToken) -> Self {
        Self::Telegram(token)
    }
}

impl From<CloudAccount> for Credentials {
    fn from(account: CloudAccount) -> Self {
        Self::WhatsappCloud(account)
    }
}

/// A number of WhatsApp's Cloud API, and the application of Meta's that speaks for it.
#[derive(Clone)]
pub struct CloudAccount {
    /// Meta's id of the number. No secret.
    pub phone_number_id: String,
    /// What requests are made with.
    pub access_token: SecretString,
    /// What webhooks are signed with.
    pub app_secret: SecretString,
    /// What Meta shows once, when it is told the webhook's address.
    pub verify_token: SecretString,
}

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    phone_number_id: &'a str,
    access_token: &'a str,
    app_secret: &'a str,
    verify_token: &'a str,
}

impl CloudAccount {
    fn plain(&self) -> Vec<u8> {
        let plain = Plain {
            phone_number_id: &self.phone_number_id,
            access_token: self.access_token.expose_secret(),
            app_secret: self.app_secret.expose_secret(),
            verify_token: self.verify_token.expose_secret(),
        };
        // Texts alone are always written.
        serde_json::to_vec(&plain).unwrap_or_default()
    }

    /// Reads what [`Credentials::plain`] wrote.
    pub fn from_plain(plain: &[u8]) -> Option<Self> {
        // None of the values can hold what JSON writes otherwise.
        let plain: Plain<'_> = serde_json::from_slice(plain).ok()?;
        Some(Self {
            phone_number_id: plain.phone_number_id.to_owned(),
            access_token: plain.access_token.into(),
            app_secret: plain.app_secret.into(),
            verify_token: plain.verify_token.into(),
        })
    }
}

/// Those of the credentials of a number that somebody has given.
#[derive(Clone, Default)]
pub struct CloudChanges {
    /// Meta's id of the number.
    pub phone_number_id: Option<String>,
    /// What requests are made with.
    pub access_token: Option<SecretString>,
    /// What webhooks are signed with.
    pub app_secret: Option<SecretString>,
    /// What Meta shows once.
    pub verify_token: Option<SecretString>,
}

impl CloudChanges {
    /// The names of those that are given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("phone_number_id", self.phone_number_id.is_some()),
            ("access_token", self.access_token.is_some()),
            ("app_secret", self.app_secret.is_some()),
            ("verify_token", self.verify_token.is_some()),
        ];
        given
            .into_iter()
            .filter_map(|(name, given)| given.then_some(name))
    }

    /// A whole account; a token to be shown to Meta is made when none is given.
    ///
    /// # Errors
    /// What is missing.
    pub fn whole(self) -> Result<CloudAccount, FieldErrors> {
        let mut errors = FieldErrors::new();
        let phone_number_id = errors.require("phone_number_id", self.phone_number_id, Ok);
        let access_token = errors.require("access_token", self.access_token, Ok);
        let app_secret = errors.require("app_secret", self.app_secret, Ok);
        let verify_token = self.verify_token;
        errors.finish(|| {
            Some(CloudAccount {
                phone_number_id: phone_number_id?,
                access_token: access_token?,
                app_secret: app_secret?,
                verify_token: verify_token.unwrap_or_else(|| random::letters(32, LETTERS).into()),
            })
        })
    }

    /// An account with these changes.
    #[must_use]
    pub fn onto(self, account: CloudAccount) -> CloudAccount {
        CloudAccount {
            phone_number_id: self.phone_number_id.unwrap_or(account.phone_number_id),
            access_token: self.access_token.unwrap_or(account.access_token),
            app_secret: self.app_secret.unwrap_or(account.app_secret),
            verify_token: self.verify_token.unwrap_or(account.verify_token),
        }
    }
}

/// Reads Meta's id of a number; space around it is dropped.
pub fn phone_number_id(value: &str) -> Result<String, Invalid> {
    let value = word(value, 30)?;
    match value.len() >= 5 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(value.to_owned()),
        false => Err(Invalid::format(
            "must be the number's id at Meta, as 106540352242922",
        )),
    }
}

/// Reads a token or secret of Meta's, or one that Meta is to show; space around it is dropped.
pub fn cloud_secret(value: &str) -> Result<SecretString, Invalid> {
    let value = word(value, 1000)?;
    let fits = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    match (fits, value.len() >= 12) {
        (true, true) => Ok(value.into()),
        (true, false) => Err(Invalid::too_short(12)),
        (false, _) => Err(Invalid::format("must be letters, digits and signs")),
    }
}

fn word(value: &str, most: usize) -> Result<&str, Invalid> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Invalid::required());
    }
    match value.len() <= most {
        true => Ok(value),
        false => Err(Invalid::too_long(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn given() -> CloudChanges {
        CloudChanges {
            phone_number_id: phone_number_id(" 106540352242922 ").ok(),
            access_token: cloud_secret("EAAJB-not-a-real-one").ok(),
            app_secret: cloud_secret("0123456789abcdef0123456789abcdef").ok(),
            verify_token: None,
        }
    }

    #[test]
    fn an_account_is_read_as_it_was_written() {
        let account = given().whole().map_err(|_| "whole").unwrap();
        assert_eq!(account.verify_token.expose_secret().len(), 32);
        let again = CloudAccount::from_plain(&Credentials::from(account.clone()).plain()).unwrap();
        assert_eq!(again.plain(), account.plain());
        assert!(CloudAccount::from_plain(b"123456789:AA").is_none());
    }

    #[test]
    fn what_is_not_given_stays() {
        let account = given().whole().map_err(|_| "whole").unwrap();
        let changes = CloudChanges {
            access_token: cloud_secret("EAAJB-another-one").ok(),
            ..CloudChanges::default()
        };
        assert_eq!(changes.given().collect::<Vec<_>>(), ["access_token"]);
        let changed = changes.onto(account.clone());
        assert_eq!(changed.access_token.expose_secret(), "EAAJB-another-one");
        assert_eq!(changed.phone_number_id, account.phone_number_id);
        assert_eq!(
            changed.verify_token.expose_secret(),
            account.verify_token.expose_secret()
        );
        let missing = CloudChanges::default().whole().map(|_| ()).unwrap_err();
        assert_eq!(missing, {
            let mut errors = FieldErrors::new();
            for field in ["phone_number_id", "access_token", "app_secret"] {
                errors.push(field, Invalid::required());
            }
            errors
        });
    }

    #[test]
    fn they_have_their_form() {
        let id = |value: &str| phone_number_id(value).map_err(|refusal| refusal.code);
        assert_eq!(id(" "), Err("required"));
        assert_eq!(id("1234"), Err("invalid_format"));
        assert_eq!(id("10654035224292x"), Err("invalid_format"));
        assert_eq!(id(&"1".repeat(31)), Err("too_long"));
        let secret = |value: &str| cloud_secret(value).map(|_| ()).map_err(|refusal| refusal.code);
        assert_eq!(secret("short"), Err("too_short"));
        assert_eq!(secret("with space inside"), Err("invalid_format"));
        assert_eq!(secret("with\"a\\quote.."), Err("invalid_format"));
        assert_eq!(secret(&"x".repeat(1001)), Err("too_long"));
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            if let Ok(id) = phone_number_id(&text) {
                prop_assert_eq!(phone_number_id(&id), Ok(id.clone()));
            }
            let _ = cloud_secret(&text);
            let _ = CloudAccount::from_plain(text.as_bytes());
        }
    }
}

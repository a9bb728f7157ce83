//! An attempt to log in, as it is counted: under the account from one address, and, more patiently, under the account
//! from anywhere, so that a stranger who guesses from many addresses is stopped and one who knows an e-mail address
//! cannot lock its owner out with a few tries. The keys are digests: no address of a person is stored.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::email::Email;

/// Attempts from anywhere that are let pass for each that is from one address.
const ANYWHERE: i32 = 10;

/// An attempt and its limits.
#[derive(Debug, Clone)]
pub struct LoginAttempt {
    /// Key of the account from this address.
    pub near: String,
    /// Key of the account from anywhere.
    pub anywhere: String,
    /// How many attempts are let pass under [`LoginAttempt::near`].
    pub near_max: i32,
    /// How many attempts are let pass under [`LoginAttempt::anywhere`].
    pub anywhere_max: i32,
    /// The moment of the attempt.
    pub at: DateTime<Utc>,
    /// Attempts that began to be counted at this moment or earlier count no more.
    pub counted_from: DateTime<Utc>,
    /// Until when the next ones are refused, when this is one too many.
    pub blocked_until: DateTime<Utc>,
}

impl LoginAttempt {
    /// An attempt of `email` from the address `from`; `max` of them are let pass within `window`.
    pub fn new(email: &Email, from: IpAddr, max: i32, window: TimeDelta, at: DateTime<Utc>) -> Self {
        let digest = |text: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
        Self {
            near: digest(&format!("{} {from}", email.as_str())),
            anywhere: digest(email.as_str()),
            near_max: max,
            anywhere_max: max.saturating_mul(ANYWHERE),
            at,
            counted_from: at - window,
            blocked_until: at + window,
        }
    }

    /// The same, to be counted as a request for a link to choose a password.
    #[must_use]
    pub fn asking(self) -> Self {
        Self {
            near: format!("asking {}", self.near),
            anywhere: format!("asking {}", self.anywhere),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn keys_tell_accounts_and_addresses_apart_and_nothing_else() {
        let attempt = |email: &str, host: u8| {
            let email = Email::parse(email).unwrap();
            let from = Ipv4Addr::new(192, 0, 2, host).into();
            LoginAttempt::new(&email, from, 3, TimeDelta::minutes(1), DateTime::UNIX_EPOCH)
        };
        let ana = attempt("ana@example.com", 1);
        let elsewhere = attempt("Ana@example.com", 2);
        assert_eq!(ana.anywhere, elsewhere.anywhere);
        assert_ne!(ana.near, elsewhere.near);
        assert_ne!(ana.anywhere, attempt("bia@example.com", 1).anywhere);
        let asking = ana.clone().asking();
        assert!(asking.near != ana.near && asking.anywhere != ana.anywhere && asking.near != asking.anywhere);
        assert!(!format!("{ana:?}").contains("ana"), "{ana:?}");
    }
}

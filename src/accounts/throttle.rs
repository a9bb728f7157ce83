//! Failed logins: who has failed too often waits. Counted in the database, so that processes agree.
//!
//! Two keys are counted: the account from one address, and, more patiently, the account from anywhere, so that a
//! stranger who guesses from many addresses is stopped and one who knows an e-mail address cannot lock its owner out
//! with a few tries. The keys are digests: no address of a person is stored.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};

use crate::config::SessionSettings;
use crate::domain::email::Email;

/// Failures from anywhere that are let pass for each that is from one address.
const ANYWHERE: i32 = 10;

/// How often a login may fail.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Failures of one account from one address.
    pub max: i32,
    /// Within this time; also how long the key is blocked then.
    pub window: Duration,
}

impl From<&SessionSettings> for Limits {
    fn from(settings: &SessionSettings) -> Self {
        Self {
            max: i32::try_from(settings.login_max_failures).unwrap_or(i32::MAX),
            window: Duration::from_std(settings.login_window).unwrap_or(Duration::minutes(15)),
        }
    }
}

/// The keys under which a failure counts, each with its limit.
pub fn keys(email: &Email, from: IpAddr, limits: Limits) -> [(String, i32); 2] {
    let digest = |text: String| URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
    [
        (digest(format!("{} {from}", email.as_str())), limits.max),
        (
            digest(email.as_str().to_owned()),
            limits.max.saturating_mul(ANYWHERE),
        ),
    ]
}

/// Whole seconds from `now` to `until`, at least one: for `Retry-After`.
pub fn wait(until: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    u32::try_from((until - now).num_seconds().max(1)).unwrap_or(u32::MAX)
}

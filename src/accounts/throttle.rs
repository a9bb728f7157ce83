//! Failed logins: who has failed too often waits. Counted in the database, so that processes agree.

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};

use crate::config::SessionSettings;
use crate::domain::email::Email;
use crate::domain::login_attempt::LoginAttempt;

/// An attempt to log in, with the limits of the settings.
pub fn attempt(email: &Email, from: IpAddr, settings: &SessionSettings, now: DateTime<Utc>) -> LoginAttempt {
    let max = i32::try_from(settings.login_max_failures).unwrap_or(i32::MAX);
    let window = Duration::from_std(settings.login_window).unwrap_or(Duration::minutes(15));
    LoginAttempt::new(email, from, max, window, now)
}

/// A request for a link to choose a password, with the same limits. It is counted apart: asking locks nobody out of the login.
pub fn asking(email: &Email, from: IpAddr, settings: &SessionSettings, now: DateTime<Utc>) -> LoginAttempt {
    attempt(email, from, settings, now).asking()
}

/// Whole seconds from `now` to `until`, at least one: for `Retry-After`.
pub fn wait(until: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    u32::try_from((until - now).num_seconds().max(1)).unwrap_or(u32::MAX)
}

//! `[sessions]`: how long a login lasts and how many failures it takes to be throttled.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::values;

/// Sessions and login throttling.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Life of a session of a tenant's user.
    #[serde(rename = "user_hours", deserialize_with = "values::hours")]
    pub user_life: Duration,
    /// Life of a session of an administrator.
    #[serde(rename = "admin_hours", deserialize_with = "values::hours")]
    pub admin_life: Duration,
    /// Failed logins of one account allowed within the window.
    pub login_max_failures: u32,
    /// The window in which failed logins are counted.
    #[serde(rename = "login_window_secs", deserialize_with = "values::seconds")]
    pub login_window: Duration,
}

impl SessionSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        let year = 24 * 366;
        problems.range("sessions.user_hours", self.user_life.as_secs() / 3600, 1..=year);
        problems.range("sessions.admin_hours", self.admin_life.as_secs() / 3600, 1..=year);
        problems.range("sessions.login_max_failures", self.login_max_failures, 1..=1000);
        problems.range(
            "sessions.login_window_secs",
            self.login_window.as_secs(),
            1..=86_400,
        );
    }
}

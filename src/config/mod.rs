//! Settings of the program: what can be configured, where a value comes from and which values are refused.
//!
//! `config/default.toml`, embedded in the binary, is the list of every key with its default. A file and then the
//! environment override it ([`Loader`]). This is the only module that reads the environment: `cli` and `app` load
//! [`Settings`] once and pass the sections down as values.
//!
//! To add a key: put it in `config/default.toml` with a comment that says what it means, add the field to its section's
//! file here with a check of its range, and run `scripts/config_reference`, which writes the tables of
//! `docs/CONFIGURATION.md` ([`reference()`]; a test compares them). A key that may stay unset has `""` as its default. To add a section: a file with one struct and a field in [`Settings`].

mod backup;
mod billing;
mod channels;
mod database;
mod error;
mod gateways;
mod lifecycle;
mod loader;
mod logging;
mod mail;
mod metrics;
mod platform;
mod rate_limit;
mod reference;
mod server;
mod sessions;
mod storage;
mod tenancy;
#[cfg(test)]
mod tests;
mod values;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use backup::BackupSettings;
pub use billing::BillingSettings;
pub use channels::{ChannelSettings, TelegramUpdates};
pub use database::DatabaseSettings;
pub use error::{ConfigError, Problem};
pub use gateways::GatewaySettings;
pub use lifecycle::LifecycleSettings;
pub use loader::{DEFAULT_TOML, Loader};
pub use logging::{LogFormat, LoggingSettings};
pub use mail::{MailSettings, MailTransport};
pub use metrics::MetricsSettings;
pub use platform::PlatformSettings;
pub use rate_limit::RateLimitSettings;
pub use reference::reference;
pub use server::{PublicScheme, ServerSettings};
pub use sessions::SessionSettings;
pub use storage::StorageSettings;
pub use tenancy::TenancySettings;

use error::Problems;

/// Every setting of the program, checked. `Debug` shows no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server and the addresses it is known by.
    pub server: ServerSettings,
    /// The connection to PostgreSQL.
    pub database: DatabaseSettings,
    /// Lanes, pools and caches of the tenant plane.
    pub tenancy: TenancySettings,
    /// The platform's own key.
    pub platform: PlatformSettings,
    /// Sessions and login throttling.
    pub sessions: SessionSettings,
    /// The per-tenant request rate.
    pub rate_limit: RateLimitSettings,
    /// Files of tenants.
    pub storage: StorageSettings,
    /// Snapshots that the program makes by itself.
    pub backup: BackupSettings,
    /// The platform's own money.
    pub billing: BillingSettings,
    /// Bots.
    pub channels: ChannelSettings,
    /// What becomes of tenants that are renamed, archived or deleted.
    pub lifecycle: LifecycleSettings,
    /// The gateways that collect payments.
    pub gateways: GatewaySettings,
    /// Mails that the platform sends.
    pub mail: MailSettings,
    /// Logs of the program and of each tenant.
    pub logging: LoggingSettings,
    /// Where `/metrics` is served.
    pub metrics: MetricsSettings,
}

impl Settings {
    /// Loads the settings of this process: defaults, then `file` (or the file named by `HELIXAI_CONFIG`), then the
    /// environment.
    ///
    /// # Errors
    /// The file cannot be read or parsed, a key is unknown, or values are refused; the error names each of them and
    /// says what to do.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Loader::from_process(file)?.load()
    }

    /// The folders of this machine that are written to.
    pub fn folders(&self) -> Vec<PathBuf> {
        let always = [&self.storage.folder, &self.logging.dir];
        let chosen = [&self.backup.folder, &self.mail.folder];
        always
            .into_iter()
            .chain(chosen.into_iter().flatten())
            .cloned()
            .collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.check_sections(&mut problems);
        problems.into_result()
    }

    fn check_sections(&self, problems: &mut Problems) {
        self.server.check(problems);
        self.database.check(problems);
        self.tenancy.check(problems);
        self.sessions.check(problems);
        self.rate_limit.check(problems);
        self.storage.check(problems);
        self.backup.check(problems);
        self.billing.check(problems);
        self.lifecycle.check(problems);
        self.gateways.check(problems);
        self.channels.check(problems);
        self.mail.check(problems);
        self.logging.check(problems);
        self.metrics.check(problems);
        if self.database.statement_timeout > self.server.request_timeout {
            problems.add(
                "database.statement_timeout_ms",
                "is longer than server.request_timeout_secs: lower it, or allow requests more time",
            );
        }
    }
}

//! `[database]`: the administrator's address of PostgreSQL, its limits and the size of the master pool.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::{ConfigError, Problems};
use super::values;

/// The connection to PostgreSQL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Address of the administrator's login, when set; [`DatabaseSettings::url`] for commands that need it.
    #[serde(deserialize_with = "values::secret")]
    pub url: Option<SecretString>,
    /// Longest wait for a connection to open.
    #[serde(rename = "connect_timeout_secs", deserialize_with = "values::seconds")]
    pub connect_timeout: Duration,
    /// Longest wait for a free connection of a pool.
    #[serde(rename = "wait_timeout_secs", deserialize_with = "values::seconds")]
    pub wait_timeout: Duration,
    /// PostgreSQL's `statement_timeout`.
    #[serde(rename = "statement_timeout_ms", deserialize_with = "values::milliseconds")]
    pub statement_timeout: Duration,
    /// PostgreSQL's `lock_timeout`.
    #[serde(rename = "lock_timeout_ms", deserialize_with = "values::milliseconds")]
    pub lock_timeout: Duration,
    /// PostgreSQL's `idle_in_transaction_session_timeout`.
    #[serde(
        rename = "idle_in_transaction_timeout_ms",
        deserialize_with = "values::milliseconds"
    )]
    pub idle_in_transaction_timeout: Duration,
    /// Connections to the master schema.
    pub master_pool: u32,
    /// Whether to serve although PUBLIC keeps rights that no tenant may have.
    pub allow_excess_privileges: bool,
    /// PEM file of the certificate authorities to trust, instead of the public ones.
    #[serde(deserialize_with = "values::optional")]
    pub ca_file: Option<PathBuf>,
}

impl DatabaseSettings {
    /// The administrator's address, for a command that cannot work without it.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when it is not set.
    pub fn url(&self) -> Result<&SecretString, ConfigError> {
        self.url.as_ref().ok_or(ConfigError::Missing {
            key: "database.url",
            advice: "set HELIXAI__DATABASE__URL to postgres://user:password@host:port/database, \
                     or run `helixai dev` for a private PostgreSQL",
        })
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if let Some(url) = &self.url {
            let url = url.expose_secret();
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                problems.add(
                    "database.url",
                    "is not a PostgreSQL address: write postgres://user:password@host:port/database",
                );
            }
        }
        problems.range(
            "database.connect_timeout_secs",
            self.connect_timeout.as_secs(),
            1..=300,
        );
        problems.range("database.wait_timeout_secs", self.wait_timeout.as_secs(), 1..=300);
        let day = 24 * 3600 * 1000;
        for (key, limit) in [
            ("database.statement_timeout_ms", self.statement_timeout),
            ("database.lock_timeout_ms", self.lock_timeout),
            (
                "database.idle_in_transaction_timeout_ms",
                self.idle_in_transaction_timeout,
            ),
        ] {
            problems.range(key, limit.as_millis(), 100..=day);
        }
        if self.lock_timeout > self.statement_timeout {
            problems.add(
                "database.lock_timeout_ms",
                "is longer than database.statement_timeout_ms, which would always strike first: lower it",
            );
        }
        // One of them hears change notices all the time.
        problems.range("database.master_pool", self.master_pool, 2..=1000);
        if let Some(path) = &self.ca_file
            && let Err(reason) = std::fs::File::open(path)
        {
            problems.add(
                "database.ca_file",
                format!(
                    "cannot be read ({}: {reason}): give the path of a PEM file",
                    path.display()
                ),
            );
        }
    }
}

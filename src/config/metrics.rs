//! `[metrics]`: on which port, or to whom, `/metrics` is served.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::Problems;
use super::values;

/// Where `/metrics` is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address of the port of its own, if any.
    #[serde(deserialize_with = "values::optional")]
    pub bind: Option<SocketAddr>,
    /// Bearer token that opens `/metrics` on the main port; unset, it is not served there.
    #[serde(deserialize_with = "values::secret")]
    pub token: Option<SecretString>,
}

impl MetricsSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if let Some(token) = &self.token {
            let token = token.expose_secret();
            if token.len() < 16 || !token.bytes().all(|b| b.is_ascii_graphic()) {
                problems.add(
                    "metrics.token",
                    "is too weak: use 16 or more printable characters, for example from `openssl rand -hex 24`",
                );
            }
        }
    }
}

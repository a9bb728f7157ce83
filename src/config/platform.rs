//! `[platform]`: the key that seals stored secrets and from which database passwords are derived.

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::error::ConfigError;
use crate::domain::platform_key::PlatformKey;

const ADVICE: &str = "make one with `openssl rand -base64 32`, keep a copy in a safe place, \
                      and set HELIXAI__PLATFORM__KEY to it";

/// The platform's own key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    /// The key, when set; [`PlatformSettings::key`] for commands that need it.
    #[serde(deserialize_with = "optional_key")]
    pub key: Option<PlatformKey>,
}

impl PlatformSettings {
    /// The platform key, for a command that cannot work without it.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when it is not set.
    pub fn key(&self) -> Result<&PlatformKey, ConfigError> {
        self.key.as_ref().ok_or(ConfigError::Missing {
            key: "platform.key",
            advice: ADVICE,
        })
    }
}

fn optional_key<'de, D: Deserializer<'de>>(value: D) -> Result<Option<PlatformKey>, D::Error> {
    let text = Zeroizing::new(String::deserialize(value)?);
    if text.trim().is_empty() {
        return Ok(None);
    }
    PlatformKey::parse(&text)
        .map(Some)
        .map_err(|invalid| D::Error::custom(format!("{invalid}: {ADVICE}")))
}

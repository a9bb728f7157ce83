//! `[platform]`: the key that seals stored secrets and from which database passwords are derived.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox};
use serde::Deserialize;

use super::error::ConfigError;

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

/// 32 secret bytes, written in base64. Copies share one piece of memory, wiped when the last goes.
#[derive(Clone)]
pub struct PlatformKey(Arc<SecretBox<[u8; 32]>>);

impl PlatformKey {
    /// The key's bytes, for key derivation only.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformKey([REDACTED])")
    }
}

/// A text that is not 32 random bytes in base64.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not 32 random bytes in base64: {ADVICE}")]
pub struct BadPlatformKey;

impl FromStr for PlatformKey {
    type Err = BadPlatformKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadPlatformKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| BadPlatformKey)?;
        // A key of one repeated byte is a placeholder that somebody forgot to replace.
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(BadPlatformKey);
        }
        Ok(Self(Arc::new(SecretBox::new(Box::new(bytes)))))
    }
}

fn optional_key<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<PlatformKey>, D::Error> {
    let text = String::deserialize(value)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

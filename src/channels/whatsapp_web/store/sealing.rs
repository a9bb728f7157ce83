//! Names and values as they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use wacore::store::error::{Result, StoreError};

use crate::db::tenant::whatsapp::keys::Key;
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;
use crate::domain::whatsapp_key::KeyKind;

/// Names of more bytes are stored as their digests: others choose them, and an index has limits.
const LONGEST: usize = 190;
/// Of two names that make one.
const LONGEST_PART: usize = 90;
/// What a digest begins with; no name of WhatsApp's does.
const DIGEST: char = '#';

/// Seals what one bot keeps.
pub(super) struct Sealing {
    key: PlatformKey,
    /// Whose.
    of: String,
}

impl Sealing {
    pub(super) fn new(key: PlatformKey, tenant: TenantId, instance: InstanceId) -> Self {
        Self {
            key,
            of: format!("whatsapp:{tenant}:{instance}"),
        }
    }

    /// A name as it is stored.
    pub(super) fn name(&self, name: &str) -> String {
        self.name_of(name, LONGEST, |char| char == '\0')
    }

    /// A name that is a part of another, where a space ends it.
    pub(super) fn part(&self, name: &str) -> String {
        self.name_of(name, LONGEST_PART, |char| char == '\0' || char == ' ')
    }

    fn name_of(&self, name: &str, longest: usize, strange: impl Fn(char) -> bool) -> String {
        if name.is_empty() || name.len() > longest || name.starts_with(DIGEST) || name.contains(strange) {
            self.digest(&[name])
        } else {
            name.to_owned()
        }
    }

    /// A name that is made of several, which stays unknown to who has not the platform's key.
    pub(super) fn digest(&self, parts: &[&str]) -> String {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&part.len().to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        let digest = self.key.fingerprint(&self.of, &text);
        let half = digest.first_chunk::<16>().copied().unwrap_or_default();
        format!("{DIGEST}{}", URL_SAFE_NO_PAD.encode(half))
    }

    fn context(&self, kind: &str, name: &str) -> String {
        format!("{}:{kind}:{name}", self.of)
    }

    pub(super) fn seal(&self, kind: KeyKind, name: &str, value: &[u8]) -> Vec<u8> {
        self.key.seal(&self.context(kind.as_str(), name), value)
    }

    /// The value of a row that must have one, opened.
    pub(super) fn value_of(&self, kind: KeyKind, key: &Key) -> Result<Zeroizing<Vec<u8>>> {
        let sealed = key.value.as_deref().unwrap_or_default();
        let opened = self.key.open(&self.context(kind.as_str(), &key.name), sealed);
        opened.ok_or_else(|| unopened(kind.as_str()))
    }

    pub(super) fn seal_device(&self, device: &[u8]) -> Vec<u8> {
        self.key.seal(&self.context("device", ""), device)
    }

    pub(super) fn open_device(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let opened = self.key.open(&self.context("device", ""), sealed);
        opened.ok_or_else(|| unopened("device"))
    }
}

/// It was sealed for another row, or with another key.
fn unopened(kind: &str) -> StoreError {
    StoreError::Validation(format!("a stored {kind} does not open"))
}

//! Codes with which a telephone links a bot: sealed for their tenant and bot, opened for whoever of the tenant asks.

use chrono::{DateTime, Utc};

use super::Channels;
use crate::db::tenant::whatsapp_codes::{CodeKind, StoredCode};
use crate::domain::ids::{InstanceId, TenantId};

/// A code that is good. It has no `Debug`: whoever has it links a device.
pub struct LinkCode {
    /// The text: of a QR code what it looks like to a camera.
    pub code: String,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// The how manieth it is since the bot was started.
    pub n: i32,
}

fn context(tenant: TenantId, instance: InstanceId, kind: CodeKind) -> String {
    format!("whatsapp_code:{}:{tenant}:{instance}", kind.as_str())
}

impl Channels {
    /// A code as it is stored.
    pub fn seal_code(&self, tenant: TenantId, instance: InstanceId, kind: CodeKind, code: &str) -> Vec<u8> {
        self.key.seal(&context(tenant, instance, kind), code.as_bytes())
    }

    /// A stored code; `None` when it is not good any more, or is another bot's or tenant's.
    pub fn open_code(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        kind: CodeKind,
        stored: &StoredCode,
    ) -> Option<LinkCode> {
        let expires_at = stored.expires_at.filter(|at| *at > self.clock.now())?;
        let sealed = stored.code_sealed.as_deref()?;
        let plain = self.key.open(&context(tenant, instance, kind), sealed)?;
        Some(LinkCode {
            code: String::from_utf8(plain.to_vec()).ok()?,
            expires_at,
            n: stored.n,
        })
    }
}

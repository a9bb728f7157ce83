//! Being told what was said: Telegram calls an address that names tenant and bot, with a secret that only the platform's key can make
//! for these two. So nothing is looked up for whoever comes without it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use teloxide_core::types::Update;

use super::read_update;
use crate::channels::Channels;
use crate::channels::inbound::WebhookError;
use crate::channels::standing::Standing;
use crate::db::tenant::{Access, instances};
use crate::domain::conversation::Channel;
use crate::domain::ids::{InstanceId, TenantId};

fn secret(channels: &Channels, tenant: TenantId, instance: InstanceId) -> String {
    let whose = format!("{tenant}:{instance}");
    URL_SAFE_NO_PAD.encode(channels.key.fingerprint("telegram_webhook", whose.as_bytes()))
}

/// Where a bot is told, and the secret that Telegram shows there; `None`: it asks.
pub(super) fn address(
    channels: &Channels,
    tenant: TenantId,
    instance: InstanceId,
) -> Option<(reqwest::Url, String)> {
    let hooks = channels.hooks.as_deref()?;
    let url = reqwest::Url::parse(&format!("{hooks}/hooks/telegram/{tenant}/{instance}")).ok()?;
    Some((url, secret(channels, tenant, instance)))
}

impl Channels {
    /// Whether whoever shows `presented` is Telegram, calling for this bot.
    pub fn is_telegram(&self, tenant: TenantId, instance: InstanceId, presented: &str) -> bool {
        let secret = secret(self, tenant, instance);
        secret.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// Stores what Telegram has brought for a bot, and has it answered. Runs after [`Channels::is_telegram`].
    ///
    /// # Errors
    /// See [`WebhookError`]; Telegram brings it again.
    pub async fn hear_telegram(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        body: &[u8],
    ) -> Result<(), WebhookError> {
        let update: Update = serde_json::from_slice(body).map_err(|_| WebhookError::Unreadable)?;
        let Some(heard) = read_update(&update) else {
            return Ok(());
        };
        let db = self.db(tenant).await?.ok_or(WebhookError::NotServed)?;
        // Who has canceled is not heard; Telegram brings it again.
        if !Standing::new(tenant).hears(self).await? {
            return Err(WebhookError::NotServed);
        }
        self.hear(&db, instance, Channel::Telegram, heard).await?;
        // Also when it was stored before: whoever stored it may have died then.
        if !self.here.wake(instance) {
            let access = Access::system(self.clock.now());
            db.run(&access, instances::wake(instance)).await?;
        }
        Ok(())
    }
}

//! Being told what was said: Telegram calls an address that names tenant and bot, with a secret that only the platform's key can make
//! for these two. So nothing is looked up for whoever comes without it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use teloxide_core::types::Update;

use super::read_update;
use crate::channels::Channels;
use crate::channels::inbound::WebhookError;
use crate::db::tenant::{Access, instances};
use crate::domain::conversation::Channel;
use crate::domain::ids::{InstanceId, TenantId};

/// The bot's number, and what only the platform can make for this number, bot and tenant: news of a bot that was here before are told
/// apart from those of the one that is here now.
fn secret(channels: &Channels, tenant: TenantId, instance: InstanceId, number: &str) -> String {
    let whose = format!("{tenant}:{instance}:{number}");
    let proof = URL_SAFE_NO_PAD.encode(channels.key.fingerprint("telegram_webhook", whose.as_bytes()));
    format!("{number}_{proof}")
}

/// Where a bot is told, and the secret that Telegram shows there; `None`: it asks.
pub(super) fn address(
    channels: &Channels,
    tenant: TenantId,
    instance: InstanceId,
    number: &str,
) -> Option<(reqwest::Url, String)> {
    let hooks = channels.hooks.as_deref()?;
    let url = reqwest::Url::parse(&format!("{hooks}/hooks/telegram/{tenant}/{instance}")).ok()?;
    Some((url, secret(channels, tenant, instance, number)))
}

impl Channels {
    /// The number of the bot for which whoever shows `presented` calls; `None` when that is not Telegram.
    pub fn telegram_calls<'a>(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        presented: &'a str,
    ) -> Option<&'a str> {
        let (number, _) = presented.split_once('_')?;
        let secret = secret(self, tenant, instance, number);
        bool::from(secret.as_bytes().ct_eq(presented.as_bytes())).then_some(number)
    }

    /// Stores what Telegram has brought for a bot of this number, and has it answered. Runs after [`Channels::telegram_calls`].
    ///
    /// # Errors
    /// See [`WebhookError`]; Telegram brings it again.
    pub async fn hear_telegram(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        number: &str,
        body: &[u8],
    ) -> Result<(), WebhookError> {
        let update: Update = serde_json::from_slice(body).map_err(|_| WebhookError::Unreadable)?;
        let Some(heard) = read_update(&update, number) else {
            return Ok(());
        };
        let served = self.served(tenant).await?.ok_or(WebhookError::NotServed)?;
        // Who has canceled is not heard; Telegram brings it again.
        if !served.standing.hears(self).await? {
            return Err(WebhookError::NotServed);
        }
        if let Err(error) = self.hear(&served.db, instance, Channel::Telegram, heard).await {
            self.called.forget(tenant);
            return Err(error.into());
        }
        // Also when it was stored before: whoever stored it may have died then.
        if !self.here.wake(instance) {
            let access = Access::system(self.clock.now());
            served.db.run(&access, instances::wake(instance)).await?;
        }
        Ok(())
    }
}

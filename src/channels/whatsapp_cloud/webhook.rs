//! Being told: Meta calls an address that names tenant and bot. It shows a token there once, when the address is entered at Meta; from then on it
//! signs what it brings with the secret of the tenant's own application. So nothing of it is read before the signature has proven good, and what is
//! signed by one tenant's application says nothing about another tenant.

use std::sync::Arc;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq as _;

use super::{Became, read_news};
use crate::billing::gateways::signature::is_signed;
use crate::channels::Channels;
use crate::channels::inbound::WebhookError;
use crate::channels::served::Served;
use crate::db::DbError;
use crate::db::tenant::inbound::Heard;
use crate::db::tenant::{Access, instances, receipts};
use crate::domain::bot_credentials::CloudAccount;
use crate::domain::conversation::Channel;
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::metering::{ActualUse, Amount, UsageKey};

/// Whose signature is computed when there is nobody: of no known text.
const NOBODY: &str = "nobody's secret, so that nobody is as slow as somebody";

/// A number that Meta may call for.
pub struct CloudHook {
    tenant: TenantId,
    instance: InstanceId,
    served: Arc<Served>,
    account: CloudAccount,
}

impl CloudHook {
    /// Whether `presented` is what Meta was told to show.
    pub fn is_shown(&self, presented: &str) -> bool {
        let token = self.account.verify_token.expose_secret();
        token.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// Whether this header (`X-Hub-Signature-256`) signs the body, with the application's secret. The work is the same when there is no such number.
pub fn is_meta(hook: Option<&CloudHook>, header: &str, body: &[u8]) -> bool {
    let secret = hook.map_or(NOBODY, |hook| hook.account.app_secret.expose_secret());
    let signature = header.strip_prefix("sha256=").unwrap_or_default();
    is_signed(secret, &[body], signature) && hook.is_some()
}

impl Channels {
    /// Where a number is told.
    pub fn cloud_address(&self, tenant: TenantId, instance: InstanceId) -> String {
        format!("{}/hooks/whatsapp-cloud/{tenant}/{instance}", self.base_url)
    }

    /// The number of this name, of a tenant that is served; `None` when there is none.
    ///
    /// # Errors
    /// When a database fails.
    pub async fn find_cloud_hook(
        &self,
        tenant: TenantId,
        instance: InstanceId,
    ) -> Result<Option<CloudHook>, DbError> {
        let Some(served) = self.served(tenant).await? else {
            return Ok(None);
        };
        // Whoever calls has proven nothing yet.
        let access = Access::system(self.clock.now()).known(false);
        let found = served.db.run(&access, instances::find_sealed(instance)).await;
        let stored = found.inspect_err(|_| self.called.forget(tenant))?.output;
        let stored = stored.filter(|stored| stored.channel == Channel::WhatsappCloud);
        let account = stored.and_then(|stored| self.open_account(tenant, instance, &stored.sealed));
        Ok(account.map(|account| CloudHook {
            tenant,
            instance,
            served,
            account,
        }))
    }

    /// Stores what Meta has brought for a number, and has it answered. Runs after [`is_meta`].
    ///
    /// # Errors
    /// See [`WebhookError`]; Meta brings it again.
    pub async fn hear_cloud(&self, hook: &CloudHook, body: &[u8]) -> Result<(), WebhookError> {
        let news = read_news(body).ok_or(WebhookError::Unreadable)?;
        // Who has canceled is not heard; Meta brings it again.
        if !hook.served.standing.hears(self).await? {
            return Err(WebhookError::NotServed);
        }
        for news in news {
            let instance = match news.phone_number_id == hook.account.phone_number_id {
                true => Some(hook.instance),
                false => self.beside(hook, &news.phone_number_id).await?,
            };
            let Some(instance) = instance else {
                tracing::info!(tenant_id = %hook.tenant, instance_id = %hook.instance,
                    "news of a number that is not this bot's are passed over: {}", hook.instance);
                continue;
            };
            for heard in news.said {
                self.hear_one(hook, instance, heard).await?;
            }
            self.note_receipts(hook, instance, &news.became).await?;
        }
        Ok(())
    }

    /// The tenant's own bot for another number of the same application: an application has one address for all its numbers.
    async fn beside(
        &self,
        hook: &CloudHook,
        phone_number_id: &str,
    ) -> Result<Option<InstanceId>, WebhookError> {
        let list = instances::list_sealed(Channel::WhatsappCloud);
        let others = hook
            .served
            .db
            .run(&Access::system(self.clock.now()), list)
            .await?
            .output;
        let secret = hook.account.app_secret.expose_secret().as_bytes();
        let other = others.into_iter().find(|(instance, sealed)| {
            let account = self.open_account(hook.tenant, *instance, sealed);
            account.is_some_and(|account| {
                let same: bool = account.app_secret.expose_secret().as_bytes().ct_eq(secret).into();
                same && account.phone_number_id == phone_number_id
            })
        });
        Ok(other.map(|(instance, _)| instance))
    }

    async fn hear_one(
        &self,
        hook: &CloudHook,
        instance: InstanceId,
        heard: Heard,
    ) -> Result<(), WebhookError> {
        match self
            .hear(&hook.served.db, instance, Channel::WhatsappCloud, heard)
            .await
        {
            Ok(_) => {}
            // Meta would bring it for days, and the rest with it.
            Err(error) if error.refusal().is_none() && !error.is_transient() => {
                tracing::error!(tenant_id = %hook.tenant, instance_id = %instance, %error,
                    "what was said to a bot cannot be stored, and is passed over: {instance}");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // Also when it was stored before: whoever stored it may have died then.
        if !self.here.wake(instance) {
            let access = Access::system(self.clock.now());
            hook.served.db.run(&access, instances::wake(instance)).await?;
        }
        Ok(())
    }

    /// Notes what has become of messages. One that waits to be sent still has been: whoever handed it over has not heard of it. It is booked before
    /// that is noted, as by whoever sends.
    async fn note_receipts(
        &self,
        hook: &CloudHook,
        instance: InstanceId,
        became: &[Became],
    ) -> Result<(), WebhookError> {
        if became.is_empty() {
            return Ok(());
        }
        let (access, now) = (Access::system(self.clock.now()), self.clock.now());
        let note = |booked| -> Vec<_> {
            became
                .iter()
                .map(|receipt| receipts::note(instance, receipt, booked, now))
                .collect()
        };
        let noted = hook.served.db.run(&access, note(false)).await?.output;
        let unbooked: Vec<_> = noted
            .into_iter()
            .filter_map(|(_, noted)| noted.unbooked)
            .collect();
        if unbooked.is_empty() {
            return Ok(());
        }
        for message in unbooked {
            let key = UsageKey::outbox(message.as_uuid());
            let settled = self
                .metering
                .settle(hook.tenant, &key, ActualUse::from(Amount::ONE))
                .await;
            if let Err(error) = settled {
                tracing::warn!(message_id = %message, %error, "a message was sent and is not booked: {message}");
            }
        }
        hook.served.db.run(&access, note(true)).await?;
        Ok(())
    }
}

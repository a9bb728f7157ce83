//! Credentials of bots: sealed in the tenant's row, for this tenant and this bot; and one token, or one number, once on the whole platform.
//!
//! Registry and schema have no common transaction. A token or a number is claimed in the registry first, then its bot is stored; who dies in
//! between leaves a claim without a bot, which counts no more when somebody asks for the token after a while.

use chrono::TimeDelta;

use super::Channels;
use super::outbound::Unsent;
use crate::db::master::bot_tokens;
use crate::db::tenant::{Access, instances};
use crate::db::{DbError, Refusal};
use crate::domain::bot_credentials::{CloudAccount, Credentials};
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::instance::BotToken;

/// How long a claim may be without its bot: longer than a request takes.
const UNPROVEN: TimeDelta = TimeDelta::minutes(2);

/// What credentials are sealed for.
fn context(tenant: TenantId, instance: InstanceId) -> String {
    format!("instance:{tenant}:{instance}")
}

impl Channels {
    /// Credentials as they are stored.
    pub fn seal_token(&self, tenant: TenantId, instance: InstanceId, credentials: &Credentials) -> Vec<u8> {
        self.key.seal(&context(tenant, instance), &credentials.plain())
    }

    /// A stored token; `None` when it is another bot's or tenant's, or was sealed with another key.
    pub fn open_token(&self, tenant: TenantId, instance: InstanceId, sealed: &[u8]) -> Option<BotToken> {
        let plain = self.key.open(&context(tenant, instance), sealed)?;
        BotToken::parse(std::str::from_utf8(&plain).ok()?).ok()
    }

    /// The same for a number of WhatsApp's Cloud API.
    pub fn open_account(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        sealed: &[u8],
    ) -> Option<CloudAccount> {
        let plain = self.key.open(&context(tenant, instance), sealed)?;
        CloudAccount::from_plain(&plain)
    }

    fn fingerprint(&self, credentials: &Credentials) -> [u8; 32] {
        let (kind, claimed) = credentials.claimed();
        self.key.fingerprint(kind, claimed)
    }

    /// Takes a token or a number for a bot; `false` when another bot has it, of whatever tenant.
    ///
    /// # Errors
    /// When the registry fails, or whoever claimed the token cannot be asked.
    pub async fn claim_token(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        credentials: &Credentials,
    ) -> Result<bool, DbError> {
        let (fingerprint, now) = (self.fingerprint(credentials), self.clock.now());
        let holder = bot_tokens::claim(&self.master, fingerprint, tenant, instance, now).await?;
        if (holder.tenant, holder.instance) == (tenant, instance) {
            return Ok(true);
        }
        if now - holder.since < UNPROVEN {
            return Ok(false);
        }
        if self.is_there(holder).await? && !self.is_anothers(holder, credentials).await? {
            return Ok(false);
        }
        bot_tokens::release(&self.master, Some(fingerprint), holder.instance).await?;
        let holder = bot_tokens::claim(&self.master, fingerprint, tenant, instance, now).await?;
        Ok((holder.tenant, holder.instance) == (tenant, instance))
    }

    /// Whether the bot that a token was claimed for was ever stored. A tenant that is not served just now keeps its claims.
    async fn is_there(&self, holder: bot_tokens::Holder) -> Result<bool, DbError> {
        let Some(db) = self.db(holder.tenant).await? else {
            return Ok(true);
        };
        let access = Access::system(self.clock.now());
        match db.run(&access, instances::exists(holder.instance)).await {
            Ok(reply) => Ok(reply.output),
            // Away for a moment: it keeps what it has.
            Err(error) if error.refusal().is_some_and(Refusal::is_about_the_tenant) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether a number, which is no secret, is held by somebody whom Meta does not let in, while it lets this one in.
    async fn is_anothers(&self, holder: bot_tokens::Holder, claimant: &Credentials) -> Result<bool, DbError> {
        let Credentials::WhatsappCloud(account) = claimant else {
            return Ok(false);
        };
        let Some(db) = self.db(holder.tenant).await? else {
            return Ok(false);
        };
        let access = Access::system(self.clock.now());
        let find = instances::find_sealed(holder.instance);
        let Ok(stored) = db.run(&access, find).await else {
            return Ok(false);
        };
        let held = stored
            .output
            .and_then(|stored| self.open_account(holder.tenant, holder.instance, &stored.sealed));
        let Some(held) = held else {
            return Ok(false);
        };
        let api = &self.whatsapp_cloud;
        Ok(api.ask(account).await.is_ok() && matches!(api.ask(&held).await, Err(Unsent::ShutOut(_))))
    }

    /// Lets what a bot has taken go: this, or whichever it has.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn release_token(
        &self,
        instance: InstanceId,
        credentials: Option<&Credentials>,
    ) -> Result<(), DbError> {
        let fingerprint = credentials.map(|credentials| self.fingerprint(credentials));
        bot_tokens::release(&self.master, fingerprint, instance).await
    }
}

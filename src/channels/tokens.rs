//! Credentials of bots: sealed in the tenant's row, for this tenant and this bot; and one token once on the whole platform.
//!
//! Registry and schema have no common transaction. A token is claimed in the registry first, then its bot is stored; who dies in
//! between leaves a claim without a bot, which counts no more when somebody asks for the token after a while.

use chrono::TimeDelta;
use secrecy::ExposeSecret;

use super::Channels;
use crate::db::master::bot_tokens;
use crate::db::tenant::{Access, instances};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::instance::BotToken;

/// How long a claim may be without its bot: longer than a request takes.
const UNPROVEN: TimeDelta = TimeDelta::minutes(2);

/// What credentials are sealed for.
fn context(tenant: TenantId, instance: InstanceId) -> String {
    format!("instance:{tenant}:{instance}")
}

impl Channels {
    /// A token as it is stored.
    pub fn seal_token(&self, tenant: TenantId, instance: InstanceId, token: &BotToken) -> Vec<u8> {
        let plain = token.secret().expose_secret().as_bytes();
        self.key.seal(&context(tenant, instance), plain)
    }

    /// A stored token; `None` when it is another bot's or tenant's, or was sealed with another key.
    pub fn open_token(&self, tenant: TenantId, instance: InstanceId, sealed: &[u8]) -> Option<BotToken> {
        let plain = self.key.open(&context(tenant, instance), sealed)?;
        BotToken::parse(std::str::from_utf8(&plain).ok()?).ok()
    }

    fn fingerprint(&self, token: &BotToken) -> [u8; 32] {
        let plain = token.secret().expose_secret().as_bytes();
        self.key.fingerprint("bot_token", plain)
    }

    /// Takes a token for a bot; `false` when another bot has it, of whatever tenant.
    ///
    /// # Errors
    /// When the registry fails, or whoever claimed the token cannot be asked.
    pub async fn claim_token(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        token: &BotToken,
    ) -> Result<bool, DbError> {
        let (fingerprint, now) = (self.fingerprint(token), self.clock.now());
        let holder = bot_tokens::claim(&self.master, fingerprint, tenant, instance, now).await?;
        if (holder.tenant, holder.instance) == (tenant, instance) {
            return Ok(true);
        }
        if now - holder.since < UNPROVEN || self.is_there(holder).await? {
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

    /// Lets the token of a bot go: this one, or whichever it has.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn release_token(&self, instance: InstanceId, token: Option<&BotToken>) -> Result<(), DbError> {
        let fingerprint = token.map(|token| self.fingerprint(token));
        bot_tokens::release(&self.master, fingerprint, instance).await
    }
}

//! Hearing: whatever a provider brings is stored first, and only then is the provider told that it has arrived.

use serde_json::Value;

use super::Channels;
use crate::db::DbError;
use crate::db::tenant::inbound::{self, Heard};
use crate::db::tenant::{Access, TenantDb};
use crate::domain::conversation::{BOT_PAUSE, Channel};
use crate::domain::ids::{ConversationId, InstanceId};
use crate::domain::message::FileState;

/// Most characters of what somebody says that are kept.
const BODY_MAX: usize = 65_536;

/// Why a webhook was not heard.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The secret or the signature is missing or another's.
    #[error("the secret or the signature is missing or wrong")]
    Secret,
    /// It says nothing that is known.
    #[error("the news cannot be read")]
    Unreadable,
    /// The tenant is not served.
    #[error("the tenant is not served")]
    NotServed,
    /// A database failed, or there is no such bot.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Channels {
    /// Stores something that was said to a bot; in which conversation. Repeated, it changes nothing.
    ///
    /// # Errors
    /// [`crate::db::Refusal::NotFound`] when there is no such bot; when the tenant is not served, or its database fails.
    pub async fn hear(
        &self,
        db: &TenantDb,
        instance: InstanceId,
        channel: Channel,
        heard: Heard,
    ) -> Result<ConversationId, DbError> {
        crate::kill_point!("channels.heard");
        let now = self.clock.now();
        let heard = storable(heard);
        let file = self.media.awaited(&heard);
        let store = inbound::store(instance, channel, heard, file, now);
        let (_, conversation) = db.run(&Access::system(now), store).await?.output;
        crate::kill_point!("channels.stored");
        self.have_fetched(instance, file);
        Ok(conversation)
    }

    /// When the bot runs elsewhere, whoever has brought the message wakes it there.
    fn have_fetched(&self, instance: InstanceId, file: Option<FileState>) {
        if file == Some(FileState::Pending) {
            self.here.wake(instance);
        }
    }

    /// Stores something that the bot's owner has said in its name elsewhere, on the telephone: the bot is silent there for a while.
    /// Repeated, it changes nothing.
    ///
    /// # Errors
    /// As [`Channels::hear`].
    pub async fn hear_own(
        &self,
        db: &TenantDb,
        instance: InstanceId,
        channel: Channel,
        said: Heard,
    ) -> Result<(), DbError> {
        let now = self.clock.now();
        let said = storable(said);
        let file = self.media.awaited(&said);
        let store = inbound::store_own(instance, channel, said, file, now + BOT_PAUSE, now);
        db.run(&Access::system(now), store).await?;
        self.have_fetched(instance, file);
        Ok(())
    }
}

/// What the database takes: no NUL, no endless texts, no names of nothing.
fn storable(mut heard: Heard) -> Heard {
    let clean = |text: String, most: usize| -> Option<String> {
        let text: String = text.chars().filter(|c| *c != '\0').take(most).collect();
        (!text.trim().is_empty()).then_some(text)
    };
    strip(&mut heard.payload);
    heard.body = heard.body.and_then(|body| clean(body, BODY_MAX));
    heard.name = heard
        .name
        .and_then(|name| clean(name, 200))
        .map(|name| name.trim().to_owned());
    heard
}

/// No NUL in any text of it.
fn strip(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Array(values) => values.iter_mut().for_each(strip),
        Value::Object(fields) => fields.values_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

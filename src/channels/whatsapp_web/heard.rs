//! Hearing: what is said is stored before WhatsApp is told that it has arrived. What was not stored comes again when the bot comes
//! back, and only then: so the bot is made to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::anyhow::{self, bail};
use whatsapp_rust::types::events::InboundMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

use super::events::News;
use super::files::Files;
use super::reading::{Said, read};
use crate::channels::Channels;
use crate::channels::session::{End, Running};
use crate::channels::standing::Standing;
use crate::db::DbError;
use crate::db::tenant::TenantDb;
use crate::domain::conversation::Channel;
use crate::domain::ids::{ConversationId, InstanceId};

/// Between two tries of storing something.
const AGAIN: Duration = Duration::from_secs(1);

/// Stores what a bot hears.
pub(super) struct Hearing {
    channels: Arc<Channels>,
    db: TenantDb,
    instance: InstanceId,
    standing: Standing,
    files: Files,
    stop: CancellationToken,
    news: UnboundedSender<News>,
}

impl Hearing {
    pub(super) fn of(running: &Running, news: UnboundedSender<News>) -> Self {
        Self {
            channels: Arc::clone(&running.channels),
            db: running.db.clone(),
            instance: running.instance,
            standing: Standing::new(running.tenant),
            files: Files::of(running),
            stop: running.stop.clone(),
            news,
        }
    }

    /// Stores it, however long that takes; in which conversation, if it is to be answered.
    async fn store(&self, said: &Said) -> Result<Option<ConversationId>, End> {
        // Who has canceled is not heard; WhatsApp keeps what it was not thanked for.
        if let Ok(false) = self.standing.hears(&self.channels).await {
            return Err(End::Retry("subscription_inactive"));
        }
        loop {
            let error = match self.try_store(said).await {
                Ok(conversation) => return Ok(conversation),
                Err(error) => error,
            };
            if error.refusal().is_some() {
                return Err(End::Retry("tenant_not_served"));
            }
            // Somebody has written the number down meanwhile, of whom it was not known yet.
            let known = matches!(&error, DbError::Constraint(name) if name == "contacts_phone_key");
            if !error.is_transient() && !known {
                tracing::error!(instance_id = %self.instance, %error,
                    "what was said to a bot cannot be stored, and is passed over: {}", self.instance);
                return Ok(None);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Stopped),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn try_store(&self, said: &Said) -> Result<Option<ConversationId>, DbError> {
        let (db, instance) = (&self.db, self.instance);
        match said {
            Said::Theirs(heard) => {
                let heard = heard.clone();
                let hear = self.channels.hear(db, instance, Channel::WhatsappWeb, heard);
                hear.await.map(Some)
            }
            Said::Ours(said) => {
                let said = said.clone();
                let note = self.channels.hear_own(db, instance, Channel::WhatsappWeb, said);
                note.await.map(|()| None)
            }
        }
    }
}

#[async_trait]
impl InboundDurabilityHook for Hearing {
    async fn on_messages(&self, client: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        for inbound in batch {
            let Some(said) = read(&client, &self.files, inbound).await else {
                continue;
            };
            match self.store(&said).await {
                Ok(Some(conversation)) => drop(self.news.send(News::Heard(conversation))),
                Ok(None) => {}
                Err(end) => {
                    drop(self.news.send(News::Deaf(end)));
                    bail!("not stored");
                }
            }
        }
        Ok(())
    }
}

//! With what later messages (votes, reactions, changes) speak of an earlier one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use wacore::store::error::Result;
use wacore::store::traits::{
    MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::{Store, count};
use crate::db::tenant::whatsapp::keys::{self, Key, Meeting};
use crate::domain::whatsapp_key::KeyKind::Secret;

#[async_trait]
impl MsgSecretStore for Store {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let stored = entries.len();
        let mut merged: BTreeMap<String, MsgSecretEntry> = BTreeMap::new();
        for mut entry in entries {
            let name = self.sealing.digest(&[&entry.chat, &entry.sender, &entry.msg_id]);
            if let Some(before) = merged.get(&name) {
                entry.expires_at = merge_msg_secret_expiry(before.expires_at, entry.expires_at);
                entry.message_ts = merge_msg_secret_message_ts(before.message_ts, entry.message_ts);
            }
            merged.insert(name, entry);
        }
        let keys = merged.into_iter().map(|(name, entry)| Key {
            at: Some(entry.message_ts),
            also_at: Some(entry.expires_at),
            ..self.key(Secret, name, &entry.secret)
        });
        self.put(Secret, keys.collect(), Meeting::Prolonged).await?;
        Ok(stored)
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let name = self.sealing.digest(&[chat, sender, msg_id]);
        let found = self.run(keys::find(self.instance, Secret, name)).await?;
        let opened = found.map(|key| {
            let secret = self.sealing.value_of(Secret, &key)?;
            Ok((secret.to_vec(), key.at.unwrap_or_default()))
        });
        opened.transpose()
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        let delete = keys::delete_expired_secrets(self.instance, cutoff_timestamp);
        self.run(delete).await.map(count)
    }
}

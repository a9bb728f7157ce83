//! Conversations from device to device.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::SignalStore;

use super::Store;
use crate::db::tenant::whatsapp::keys;
use crate::domain::whatsapp_key::KeyKind::{Identity, Prekey, SenderKey, Session, SignedPrekey};

/// A number as a name: all are of one length, so that the greatest is the last.
fn numbered(id: u32) -> String {
    format!("{id:010}")
}

fn number(name: &str) -> Result<u32> {
    let number = name.parse();
    number.map_err(|_| StoreError::Validation("a prekey without a number".to_owned()))
}

#[async_trait]
impl SignalStore for Store {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put_values(Identity, [(address, key)]).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        self.put_values(Identity, identities.iter().map(|(address, key)| (address, key)))
            .await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let found = self.find(Identity, address).await?;
        let key = found.map(|key| key.as_slice().try_into());
        key.transpose()
            .map_err(|_| StoreError::Validation("an identity of another length".to_owned()))
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.delete(Identity, address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        let found = self.find(Session, address).await?;
        Ok(found.map(|session| Bytes::copy_from_slice(&session)))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put_values(Session, [(address, session)]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_values(
            Session,
            sessions.iter().map(|(address, session)| (address, session)),
        )
        .await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.delete(Session, address).await
    }

    async fn has_session(&self, address: &str) -> Result<bool> {
        let name = self.sealing.name(address);
        self.run(keys::exists(self.instance, Session, name)).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        self.run(keys::knows_user(self.instance, &self.sealing.name(user)))
            .await
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put_values(Prekey, [(numbered(id), record)]).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        self.put_values(Prekey, keys.iter().map(|(id, record)| (numbered(*id), record)))
            .await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        let found = self.find(Prekey, &numbered(id)).await?;
        Ok(found.map(|record| Bytes::copy_from_slice(&record)))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let names = ids.iter().copied().map(numbered).collect();
        let found = self.run(keys::find_many(self.instance, Prekey, names)).await?;
        let opened = found.iter().map(|key| {
            let record = self.sealing.value_of(Prekey, key)?;
            Ok((number(&key.name)?, Bytes::copy_from_slice(&record)))
        });
        opened.collect()
    }

    /// Which ones WhatsApp has is said by the device's own numbers; nothing asks for it here.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.delete(Prekey, &numbered(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let last = self.run(keys::last_name(self.instance, Prekey)).await?;
        last.map_or(Ok(0), |name| number(&name))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put_values(SignedPrekey, [(numbered(id), record)]).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        let found = self.find(SignedPrekey, &numbered(id)).await?;
        Ok(found.map(|record| record.to_vec()))
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let found = self.run(keys::list(self.instance, SignedPrekey, "")).await?;
        let opened = found.iter().map(|key| {
            let record = self.sealing.value_of(SignedPrekey, key)?;
            Ok((number(&key.name)?, record.to_vec()))
        });
        opened.collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.delete(SignedPrekey, &numbered(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put_values(SenderKey, [(address, record)]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_values(
            SenderKey,
            sender_keys.iter().map(|(address, record)| (address, record)),
        )
        .await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        let found = self.find(SenderKey, address).await?;
        Ok(found.map(|record| record.to_vec()))
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.delete(SenderKey, address).await
    }
}

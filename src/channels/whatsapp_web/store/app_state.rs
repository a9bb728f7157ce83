//! The account's settings, which all its devices share.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::{Store, read, written};
use crate::db::tenant::whatsapp::keys::{self, Meeting};
use crate::domain::whatsapp_key::KeyKind::{Mac, SyncKey, SyncVersion};

impl Store {
    /// What the MACs of a collection begin with.
    fn collection(&self, name: &str) -> String {
        format!("{} ", self.sealing.part(name))
    }

    fn mac(&self, name: &str, index_mac: &[u8]) -> String {
        let index = self.sealing.part(&URL_SAFE_NO_PAD.encode(index_mac));
        format!("{}{index}", self.collection(name))
    }
}

#[async_trait]
impl AppSyncStore for Store {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        let found = self.find(SyncKey, &URL_SAFE_NO_PAD.encode(key_id)).await?;
        found.map(|key| read(SyncKey.as_str(), &key)).transpose()
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let name = self.sealing.name(&URL_SAFE_NO_PAD.encode(key_id));
        let value = self.sealing.seal(SyncKey, &name, &written(&key)?);
        self.run(keys::put_latest_sync_key(self.instance, name, value))
            .await?;
        Ok(())
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        let found = self.find(SyncVersion, name).await?;
        found.map_or_else(
            || Ok(HashState::default()),
            |state| read(SyncVersion.as_str(), &state),
        )
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put_values(SyncVersion, [(name, written(&state)?)]).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let macs = mutations
            .iter()
            .map(|mac| self.key(Mac, self.mac(name, &mac.index_mac), &mac.value_mac));
        self.put(Mac, macs.collect(), Meeting::Replaced).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        let find = keys::find(self.instance, Mac, self.mac(name, index_mac));
        let found = self.open_one(Mac, find).await?;
        Ok(found.map(|mac| mac.to_vec()))
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let asked: HashMap<String, [u8; 32]> = index_macs
            .iter()
            .map(|index| (self.mac(name, index), *index))
            .collect();
        let names = asked.keys().cloned().collect();
        let found = self.run(keys::find_many(self.instance, Mac, names)).await?;
        let opened = found.iter().filter_map(|key| {
            let index = asked.get(&key.name)?;
            let value = self.sealing.value_of(Mac, key);
            Some(value.map(|value| (*index, value.to_vec())))
        });
        opened.collect()
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let names = index_macs.iter().map(|index| self.mac(name, index)).collect();
        self.run(keys::delete(self.instance, Mac, names)).await?;
        Ok(())
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let beginning = self.collection(name);
        self.run(keys::delete_beginning(self.instance, Mac, &beginning))
            .await?;
        Ok(())
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        let name = self.run(keys::latest_name(self.instance, SyncKey)).await?;
        let id = name.map(|name| URL_SAFE_NO_PAD.decode(name));
        id.transpose()
            .map_err(|_| StoreError::Validation("a sync key without an id".to_owned()))
    }
}

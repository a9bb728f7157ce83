//! What is known of others, and messages that are kept for a while.

use std::collections::BTreeMap;

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;
use wacore::store::error::Result;
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

use super::{Store, count, read, written};
use crate::db::tenant::whatsapp::keys::{self, Key, Meeting};
use crate::domain::whatsapp_key::KeyKind::{
    self, BaseKey, DeviceList, Group, GroupDevice, Inbound, Lid, Pn, Sent, TcToken,
};

impl Store {
    /// What the devices of a group begin with.
    fn group(&self, group: &str) -> String {
        format!("{} ", self.sealing.part(group))
    }

    /// A message that is kept from now on.
    fn kept(&self, kind: KeyKind, of: &[&str], message: &[u8]) -> Key {
        Key {
            at: Some(self.clock.now().timestamp()),
            ..self.key(kind, self.sealing.digest(of), message)
        }
    }

    fn token(&self, jid: &str, entry: &TcTokenEntry) -> Key {
        let name = self.sealing.name(jid);
        let value = (!entry.token.is_empty()).then(|| self.sealing.seal(TcToken, &name, &entry.token));
        Key {
            name,
            value,
            other: None,
            at: Some(entry.token_timestamp),
            also_at: entry.sender_timestamp,
        }
    }

    async fn put_token(&self, jid: &str, entry: &TcTokenEntry, meeting: Meeting) -> Result<()> {
        self.put(TcToken, vec![self.token(jid, entry)], meeting).await
    }

    async fn put_device_lists(&self, records: &[DeviceListRecord]) -> Result<()> {
        let written: Result<Vec<_>> = records
            .iter()
            .map(|record| Ok((record.user.as_str(), written(record)?)))
            .collect();
        self.put_values(DeviceList, written?).await
    }

    /// A hidden name, and its number.
    fn aliases(&self, entry: &LidPnMappingEntry) -> Result<(Key, Key)> {
        let lid = Key {
            other: Some(self.sealing.name(&entry.phone_number)),
            at: Some(entry.updated_at),
            ..self.key(Lid, self.sealing.name(&entry.lid), &written(entry)?)
        };
        let number = Key {
            name: self.sealing.name(&entry.phone_number),
            other: Some(lid.name.clone()),
            at: lid.at,
            ..Key::default()
        };
        Ok((lid, number))
    }
}

#[async_trait]
impl ProtocolStore for Store {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let group = self.group(group_jid);
        let found = self.run(keys::list(self.instance, GroupDevice, &group)).await?;
        let devices = found.iter().filter_map(|key| {
            let device = key.name.strip_prefix(&group)?;
            Some((device.to_owned(), key.at == Some(1)))
        });
        Ok(devices.collect())
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let group = self.group(group_jid);
        let devices = entries.iter().map(|(device, has_key)| Key {
            name: format!("{group}{}", self.sealing.part(device)),
            at: Some(i64::from(*has_key)),
            ..Key::default()
        });
        self.put(GroupDevice, devices.collect(), Meeting::Replaced).await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        let group = self.group(group_jid);
        self.run(keys::delete_beginning(self.instance, GroupDevice, &group))
            .await?;
        Ok(())
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        let devices: Vec<String> = device_jids.iter().map(|jid| self.sealing.part(jid)).collect();
        if !devices.is_empty() {
            self.run(keys::delete_ending(self.instance, GroupDevice, devices))
                .await?;
        }
        Ok(())
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.run(keys::delete_beginning(self.instance, GroupDevice, ""))
            .await?;
        Ok(())
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        let found = self.find(Lid, lid).await?;
        found.map(|entry| read(Lid.as_str(), &entry)).transpose()
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let number = self.sealing.name(phone);
        let found = self
            .open_one(Lid, keys::find_by_number(self.instance, number))
            .await?;
        found.map(|entry| read(Lid.as_str(), &entry)).transpose()
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        // The last word on a hidden name counts, and of those with one number the one that was learnt last.
        let mut lids = BTreeMap::new();
        for entry in entries {
            let (lid, number) = self.aliases(entry)?;
            lids.insert(lid.name.clone(), (lid, number));
        }
        if lids.is_empty() {
            return Ok(());
        }
        let (lids, numbers): (Vec<Key>, Vec<Key>) = lids.into_values().unzip();
        let names = lids.iter().map(|key| key.name.clone()).collect();
        let their_numbers = numbers.iter().map(|key| key.name.clone()).collect();
        let part = keys::part_from_numbers(self.instance, names, their_numbers);
        let mut latest: BTreeMap<String, Key> = BTreeMap::new();
        for number in numbers {
            if latest.get(&number.name).is_none_or(|other| other.at <= number.at) {
                latest.insert(number.name.clone(), number);
            }
        }
        let numbers = latest.into_values().collect();
        let put_lids = keys::put(self.instance, Lid, lids, Meeting::Replaced);
        let put_numbers = keys::put(self.instance, Pn, numbers, Meeting::ReplacedByLater);
        self.run((part, put_lids, put_numbers)).await?;
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let found = self.run(keys::list(self.instance, Lid, "")).await?;
        let opened = found
            .iter()
            .map(|key| read(Lid.as_str(), &self.sealing.value_of(Lid, key)?));
        opened.collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        let key = self.key(BaseKey, self.sealing.digest(&[address, message_id]), base_key);
        self.put(BaseKey, vec![key], Meeting::Replaced).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let name = self.sealing.digest(&[address, message_id]);
        let find = keys::find(self.instance, BaseKey, name);
        let found = self.open_one(BaseKey, find).await?;
        Ok(found.is_some_and(|key| key.ct_eq(current_base_key).into()))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        let names = vec![self.sealing.digest(&[address, message_id])];
        self.run(keys::delete(self.instance, BaseKey, names)).await?;
        Ok(())
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.put_device_lists(&[record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        self.put_device_lists(&records).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        let found = self.find(DeviceList, user).await?;
        found.map(|record| read(DeviceList.as_str(), &record)).transpose()
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.delete(DeviceList, user).await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        let found = self.find(Group, group_jid).await?;
        Ok(found.map(|group| group.to_vec()))
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put_values(Group, [(group_jid, blob)]).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.delete(Group, group_jid).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        let name = self.sealing.name(jid);
        let Some(key) = self.run(keys::find(self.instance, TcToken, name)).await? else {
            return Ok(None);
        };
        let token = match &key.value {
            Some(_) => self.sealing.value_of(TcToken, &key)?.to_vec(),
            None => Vec::new(),
        };
        Ok(Some(TcTokenEntry {
            token,
            token_timestamp: key.at.unwrap_or_default(),
            sender_timestamp: key.also_at,
        }))
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.put_token(jid, entry, Meeting::Replaced).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.delete(TcToken, jid).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let found = self.run(keys::list(self.instance, TcToken, "")).await?;
        Ok(found.into_iter().map(|key| key.name).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let delete = keys::delete_expired_tokens(self.instance, token_cutoff, sender_cutoff);
        self.run(delete).await.map(count)
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        let entry = TcTokenEntry {
            token: Vec::new(),
            token_timestamp: sender_timestamp,
            sender_timestamp: Some(sender_timestamp),
        };
        self.put_token(jid, &entry, Meeting::Touched).await
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], token_timestamp: i64) -> Result<()> {
        let entry = TcTokenEntry {
            token: token.to_vec(),
            token_timestamp,
            sender_timestamp: None,
        };
        self.put_token(jid, &entry, Meeting::Received).await
    }

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        let key = self.kept(Sent, &[chat_jid, message_id], payload);
        self.put(Sent, vec![key], Meeting::Replaced).await
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let name = self.sealing.digest(&[chat_jid, message_id]);
        let taken = self.open_one(Sent, keys::take(self.instance, Sent, name)).await?;
        Ok(taken.map(|payload| payload.to_vec()))
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        let delete = keys::delete_before(self.instance, Sent, cutoff_timestamp);
        self.run(delete).await.map(count)
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        let row = PendingInboundRow {
            chat,
            sender,
            id,
            message,
        };
        self.store_pending_inbound_batch(&[row]).await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let name = self.sealing.digest(&[chat, sender, id]);
        let find = keys::find(self.instance, Inbound, name);
        let found = self.open_one(Inbound, find).await?;
        Ok(found.map(|message| message.to_vec()))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }])
            .await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        let delete = keys::delete_before(self.instance, Inbound, cutoff_timestamp);
        self.run(delete).await.map(count)
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let keys = rows
            .iter()
            .map(|row| self.kept(Inbound, &[row.chat, row.sender, row.id], row.message));
        self.put(Inbound, keys.collect(), Meeting::Replaced).await
    }

    async fn delete_pending_inbound_batch(&self, rows: &[PendingInboundKey<'_>]) -> Result<()> {
        let names = rows
            .iter()
            .map(|row| self.sealing.digest(&[row.chat, row.sender, row.id]))
            .collect();
        self.run(keys::delete(self.instance, Inbound, names)).await?;
        Ok(())
    }
}

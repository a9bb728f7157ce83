//! The client's own store, in memory, and ours are told and asked the same, in an order that chance decides.

use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::InMemoryBackend;
use wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};

use super::Shop;
use crate::helpers::TestPlatform;

/// Names as WhatsApp has them, and such as somebody may invent.
const USERS: [&str; 4] = ["5511987650001", "55119876500", "100000012345678", "zé\u{0} ção"];
const GROUPS: [&str; 3] = ["120363021033254949@g.us", "120363021033254949@g.usa", "a b"];

/// Numbers that decide what is told or asked.
#[derive(Debug, Clone, Copy)]
struct Dice {
    what: u32,
    name: usize,
    value: u8,
    now: i64,
}

impl Dice {
    fn user(self) -> &'static str {
        USERS[self.name % USERS.len()]
    }

    fn group(self) -> &'static str {
        GROUPS[self.name % GROUPS.len()]
    }

    fn address(self) -> String {
        match self.value % 3 {
            0 => format!("{}@s.whatsapp.net", self.user()),
            device => format!("{}:{device}@lid", self.user()),
        }
    }

    /// Some are long, and all differ.
    fn bytes(self) -> Vec<u8> {
        [self.value, self.now as u8].repeat(1 + usize::from(self.value) * 20)
    }

    fn id(self) -> u32 {
        [0, 1, 9, 10, 812, u32::MAX][self.name % 6]
    }

    fn message(self) -> String {
        match self.value % 4 {
            0 => String::new(),
            1 => "x".repeat(5_000),
            n => format!("3EB0{n}"),
        }
    }
}

fn sorted<T: std::fmt::Debug>(found: Vec<T>) -> String {
    let mut found: Vec<String> = found.iter().map(|one| format!("{one:?}")).collect();
    found.sort();
    format!("{found:?}")
}

async fn signal(store: &dyn Backend, dice: Dice) -> String {
    let (address, bytes, id) = (dice.address(), dice.bytes(), dice.id());
    let shared: Arc<str> = Arc::from(address.as_str());
    let key = [dice.value; 32];
    let both = || {
        [
            (Arc::clone(&shared), Bytes::from(bytes.clone())),
            (Arc::from("a:1@lid"), Bytes::new()),
        ]
    };
    match dice.what % 25 {
        0 => format!("{:?}", store.put_identity(&address, key).await),
        1 => format!(
            "{:?}",
            store
                .put_identities_batch(&[(shared, key), (Arc::from("b"), key)])
                .await
        ),
        2 => format!("{:?}", store.load_identity(&address).await),
        3 => format!("{:?}", store.delete_identity(&address).await),
        4 => format!("{:?}", store.get_session(&address).await),
        5 => format!("{:?}", store.put_session(&address, &bytes).await),
        6 => format!("{:?}", store.put_sessions_batch(&both()).await),
        7 => format!("{:?}", store.delete_session(&address).await),
        8 => format!("{:?}", store.has_session(&address).await),
        9 => format!(
            "{:?}",
            store.has_signal_state_for_user(USERS[dice.name % 3]).await
        ),
        10 => format!("{:?}", store.store_prekey(id, &bytes, false).await),
        11 => {
            let keys: Vec<_> = (0..5)
                .map(|n| (id ^ n, Bytes::from(vec![dice.value, n as u8])))
                .collect();
            format!("{:?}", store.store_prekeys_batch(&keys, true).await)
        }
        12 => format!("{:?}", store.load_prekey(id).await),
        13 => sorted(
            store
                .load_prekeys_batch(&[0, 1, 2, 3, 9, 812, 7_777])
                .await
                .expect("prekeys"),
        ),
        14 => format!("{:?}", store.mark_prekeys_uploaded(&[id, 77]).await),
        15 => format!("{:?}", store.remove_prekey(id).await),
        16 => format!("{:?}", store.get_max_prekey_id().await),
        17 => format!("{:?}", store.store_signed_prekey(id, &bytes).await),
        18 => format!("{:?}", store.load_signed_prekey(id).await),
        19 => sorted(store.load_all_signed_prekeys().await.expect("signed prekeys")),
        20 => format!("{:?}", store.remove_signed_prekey(id).await),
        21 => format!("{:?}", store.put_sender_key(&address, &bytes).await),
        22 => format!("{:?}", store.put_sender_keys_batch(&both()).await),
        23 => format!("{:?}", store.get_sender_key(&address).await),
        _ => format!("{:?}", store.delete_sender_key(&address).await),
    }
}

async fn settings(store: &dyn Backend, dice: Dice) -> String {
    let name = ["regular", "regular_low", "a b"][dice.name % 3];
    let index = |n: u8| [dice.value.wrapping_add(n) % 8; 32];
    match dice.what % 11 {
        0 => format!(
            "{:?}",
            store
                .get_sync_key(&[dice.value % 4])
                .await
                .expect("a key")
                .map(|key| key.key_data)
        ),
        1 => {
            let key = AppStateSyncKey {
                key_data: dice.bytes(),
                fingerprint: vec![1],
                timestamp: dice.now,
            };
            format!("{:?}", store.set_sync_key(&[dice.value % 4], key).await)
        }
        2 => format!("{:?}", store.get_latest_sync_key_id().await),
        3 => format!("{:?}", store.get_version(name).await),
        4 => {
            let mut state = HashState {
                version: dice.now as u64,
                hash: [dice.value; 128],
                ..HashState::default()
            };
            state.index_value_map.insert("a".to_owned(), dice.bytes());
            format!("{:?}", store.set_version(name, state).await)
        }
        5 | 6 => {
            let macs: Vec<_> = (0..4)
                .map(|n| AppStateMutationMAC {
                    index_mac: index(n).to_vec(),
                    value_mac: vec![dice.now as u8, n],
                })
                .collect();
            format!("{:?}", store.put_mutation_macs(name, 1, &macs).await)
        }
        7 => format!("{:?}", store.get_mutation_mac(name, &index(0)).await),
        8 => {
            let found = store
                .get_mutation_macs(name, &[index(0), index(1), index(2), [99; 32]])
                .await;
            sorted(found.expect("macs").into_iter().collect())
        }
        9 => format!(
            "{:?}",
            store
                .delete_mutation_macs(name, &[index(0).to_vec(), index(3).to_vec()])
                .await
        ),
        _ => format!("{:?}", store.clear_mutation_macs(name).await),
    }
}

async fn groups(store: &dyn Backend, dice: Dice) -> String {
    let (group, device) = (dice.group(), dice.address());
    match dice.what % 10 {
        0 | 1 => {
            // As the network has them: what is listed again has to be told apart.
            let device = device.replace(['\0', ' '], "");
            let entries = [(device.as_str(), dice.value.is_multiple_of(2)), ("x:9@lid", true)];
            format!("{:?}", store.set_sender_key_status(group, &entries).await)
        }
        2 | 3 => sorted(store.get_sender_key_devices(group).await.expect("devices")),
        4 => format!("{:?}", store.clear_sender_key_devices(group).await),
        5 => format!(
            "{:?}",
            store.delete_sender_key_device_rows(&[&device, "nobody"]).await
        ),
        6 => format!("{:?}", store.clear_all_sender_key_devices().await),
        7 => format!("{:?}", store.get_group_metadata(group).await),
        8 => format!("{:?}", store.put_group_metadata(group, &dice.bytes()).await),
        _ => format!("{:?}", store.delete_group_metadata(group).await),
    }
}

async fn people(store: &dyn Backend, dice: Dice) -> String {
    let user = USERS[dice.name % 3];
    // Each hidden name has two numbers of its own.
    let alias = |name: usize| LidPnMappingEntry {
        lid: format!("lid{name}"),
        phone_number: format!("{name}-{}", dice.value % 2),
        created_at: dice.now,
        updated_at: dice.now,
        learning_source: "usync".to_owned(),
    };
    let list = |user: &str| DeviceListRecord {
        user: user.to_owned(),
        devices: vec![DeviceInfo::new(u32::from(dice.value), Some(3)).with_hosting(true)],
        timestamp: dice.now,
        phash: Some("2:x".to_owned()),
        raw_id: Some(7),
    };
    match dice.what % 13 {
        0 => format!("{:?}", store.get_lid_mapping(&alias(dice.name % 3).lid).await),
        1 => format!(
            "{:?}",
            store.get_pn_mapping(&alias(dice.name % 3).phone_number).await
        ),
        2 => format!("{:?}", store.put_lid_mapping(&alias(dice.name % 3)).await),
        3 => format!(
            "{:?}",
            store.put_lid_mappings(&[alias(0), alias(2), alias(0)]).await
        ),
        4 => sorted(store.get_all_lid_mappings().await.expect("aliases")),
        5 => format!(
            "{:?}",
            store.save_base_key(user, &dice.message(), &dice.bytes()).await
        ),
        6 => format!(
            "{:?}",
            store
                .has_same_base_key(user, &dice.message(), &dice.bytes())
                .await
        ),
        7 => format!("{:?}", store.delete_base_key(user, &dice.message()).await),
        8 => format!("{:?}", store.update_device_list(list(user)).await),
        9 => format!(
            "{:?}",
            store
                .update_device_lists(vec![list("a"), list(user), list("a")])
                .await
        ),
        10 | 11 => format!("{:?}", store.get_devices(user).await),
        _ => format!("{:?}", store.delete_devices(user).await),
    }
}

async fn tokens(store: &dyn Backend, dice: Dice) -> String {
    let (jid, then) = (USERS[dice.name % 3], i64::from(dice.value));
    let bytes = if dice.value.is_multiple_of(5) {
        Vec::new()
    } else {
        dice.bytes()
    };
    match dice.what % 9 {
        0 | 1 => format!("{:?}", store.get_tc_token(jid).await),
        2 => {
            let entry = TcTokenEntry {
                token: bytes,
                token_timestamp: then,
                sender_timestamp: dice.value.is_multiple_of(2).then_some(then),
            };
            format!("{:?}", store.put_tc_token(jid, &entry).await)
        }
        3 => format!("{:?}", store.delete_tc_token(jid).await),
        4 => sorted(store.get_all_tc_token_jids().await.expect("tokens")),
        5 => format!("{:?}", store.delete_expired_tc_tokens(then / 2, then / 3).await),
        6 => format!("{:?}", store.touch_tc_token_sender_timestamp(jid, then).await),
        _ => format!("{:?}", store.store_received_tc_token(jid, &bytes, then).await),
    }
}

async fn messages(store: &dyn Backend, dice: Dice) -> String {
    let (chat, sender, id, bytes) = (dice.group(), dice.user(), dice.message(), dice.bytes());
    let entry = |expires_at| MsgSecretEntry {
        chat: Arc::from(chat),
        sender: Arc::from(sender),
        msg_id: Arc::from(id.as_str()),
        secret: [dice.value; 32],
        expires_at,
        message_ts: dice.now % 5,
    };
    match dice.what % 16 {
        0 => format!("{:?}", store.store_sent_message(chat, &id, &bytes).await),
        1 => format!("{:?}", store.take_sent_message(chat, &id).await),
        // Nothing is as old as that, and all is older than a day from now.
        2 => format!("{:?}", store.delete_expired_sent_messages(1_000).await),
        3 => format!(
            "{:?}",
            store
                .delete_expired_sent_messages(wacore::time::now_secs() + 86_400)
                .await
        ),
        4 => format!(
            "{:?}",
            store.store_pending_inbound(chat, sender, &id, &bytes).await
        ),
        5 | 6 => format!("{:?}", store.get_pending_inbound(chat, sender, &id).await),
        7 => format!("{:?}", store.delete_pending_inbound(chat, sender, &id).await),
        8 => {
            let row = |message| PendingInboundRow {
                chat,
                sender,
                id: &id,
                message,
            };
            format!(
                "{:?}",
                store
                    .store_pending_inbound_batch(&[row(b"one"), row(&bytes)])
                    .await
            )
        }
        9 => {
            let key = PendingInboundKey {
                chat,
                sender,
                id: &id,
            };
            format!("{:?}", store.delete_pending_inbound_batch(&[key, key]).await)
        }
        10 => format!(
            "{:?}",
            store
                .delete_expired_pending_inbound(wacore::time::now_secs() + 86_400)
                .await
        ),
        11 => {
            let entries = vec![entry(dice.now), entry(i64::from(dice.value % 2) * (dice.now + 9))];
            format!("{:?}", store.put_msg_secrets(entries).await)
        }
        12 => format!(
            "{:?}",
            store.put_msg_secret(chat, sender, &id, &[dice.value; 32]).await
        ),
        13 => format!("{:?}", store.get_msg_secret(chat, sender, &id).await),
        14 => format!("{:?}", store.get_msg_secret_with_ts(chat, sender, &id).await),
        _ => format!("{:?}", store.delete_expired_msg_secrets(dice.now - 20).await),
    }
}

async fn step(store: &dyn Backend, area: u32, dice: Dice) -> String {
    match area {
        0 => signal(store, dice).await,
        1 => settings(store, dice).await,
        2 => groups(store, dice).await,
        3 => people(store, dice).await,
        4 => tokens(store, dice).await,
        _ => messages(store, dice).await,
    }
}

#[tokio::test]
async fn it_answers_as_the_clients_own_store_in_memory() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    for seed in 0..4 {
        let store = shop.open(&test, shop.bot(&admin).await).await;
        let model = InMemoryBackend::new();
        let mut random = StdRng::seed_from_u64(seed);
        for now in 1..700 {
            let dice = Dice {
                what: random.random_range(0..u32::MAX),
                name: random.random_range(0..100),
                value: random.random_range(0..12),
                now,
            };
            let area = random.random_range(0..6);
            let expected = step(&model, area, dice).await;
            assert_eq!(
                step(store.as_ref(), area, dice).await,
                expected,
                "{seed}: {area} {dice:?}"
            );
        }
    }
}

/// The last who was learnt to have a number has it; who had it before does not lose it by that one's next number.
#[tokio::test]
async fn a_number_leads_to_whoever_had_it_last() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let opened = shop.open(&test, shop.bot(&admin).await).await;
    let store: &dyn Backend = opened.as_ref();
    let alias = |lid: &str, phone: &str, at| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: at,
        updated_at: at,
        learning_source: "usync".to_owned(),
    };
    let owner = async |phone: &str| store.get_pn_mapping(phone).await.unwrap().map(|entry| entry.lid);
    store.put_lid_mapping(&alias("a", "1", 1)).await.unwrap();
    store.put_lid_mapping(&alias("b", "1", 2)).await.unwrap();
    assert_eq!(owner("1").await.as_deref(), Some("b"));
    store.put_lid_mapping(&alias("a", "2", 3)).await.unwrap();
    assert_eq!(owner("1").await.as_deref(), Some("b"));
    assert_eq!(owner("2").await.as_deref(), Some("a"));
    // What was learnt earlier comes late.
    store
        .put_lid_mappings(&[alias("c", "2", 2), alias("d", "3", 9), alias("e", "3", 8)])
        .await
        .unwrap();
    assert_eq!(owner("2").await.as_deref(), Some("a"));
    assert_eq!(owner("3").await.as_deref(), Some("d"));
}

//! What a bot keeps is of no use to anybody else, and goes with the bot.

use bytes::Bytes;
use helixai::channels::whatsapp_web::store::backup;
use helixai::db::Refusal;
use helixai::domain::ids::InstanceId;
use wacore::store::Device;
use wacore::store::error::StoreError;
use wacore::store::traits::{Backend, DeviceStore as _, ProtocolStore as _, SignalStore as _};

use super::Shop;
use crate::helpers::TestPlatform;

const ADDRESS: &str = "5511987650001@s.whatsapp.net";
const SECRET: &[u8] = b"a session that nobody may see";

async fn with_a_session(store: &dyn Backend) {
    store.put_session(ADDRESS, SECRET).await.expect("stored");
    store.save(&Device::new()).await.expect("stored");
}

async fn is_empty(store: &dyn Backend) -> bool {
    let session = store.get_session(ADDRESS).await.expect("asked");
    session.is_none() && !store.exists().await.expect("asked") && store.load().await.expect("asked").is_none()
}

#[tokio::test]
async fn another_bots_store_sees_nothing() {
    let test = TestPlatform::start().await;
    let admin = test.admin().await;
    let (garage, imob) = (
        Shop::onboard(&test, "garage").await,
        Shop::onboard(&test, "imob").await,
    );
    let bot = garage.bot(&admin).await;
    with_a_session(garage.open(&test, bot).await.as_ref()).await;
    let beside = garage.open(&test, garage.bot(&admin).await).await;
    let elsewhere = imob.open(&test, imob.bot(&admin).await).await;
    assert!(is_empty(beside.as_ref()).await && is_empty(elsewhere.as_ref()).await);
    // Nor has another tenant, or nobody, a bot of this name.
    for (shop, bot) in [(&imob, bot), (&garage, InstanceId::new())] {
        let refused = shop.try_open(&test, bot).await.err().expect("refused");
        assert_eq!(refused.refusal(), Some(Refusal::NotFound));
    }
    assert_eq!(imob.rows(&admin, "whatsapp_keys").await, 0);
}

#[tokio::test]
async fn a_value_opens_in_its_own_row_only() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let (bot, other) = (shop.bot(&admin).await, shop.bot(&admin).await);
    let (store, beside) = (shop.open(&test, bot).await, shop.open(&test, other).await);
    with_a_session(store.as_ref()).await;
    let plain = format!(
        "select count(*) from {}.whatsapp_keys where position('nobody may see'::bytea in value_sealed) > 0",
        shop.schema
    );
    assert_eq!(admin.query_one(&plain, &[]).await.unwrap().get::<_, i64>(0), 0);
    // Under another name, as something else, and as another bot's.
    let (bot, other) = (bot.as_uuid(), other.as_uuid());
    admin
        .batch_execute(&format!(
            "set search_path = {};
             insert into whatsapp_keys select instance_id, kind, 'b@lid', value_sealed from whatsapp_keys where instance_id = '{bot}';
             insert into whatsapp_keys select instance_id, 'sender_key', name, value_sealed from whatsapp_keys where instance_id = '{bot}';
             insert into whatsapp_keys select '{other}', kind, name, value_sealed from whatsapp_keys where instance_id = '{bot}';
             update whatsapp_devices set state_sealed = (select state_sealed from whatsapp_devices where instance_id = '{bot}')",
            shop.schema
        ))
        .await
        .expect("copied");
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(SECRET))
    );
    assert!(store.load().await.unwrap().is_some());
    for refused in [
        store.get_session("b@lid").await.map(drop),
        store.get_sender_key(ADDRESS).await.map(drop),
        beside.get_session(ADDRESS).await.map(drop),
        beside.load().await.map(drop),
    ] {
        let refused = refused.expect_err("it does not open");
        assert!(matches!(refused, StoreError::Validation(_)));
        assert!(refused.to_string().ends_with("does not open"), "{refused}");
    }
}

#[tokio::test]
async fn who_claims_a_device_is_its_only_owner() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let bot = shop.bot(&admin).await;
    let former = shop.open(&test, bot).await;
    with_a_session(former.as_ref()).await;
    let store = shop.open(&test, bot).await;
    for refused in [
        former.put_session(ADDRESS, b"of yesterday").await,
        former.save(&Device::new()).await,
        former.archive().await,
        former.get_session(ADDRESS).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Database(_))));
    }
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(SECRET))
    );
}

#[tokio::test]
async fn a_device_that_was_logged_out_is_put_aside_without_its_keys() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let store = shop.open(&test, shop.bot(&admin).await).await;
    with_a_session(store.as_ref()).await;
    store.archive().await.expect("put aside");
    assert!(is_empty(store.as_ref()).await);
    assert_eq!(shop.rows(&admin, "whatsapp_keys").await, 0);
    let aside = "whatsapp_devices where archived_sealed is not null and archived_at is not null";
    assert_eq!(shop.rows(&admin, aside).await, 1);
    // Another one is linked; the former stays aside, also when there is nothing to put there.
    store.create().await.expect("made");
    let made = store.load().await.unwrap().expect("a device");
    store.create().await.expect("it is there");
    let again = store.load().await.unwrap().expect("a device");
    assert_eq!(again.registration_id, made.registration_id);
    assert_eq!(shop.rows(&admin, aside).await, 1);
}

#[tokio::test]
async fn a_device_comes_back_as_it_was() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let bot = shop.bot(&admin).await;
    let mut device = Device::new();
    device.push_name = "Loja do Zé".to_owned();
    device.next_pre_key_id = 813;
    shop.open(&test, bot).await.save(&device).await.expect("saved");
    let loaded = shop
        .open(&test, bot)
        .await
        .load()
        .await
        .unwrap()
        .expect("a device");
    let json = |device: &Device| serde_json::to_value(device).expect("JSON");
    assert_eq!(json(&loaded), json(&device));
    assert_eq!(loaded.device_props, device.device_props);
}

#[tokio::test]
async fn a_backup_comes_back_to_its_own_bot_and_never_over_one_that_runs() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let (bot, other) = (shop.bot(&admin).await, shop.bot(&admin).await);
    let (key, now) = (&test.platform.channels.key, test.clock.now());
    let store = shop.open(&test, bot).await;
    let make = async || {
        backup::make(&shop.db, key, (shop.id, bot), now)
            .await
            .expect("asked")
    };
    assert_eq!(make().await, None, "it is linked to nothing");
    with_a_session(store.as_ref()).await;
    store
        .touch_tc_token_sender_timestamp("a@lid", 7)
        .await
        .expect("stored");
    let sealed = make().await.expect("a backup");
    // It was read while the bot runs, which goes on.
    store.put_session(ADDRESS, b"of later").await.expect("stored");
    let put_back = async |bot, sealed: &[u8]| {
        let put = backup::put_back(&shop.db, key, (shop.id, bot), sealed, now).await;
        put.map_err(|error| error.refusal())
    };
    let activate = format!(
        "update {}.instances set is_active = $2 where id = $1",
        shop.schema
    );
    admin.execute(&activate, &[&bot.as_uuid(), &true]).await.unwrap();
    assert_eq!(put_back(bot, &sealed).await, Err(Some(Refusal::State)));
    assert_eq!(put_back(other, &sealed).await, Err(Some(Refusal::Stale)));
    assert_eq!(put_back(bot, &sealed[1..]).await, Err(Some(Refusal::Stale)));
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(b"of later"))
    );
    admin.execute(&activate, &[&bot.as_uuid(), &false]).await.unwrap();
    assert_eq!(put_back(bot, &sealed).await, Ok(()));
    // Whoever had it has lost it.
    assert!(store.put_session(ADDRESS, b"of yesterday").await.is_err());
    let store = shop.open(&test, bot).await;
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(SECRET))
    );
    assert_eq!(
        store
            .get_tc_token("a@lid")
            .await
            .unwrap()
            .unwrap()
            .sender_timestamp,
        Some(7)
    );
    assert!(store.load().await.unwrap().is_some());
}

#[tokio::test]
async fn all_prekeys_are_one_round_trip() {
    let test = TestPlatform::builder().proxied().start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let store = shop.open(&test, shop.bot(&admin).await).await;
    let keys: Vec<(u32, Bytes)> = (1..=812).map(|id| (id, Bytes::from(vec![7; 74]))).collect();
    let login = lane_of(&test, &shop).await;
    for _ in 0..2 {
        test.proxy().take(&login);
        store.store_prekeys_batch(&keys, false).await.expect("stored");
        assert_eq!(test.proxy().take(&login).round_trips, 1);
    }
    assert_eq!(store.get_max_prekey_id().await.unwrap(), 812);
    assert_eq!(store.load_prekeys_batch(&[1, 812, 813]).await.unwrap().len(), 2);
}

async fn lane_of(test: &TestPlatform, shop: &Shop) -> String {
    let key = helixai::domain::tenant_key::TenantKey::parse(&shop.key).expect("a key");
    let resolved = test.platform.resolver.find(&key).await.expect("resolved");
    resolved.home.lane.login.clone()
}

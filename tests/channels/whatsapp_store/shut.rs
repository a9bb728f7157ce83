//! What a bot keeps is of no use to anybody else, and goes with the bot.

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use helixai::db::Refusal;
use helixai::db::tenant::whatsapp::{self, copies, copies::Over};
use helixai::domain::clock::Clock;
use helixai::domain::ids::{DeviceCopyId, InstanceId, TenantId};
use helixai::tenancy::keeper::Purge;
use wacore::store::Device;
use wacore::store::error::StoreError;
use wacore::store::traits::{Backend, DeviceStore as _, ProtocolStore as _, SignalStore as _};

use super::Shop;
use crate::helpers::{TestPlatform, cli_origin};

const ADDRESS: &str = "5511987650001@s.whatsapp.net";
const SECRET: &[u8] = b"a session that nobody may see";

async fn with_a_session(store: &dyn Backend) {
    store.put_session(ADDRESS, SECRET).await.expect("stored");
    store.save(&Device::new()).await.expect("stored");
}

/// As a telephone does.
pub async fn link(store: &dyn Backend) {
    let mut device = store.load().await.expect("asked").unwrap_or_else(Device::new);
    device.pn = Some(ADDRESS.parse().expect("a name"));
    store.save(&device).await.expect("stored");
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

/// What keeps a copy from going back, if anything does.
async fn put_back(
    test: &TestPlatform,
    shop: &Shop,
    (bot, copy): (InstanceId, DeviceCopyId),
    over: Option<Over>,
) -> Result<(), Option<Refusal>> {
    let channels = &test.platform.channels;
    let opened = channels.open_copy((shop.id, bot), copy).await;
    let device = opened
        .map_err(|_| Some(Refusal::Stale))?
        .ok_or(Some(Refusal::NotFound))?;
    let statements = Vec::from(copies::put_back(
        bot,
        device,
        over.unwrap_or(Over::This(None)),
        test.clock.now(),
    ));
    let put = shop.db.run(&test.system(), statements).await;
    put.map(drop).map_err(|error| error.refusal())
}

#[tokio::test]
async fn a_copy_comes_back_to_its_own_bot_and_never_over_one_that_lives() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let (bot, other) = (shop.bot(&admin).await, shop.bot(&admin).await);
    let channels = &test.platform.channels;
    let store = shop.open(&test, bot).await;
    let make = async |bot| {
        channels
            .copy_device(&shop.db, (shop.id, bot))
            .await
            .expect("asked")
    };
    assert_eq!(make(bot).await, None, "it has no device");
    with_a_session(store.as_ref()).await;
    assert_eq!(make(bot).await, None, "it is linked to nothing");
    link(store.as_ref()).await;
    store
        .touch_tc_token_sender_timestamp("a@lid", 7)
        .await
        .expect("stored");
    let copy = make(bot).await.expect("a copy").id;
    // It was read while the bot runs, which goes on.
    store.put_session(ADDRESS, b"of later").await.expect("stored");
    let activate = format!(
        "update {}.instances set is_active = $2 where id = $1",
        shop.schema
    );
    admin.execute(&activate, &[&bot.as_uuid(), &true]).await.unwrap();
    let any = || Some(Over::Any);
    assert_eq!(
        put_back(&test, &shop, (bot, copy), any()).await,
        Err(Some(Refusal::State))
    );
    admin.execute(&activate, &[&bot.as_uuid(), &false]).await.unwrap();
    // Stopped, but whoever runs it has not heard of it.
    let (bot_id, tenant) = (bot.as_uuid(), shop.id.as_uuid());
    let held = "with worker as (insert into helixai.channel_workers values (gen_random_uuid(), now() + interval '1 hour') returning worker)
                insert into helixai.channel_instances (instance_id, tenant_id, wanted, revision, heard, held_by)
                select $1, $2, false, 1, 0, worker from worker";
    admin.execute(held, &[&bot_id, &tenant]).await.unwrap();
    assert_eq!(
        put_back(&test, &shop, (bot, copy), any()).await,
        Err(Some(Refusal::State))
    );
    admin
        .batch_execute("update helixai.channel_workers set alive_until = now() - interval '1 second'")
        .await
        .unwrap();
    // Not over a device that is linked, unless that is said.
    assert_eq!(
        put_back(&test, &shop, (bot, copy), None).await,
        Err(Some(Refusal::Stale))
    );
    let now = shop
        .db
        .run(&test.system(), whatsapp::find_device(bot))
        .await
        .unwrap()
        .output;
    assert!(channels.may_be_lost((shop.id, bot), now).is_none());
    // Nor another bot's, nor one that was altered.
    let folder = &channels.copies.folder;
    let sealed = folder.open((shop.id, bot), copy).await.unwrap().expect("a file");
    assert_eq!(
        put_back(&test, &shop, (other, copy), None).await,
        Err(Some(Refusal::NotFound))
    );
    folder.put((shop.id, other), copy, sealed.clone()).await.unwrap();
    assert_eq!(
        put_back(&test, &shop, (other, copy), None).await,
        Err(Some(Refusal::Stale))
    );
    let altered = DeviceCopyId::at(test.clock.now());
    for wrong in [sealed[1..].to_vec(), sealed.clone(), Vec::new()] {
        folder.put((shop.id, bot), altered, wrong).await.unwrap();
        assert_eq!(
            put_back(&test, &shop, (bot, altered), any()).await,
            Err(Some(Refusal::Stale))
        );
    }
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(b"of later"))
    );
    assert_eq!(put_back(&test, &shop, (bot, copy), any()).await, Ok(()));
    // Whoever had it has lost it.
    assert!(store.put_session(ADDRESS, b"of yesterday").await.is_err());
    let store = shop.open(&test, bot).await;
    assert_eq!(
        store.get_session(ADDRESS).await.unwrap(),
        Some(Bytes::from_static(SECRET))
    );
    let token = store.get_tc_token("a@lid").await.unwrap().unwrap();
    assert_eq!(token.sender_timestamp, Some(7));
    assert!(store.load().await.unwrap().is_some());
    // Where the rows are lost, nothing need be said; twice is once.
    let lose = format!("delete from {}.whatsapp_devices", shop.schema);
    admin.batch_execute(&lose).await.unwrap();
    assert_eq!(put_back(&test, &shop, (bot, copy), None).await, Ok(()));
    assert!(shop.open(&test, bot).await.load().await.unwrap().is_some());
}

#[tokio::test]
async fn copies_that_are_of_no_use_go_and_others_stay() {
    let (clock, noon) = (Clock::fixed(Utc::now()), Utc::now());
    let test = TestPlatform::builder().clock(clock.clone()).start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let channels = &test.platform.channels;
    let mut bots = Vec::new();
    for _ in 0..4 {
        let bot = shop.bot(&admin).await;
        link(shop.open(&test, bot).await.as_ref()).await;
        channels
            .copy_device(&shop.db, (shop.id, bot))
            .await
            .expect("asked")
            .expect("a copy");
        bots.push(bot);
    }
    let [linked, removed, logged_out, relinked] = bots[..] else {
        panic!()
    };
    let unknown = InstanceId::new();
    let folder = &channels.copies.folder;
    folder
        .put((shop.id, unknown), DeviceCopyId::at(noon), vec![7])
        .await
        .unwrap();
    // A tenant that nobody knows: another platform's, or all that is left of somebody.
    let stranger = TenantId::new();
    folder
        .put((stranger, unknown), DeviceCopyId::at(noon), vec![7])
        .await
        .unwrap();
    let kept = async || {
        let mut kept = Vec::new();
        for bot in [linked, removed, logged_out, relinked, unknown] {
            kept.push(channels.list_copies((shop.id, bot)).await.expect("listed").len());
        }
        kept
    };
    assert_eq!(channels.sweep_copies().await.expect("swept"), 0);
    clock.advance(TimeDelta::minutes(1));
    let set = format!(
        "update {0}.instances set deleted_at = now() where id = '{removed}';
         update {0}.instances set state = 'logged_out' where id = '{logged_out}'",
        shop.schema
    );
    admin.batch_execute(&set).await.unwrap();
    shop.open(&test, relinked)
        .await
        .archive()
        .await
        .expect("put aside");
    clock.advance(TimeDelta::minutes(1));
    link(shop.open(&test, relinked).await.as_ref()).await;
    channels
        .copy_device(&shop.db, (shop.id, relinked))
        .await
        .expect("asked")
        .expect("a copy");
    assert_eq!(kept().await, [1, 1, 1, 2, 1]);
    assert_eq!(channels.sweep_copies_in_turn().await.expect("swept"), Some(3));
    assert_eq!(kept().await, [1, 0, 0, 1, 1]);
    let other = test.second().await;
    assert_eq!(
        other.channels.sweep_copies_in_turn().await.expect("asked"),
        None,
        "one does it for all"
    );
    other.close().await;
    clock.advance(TimeDelta::days(7));
    channels.sweep_copies().await.expect("swept");
    assert_eq!(kept().await, [1, 0, 0, 1, 0]);
    // With the tenant all of them go.
    let key = helixai::domain::tenant_key::TenantKey::parse(&shop.key).expect("a key");
    let purged = test
        .platform
        .keeper
        .purge(&key, Purge::Anything, cli_origin())
        .await;
    purged.expect("purged");
    assert_eq!(folder.tenants().await.unwrap(), [stranger]);
    channels.sweep_copies().await.expect("swept");
    assert_eq!(folder.tenants().await.unwrap(), [stranger]);
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

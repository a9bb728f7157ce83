//! Session backups: made by the clock and by owners, put back without a code, and of no use to anybody else.

use chrono::{TimeDelta, Utc};
use fake_whatsapp::Handshake;
use helixai::domain::clock::Clock;
use helixai::domain::ids::{DeviceCopyId, InstanceId, TenantId};
use reqwest::Method;
use serde_json::{Value, json};

use super::path_of;
use super::whatsapp_web::{SHOP, Shops, instance_of};
use crate::helpers::{Call, TestApp, TestTenant};

const OTHER: &str = "5511987650003";
const DEVICES: &str = "select jsonb_build_array(state_sealed is not null) from whatsapp_devices";
const HEARD: &str = "select to_jsonb(body) from messages where direction = 'inbound' order by id";

fn of(tenant: &TestTenant, bot: &Value) -> (TenantId, InstanceId) {
    (tenant.id.parse().expect("an id"), instance_of(bot))
}

impl Shops {
    async fn copies(&self, tenant: &TestTenant, bot: &Value) -> usize {
        let channels = &self.bots.app.test.platform.channels;
        channels.list_copies(of(tenant, bot)).await.expect("listed").len()
    }

    async fn until_copied(&self, tenant: &TestTenant, bot: &Value, count: usize) {
        let what = format!("there are {count} copies");
        self.bots
            .app
            .until(&what, async || self.copies(tenant, bot).await == count)
            .await;
    }

    async fn owner(&self, tenant: &TestTenant) -> String {
        let owner = self.bots.app.owner_of(tenant).await;
        self.bots.app.session_of(tenant, owner).await
    }

    fn call(&self, tenant: &TestTenant, owner: &str, method: Method, path: &str) -> Call {
        self.bots.app.call(method, path).of(tenant).bearer(owner)
    }

    async fn listed(&self, tenant: &TestTenant, bot: &Value) -> Vec<Value> {
        let (owner, path) = (
            self.owner(tenant).await,
            format!("{}/session-backups", path_of(bot)),
        );
        let list = self
            .call(tenant, &owner, Method::GET, &path)
            .await
            .expect(200)
            .json();
        list["items"].as_array().expect("items").clone()
    }

    async fn activate(&self, tenant: &TestTenant, bot: &Value, active: bool) {
        let path = format!("{}/status", path_of(bot));
        let call = self.bots.app.call(Method::PATCH, &path).by(tenant);
        call.json(&json!({ "is_active": active })).await.expect(200);
    }

    /// Stops a bot, and waits until no process has it.
    async fn stop(&self, tenant: &TestTenant, bot: &Value) {
        self.activate(tenant, bot, false).await;
        let admin = self.bots.app.test.admin().await;
        let held = "select exists (select from helixai.channel_instances where instance_id = $1 and held_by is not null)";
        let id = instance_of(bot).as_uuid();
        self.bots
            .app
            .until("nobody has it", async || {
                !admin
                    .query_one(held, &[&id])
                    .await
                    .expect("asked")
                    .get::<_, bool>(0)
            })
            .await;
    }

    async fn lose_the_rows(&self, tenant: &TestTenant) {
        let lose = format!("delete from {}.whatsapp_devices", tenant.schema);
        let admin = self.bots.app.test.admin().await;
        admin.batch_execute(&lose).await.expect("lost");
    }

    /// Asks for a copy to be put back.
    async fn put_back(&self, tenant: &TestTenant, bot: &Value, backup: &Value) -> Call {
        let id = backup["id"].as_str().expect("an id");
        let path = format!("{}/session-backups/{id}/restore", path_of(bot));
        let owner = self.owner(tenant).await;
        self.call(tenant, &owner, Method::POST, &path)
    }
}

#[tokio::test]
async fn what_another_process_stops_is_copied_and_what_it_removes_is_unlinked() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let imob = shops.bots.app.onboard("imob", "real_estate").await;
    let stopped = shops.connected(&garage, SHOP).await;
    let removed = shops.connected(&imob, OTHER).await;
    shops.until_copied(&garage, &stopped, 1).await;
    let second = shops.bots.app.second_process().await;
    let app = &shops.bots.app;
    let stop = app.patch(&format!("{}/status", path_of(&stopped))).at(second);
    let stop = stop.by(&garage).json(&json!({"is_active": false}));
    stop.await.expect(200);
    shops.until_copied(&garage, &stopped, 2).await;
    let remove = app.delete(&path_of(&removed)).at(second).by(&imob);
    remove.await.expect(204);
    shops.whatsapp.until_unlinked(OTHER).await;
}

#[tokio::test]
async fn a_device_that_was_lost_comes_back_without_a_code() {
    let clock = Clock::fixed(Utc::now());
    let shops = Shops::start_from(TestApp::builder().clock(clock.clone())).await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    shops.until_copied(&garage, &bot, 1).await;
    // The clock goes on: one in each period, and no more of them than are kept.
    for kept in [2, 3, 4, 4, 4] {
        clock.advance(TimeDelta::hours(6));
        let newest = shops.listed(&garage, &bot).await[0]["id"].clone();
        shops
            .bots
            .app
            .until("another is made", async || {
                shops.listed(&garage, &bot).await[0]["id"] != newest
            })
            .await;
        shops.until_copied(&garage, &bot, kept).await;
    }
    shops.say(SHOP, "Oi").await;
    shops.whatsapp.until_sent(SHOP, 1).await;
    shops.whatsapp.until_confirmed(SHOP).await;
    // What is stopped is copied once more: these are its last keys.
    clock.advance(TimeDelta::seconds(1));
    let before = shops.listed(&garage, &bot).await;
    shops.stop(&garage, &bot).await;
    let copies = shops.listed(&garage, &bot).await;
    assert_ne!(copies[0]["id"], before[0]["id"]);
    assert!(copies[0]["bytes"].as_u64().expect("a size") > 10_000);
    assert_eq!(
        copies[0]["taken_at"],
        json!(DeviceCopyId::moment(
            copies[0]["id"].as_str().unwrap().parse().unwrap()
        ))
    );
    shops.lose_the_rows(&garage).await;
    assert_eq!(shops.bots.rows(&garage, DEVICES).await, [] as [Value; 0]);
    shops.say(SHOP, "Ainda aí?").await;
    let restored = shops
        .put_back(&garage, &bot, &copies[0])
        .await
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&restored["id"], &restored["is_active"]),
        (&bot["id"], &json!(false))
    );
    shops.activate(&garage, &bot, true).await;
    shops.bots.await_state(&garage, &bot, "connected").await;
    shops
        .bots
        .await_rows(&garage, HEARD, json!(["Oi", "Ainda aí?"]))
        .await;
    shops.say(SHOP, "Tem Uno?").await;
    shops
        .bots
        .await_rows(&garage, HEARD, json!(["Oi", "Ainda aí?", "Tem Uno?"]))
        .await;
    assert_eq!(shops.whatsapp.logins(SHOP), [Handshake::Ik, Handshake::Ik]);
    assert_eq!(shops.whatsapp.retries(), 0);
    let audited = "select jsonb_build_array(actor_kind, entity_id, details ->> 'backup') from audit_log where action = 'bot.session_restore'";
    assert_eq!(
        shops.bots.rows(&garage, audited).await,
        [json!(["user", bot["id"], copies[0]["id"]])]
    );
}

#[tokio::test]
async fn a_device_that_lives_is_never_lost_unasked() {
    let shops = Shops::start().await;
    let app = &shops.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    shops.until_copied(&garage, &bot, 1).await;
    let copy = shops.listed(&garage, &bot).await.remove(0);
    let call = shops.put_back(&garage, &bot, &copy).await;
    call.json(&json!({"replace": true}))
        .await
        .problem(409, "bot_active");
    shops.stop(&garage, &bot).await;
    shops
        .put_back(&garage, &bot, &copy)
        .await
        .await
        .problem(409, "device_linked");
    let wrong = shops.put_back(&garage, &bot, &copy).await;
    wrong.json(&json!({"replace": "yes"})).await.expect(422);
    let call = shops.put_back(&garage, &bot, &copy).await;
    call.json(&json!({"replace": true})).await.expect(200);
    // The telephone's owner is asked for nothing.
    shops.activate(&garage, &bot, true).await;
    shops.bots.await_state(&garage, &bot, "connected").await;
    assert_eq!(shops.whatsapp.logins(SHOP), [Handshake::Ik, Handshake::Ik]);
}

#[tokio::test]
async fn only_owners_see_them_and_they_are_their_own_bots() {
    let shops = Shops::start().await;
    let app = &shops.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let imob = app.onboard("imob", "real_estate").await;
    shops.bots.grow(&garage).await;
    let bot = shops.connected(&garage, SHOP).await;
    let beside = shops.linked(&garage, OTHER).await;
    let theirs = shops.make(&imob, false).await;
    shops.until_copied(&garage, &bot, 1).await;
    shops.stop(&garage, &bot).await;
    let owner = shops.owner(&garage).await;
    let path = format!("{}/session-backups", path_of(&bot));
    // Made once, however often it is asked for.
    let count = shops.copies(&garage, &bot).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let call = shops
            .call(&garage, &owner, Method::POST, &path)
            .idempotency_key("k1");
        made.push(call.await.expect(201).json());
    }
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(shops.copies(&garage, &bot).await, count + 1);
    let copy = made.remove(0);
    assert_eq!(shops.listed(&garage, &bot).await[0], copy);
    // Whoever may not, and whoever looks elsewhere.
    let manager = app
        .session_of(&garage, app.add_user(&garage, "manager").await)
        .await;
    for token in [&manager, &garage.api_key] {
        for method in [Method::GET, Method::POST] {
            shops
                .call(&garage, token, method, &path)
                .await
                .problem(403, "insufficient_rights");
        }
    }
    let foreign = shops.owner(&imob).await;
    for method in [Method::GET, Method::POST] {
        shops
            .call(&imob, &foreign, method, &path)
            .await
            .problem(404, "not_found");
    }
    shops
        .put_back(&imob, &bot, &copy)
        .await
        .await
        .problem(404, "not_found");
    shops
        .put_back(&imob, &theirs, &copy)
        .await
        .await
        .problem(404, "not_found");
    shops
        .put_back(&garage, &beside, &copy)
        .await
        .await
        .problem(404, "not_found");
    // Whoever moves files about gains nothing, nor who alters one.
    shops.lose_the_rows(&garage).await;
    let folder = &app.test.platform.channels.copies.folder;
    let id: DeviceCopyId = copy["id"].as_str().unwrap().parse().unwrap();
    let sealed = folder.open(of(&garage, &bot), id).await.unwrap().expect("a file");
    for (tenant, bot) in [(&garage, &beside), (&imob, &theirs)] {
        folder.put(of(tenant, bot), id, sealed.clone()).await.unwrap();
        let call = shops.put_back(tenant, bot, &copy).await;
        call.await.problem(409, "session_backup_unreadable");
    }
    let mut altered = sealed.clone();
    altered[100] ^= 1;
    folder.put(of(&garage, &bot), id, altered).await.unwrap();
    let call = shops.put_back(&garage, &bot, &copy).await;
    call.await.problem(409, "session_backup_unreadable");
    assert_eq!(shops.bots.rows(&garage, DEVICES).await, [] as [Value; 0]);
    let nothing = format!("{}/session-backups", path_of(&beside));
    shops
        .call(&garage, &owner, Method::POST, &nothing)
        .await
        .problem(409, "not_linked");
    // No name of a file says a number, and nothing in one.
    assert!(!sealed.windows(SHOP.len()).any(|part| part == SHOP.as_bytes()));
    folder.put(of(&garage, &bot), id, sealed).await.unwrap();
    shops.put_back(&garage, &bot, &copy).await.await.expect(200);
}

#[tokio::test]
async fn copies_go_with_what_they_were_good_for() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    for how in ["logout", "unlink", "logout while stopped", "delete"] {
        let bot = shops.connected(&garage, SHOP).await;
        shops.until_copied(&garage, &bot, 1).await;
        let path = path_of(&bot);
        let log_out = || shops.bots.app.post(&format!("{path}/logout")).by(&garage);
        match how {
            "logout" => drop(log_out().await.expect(200).json()),
            "unlink" => shops.whatsapp.unlink(SHOP),
            "delete" => {}
            _ => {
                shops.stop(&garage, &bot).await;
                log_out().await.expect(200);
            }
        }
        if how != "delete" {
            shops.until_copied(&garage, &bot, 0).await;
        }
        shops.bots.app.delete(&path).by(&garage).await.expect(204);
        shops.until_copied(&garage, &bot, 0).await;
    }
}

//! Bots of WhatsApp, linked as devices: what is said to them arrives, their codes and states are their tenant's own, and whom WhatsApp
//! has shut out waits for a person.

use chrono::{TimeDelta, Utc};
use fake_whatsapp::{FakeWhatsApp, Handshake, Refusal};
use helixai::channels::whatsapp_web::store::Store;
use helixai::db::tenant::whatsapp_codes::{self, CodeKind};
use helixai::domain::ids::{InstanceId, TenantId};
use helixai_fakes::telegram::FakeTelegram;
use reqwest::Method;
use serde_json::{Value, json};
use wacore::store::traits::DeviceStore as _;

use super::{Bots, path_of};
use crate::helpers::pictures::scanned;
use crate::helpers::{AppBuilder, TestApp, TestTenant};

pub const SHOP: &str = "5511987650001";
pub const PERSON: &str = "5511987650002";
const SAID: &str = "select jsonb_build_array(direction, author, body, status) from messages order by id";

/// The program beside a WhatsApp of its own.
pub struct Shops {
    pub bots: Bots,
    pub whatsapp: FakeWhatsApp,
}

pub fn instance_of(bot: &Value) -> InstanceId {
    bot["id"].as_str().unwrap().parse().unwrap()
}

impl Shops {
    pub async fn start() -> Self {
        Self::start_from(TestApp::builder()).await
    }

    pub async fn start_from(builder: AppBuilder) -> Self {
        let whatsapp = FakeWhatsApp::start().await.expect("a WhatsApp");
        let telegram = FakeTelegram::start().await.expect("a Telegram");
        let settings = [
            ("channels.whatsapp_url", whatsapp.url()),
            ("channels.whatsapp_version", "2.3000.1".to_owned()),
        ];
        let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
        let bots = Bots::start_from(builder, telegram, &settings).await;
        Self { bots, whatsapp }
    }

    pub async fn make(&self, tenant: &TestTenant, active: bool) -> Value {
        let body = json!({
            "name": "Loja Centro", "channel": "whatsapp_web", "is_active": active, "initial_message": "Bem-vindo!",
            "vip_link": "https://vip.example",
        });
        let call = self.bots.app.post("/api/bots").by(tenant).json(&body);
        call.await.expect(201).json()
    }

    pub async fn store(&self, tenant: &TestTenant, bot: &Value) -> Store {
        let channels = &self.bots.app.test.platform.channels;
        let id: TenantId = tenant.id.parse().unwrap();
        let db = channels.db(id).await.unwrap().unwrap();
        let (key, clock) = (channels.key.clone(), channels.clock.clone());
        Store::open(db, key, id, instance_of(bot), clock).await.unwrap()
    }

    /// A bot that is linked to this number, and does not run yet.
    pub async fn linked(&self, tenant: &TestTenant, phone: &str) -> Value {
        let bot = self.make(tenant, false).await;
        let device = self.whatsapp.linked_device(phone).expect("a device");
        self.store(tenant, &bot)
            .await
            .save(&device)
            .await
            .expect("stored");
        bot
    }

    pub async fn connected(&self, tenant: &TestTenant, phone: &str) -> Value {
        let bot = self.linked(tenant, phone).await;
        self.reconnect(tenant, &bot).await;
        self.bots.await_state(tenant, &bot, "connected").await
    }

    pub async fn reconnect(&self, tenant: &TestTenant, bot: &Value) {
        self.act(tenant, bot, "reconnect").await;
    }

    pub async fn act(&self, tenant: &TestTenant, bot: &Value, what: &str) -> Value {
        let call = self.bots.app.post(&format!("{}/{what}", path_of(bot))).by(tenant);
        call.await.expect(200).json()
    }

    pub async fn say(&self, to: &str, words: &str) {
        self.whatsapp.send_text(PERSON, to, words).await.expect("sent");
    }

    pub async fn await_said(&self, tenant: &TestTenant, expected: Value) {
        self.bots.await_rows(tenant, SAID, expected).await;
    }
}

#[tokio::test]
async fn a_linked_bot_hears_greets_and_is_told_what_was_read() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    assert_eq!(bot["username"], format!("+{SHOP}"));
    assert!(bot["notice"].as_str().unwrap().contains("não oficial"));
    shops.say(SHOP, "Oi").await;
    let sent = shops.whatsapp.until_sent(SHOP, 1).await;
    assert_eq!(
        (sent[0].to.as_str(), sent[0].text.as_str()),
        (PERSON, "Bem-vindo!\n\nEntrar no VIP: https://vip.example")
    );
    shops.say(SHOP, "Tem Uno?").await;
    let heard = |status: &str| {
        json!([
            ["inbound", "contact", "Oi", "received"],
            ["outbound", "bot", "Bem-vindo!", status],
            ["inbound", "contact", "Tem Uno?", "received"],
        ])
    };
    shops.await_said(&garage, heard("delivered")).await;
    shops.whatsapp.read(&sent[0]);
    shops.await_said(&garage, heard("read")).await;
    shops.whatsapp.until_confirmed(SHOP).await;
    let contact = "select jsonb_build_array(phone) from contacts";
    assert_eq!(
        shops.bots.rows(&garage, contact).await,
        [json!([format!("+{PERSON}")])]
    );
    assert_eq!(shops.whatsapp.retries(), 0);
}

#[tokio::test]
async fn a_bot_has_one_owner_and_comes_back_without_a_code() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    let second = shops.bots.app.second_process().await;
    shops.say(SHOP, "Oi").await;
    shops.whatsapp.until_sent(SHOP, 1).await;
    let first = shops.bots.app.first_process().await;
    first.stop();
    first.ended().await;
    // Said while nobody is there, or somebody is just coming: it waits.
    shops.say(SHOP, "Tem Uno?").await;
    shops.whatsapp.until_confirmed(SHOP).await;
    let logins = shops.whatsapp.logins(SHOP);
    assert_eq!(logins, [Handshake::Ik, Handshake::Ik]);
    assert_eq!(shops.whatsapp.retries(), 0);
    shops
        .bots
        .app
        .until("it is connected again", async || {
            let read = shops.bots.app.get(&path_of(&bot)).at(second).by(&garage);
            read.await.expect(200).json()["state"] == "connected"
        })
        .await;
    let heard = "select to_jsonb(body) from messages where direction = 'inbound' order by id";
    shops
        .bots
        .await_rows(&garage, heard, json!(["Oi", "Tem Uno?"]))
        .await;
}

#[tokio::test]
async fn what_the_owner_writes_on_the_telephone_silences_the_bot() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    let wrote = shops
        .whatsapp
        .send_from_phone(SHOP, PERSON, "Aqui é o João")
        .await;
    wrote.expect("sent");
    shops
        .await_said(&garage, json!([["outbound", "user", "Aqui é o João", "sent"]]))
        .await;
    shops.say(SHOP, "Oi").await;
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is not null";
    shops.bots.await_rows(&garage, waiting, json!([1])).await;
    assert_eq!(shops.whatsapp.sent_texts(SHOP), []);
    let one = "select jsonb_build_array(count(*), bool_and(bot_paused_until > now())) from conversations";
    assert_eq!(shops.bots.rows(&garage, one).await, [json!([1, true])]);
}

#[tokio::test]
async fn one_person_is_one_contact_whatever_they_are_called() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    // The same number without its ninth digit, and by the name that hides it.
    let old = "551187650002";
    for from in [old, PERSON, old] {
        shops.whatsapp.send_text(from, SHOP, "Oi").await.expect("sent");
        shops.whatsapp.until_confirmed(SHOP).await;
    }
    shops.whatsapp.name_by_lid(true);
    shops.say(SHOP, "Sou eu").await;
    let counts = "select jsonb_build_array((select count(*) from contacts), (select count(*) from conversations), \
        (select count(*) from messages where direction = 'inbound'), (select external_id from conversations))";
    let expected = json!([[1, 1, 4, format!("{PERSON}@s.whatsapp.net")]]);
    shops.bots.await_rows(&garage, counts, expected).await;
}

#[tokio::test]
async fn whose_number_was_hidden_keeps_the_conversation() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    shops.whatsapp.name_by_lid(true);
    shops.whatsapp.hide_numbers(true);
    shops.say(SHOP, "Quem sou eu?").await;
    let known = "select jsonb_build_array(c.external_id, k.phone, k.name, (select count(*) from contacts), \
        (select count(*) from messages m where m.conversation_id = c.id and m.direction = 'inbound')) \
        from conversations c join contacts k on k.id = c.contact_id order by c.created_at";
    let hidden = format!("77{PERSON}@lid");
    let name = format!("Pessoa {PERSON}");
    let expected = json!([[hidden, null, name, 1, 1]]);
    shops.bots.await_rows(&garage, known, expected).await;
    // Another one, who was written down before.
    let other = "5511987650003";
    let written = json!({"name": "Bia", "phone": format!("+{other}")});
    let call = shops.bots.app.post("/api/contacts").by(&garage).json(&written);
    call.await.expect(201);
    shops
        .whatsapp
        .send_text(other, SHOP, "E eu?")
        .await
        .expect("sent");
    shops.whatsapp.until_confirmed(SHOP).await;
    shops.whatsapp.hide_numbers(false);
    shops.say(SHOP, "Sou a Ana").await;
    shops
        .whatsapp
        .send_text(other, SHOP, "Sou a Bia")
        .await
        .expect("sent");
    let of = |phone: &str| (format!("{phone}@s.whatsapp.net"), format!("+{phone}"));
    let (ana, bia) = (of(PERSON), of(other));
    // Whom the second was taken for first stays, without a conversation.
    let expected = json!([[ana.0, ana.1, name, 3, 2], [bia.0, bia.1, "Bia", 3, 2]]);
    shops.bots.await_rows(&garage, known, expected).await;
}

#[tokio::test]
async fn the_first_word_finds_whom_whatsapp_calls_without_the_ninth_digit() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    shops.whatsapp.without_account(PERSON);
    let tell = async |number: &str| {
        let body = json!({"number": number, "message": "Seu carro chegou"});
        let call = shops.bots.app.post("/send-message").by(&garage);
        call.json(&body).await.expect(201);
    };
    tell("(11) 98765-0002").await;
    let sent = shops.whatsapp.until_sent(SHOP, 1).await;
    assert_eq!(sent[0].to, "551187650002");
    // And they answer in the same conversation.
    let answer = shops.whatsapp.send_text("551187650002", SHOP, "Obrigado").await;
    answer.expect("sent");
    let one = "select jsonb_build_array(count(*), min(external_id)) from conversations";
    let expected = json!([[1, "551187650002@s.whatsapp.net"]]);
    shops.bots.await_rows(&garage, one, expected).await;
    // Who has no WhatsApp under either is not written to.
    for absent in ["5511987650009", "551187650009"] {
        shops.whatsapp.without_account(absent);
    }
    tell("11987650009").await;
    let failed = "select jsonb_build_array(status, error) from messages where direction = 'outbound' order by id desc limit 1";
    shops
        .bots
        .await_rows(&garage, failed, json!([["failed", "not_on_whatsapp"]]))
        .await;
}

/// A bot whose next login is refused, once it has been.
async fn refused(shops: &Shops, garage: &TestTenant, refusal: Refusal, state: &str) -> Value {
    let bot = shops.linked(garage, SHOP).await;
    shops.whatsapp.refuse_next(SHOP, refusal);
    shops.reconnect(garage, &bot).await;
    let bot = shops.bots.await_state(garage, &bot, state).await;
    assert!(shops.whatsapp.has_refused_all());
    bot
}

#[tokio::test]
async fn whom_whatsapp_refuses_waits_for_a_person() {
    let ban = Refusal::TemporaryBan {
        reason: 101,
        seconds: 21_600,
    };
    for (refusal, state) in [
        (Refusal::Replaced, "replaced"),
        (Refusal::Code(405), "outdated"),
        (Refusal::Code(402), "banned"),
        (ban, "banned"),
    ] {
        let shops = Shops::start().await;
        let garage = shops.bots.app.onboard("garage", "cars").await;
        let bot = refused(&shops, &garage, refusal, state).await;
        if refusal == ban {
            let until: chrono::DateTime<Utc> =
                serde_json::from_value(bot["state_detail"]["until"].clone()).unwrap();
            assert!(until > Utc::now() + TimeDelta::hours(5));
        }
        // Neither news of it nor another process tries again by itself.
        let put = shops.bots.app.call(Method::PUT, &path_of(&bot)).by(&garage);
        put.json(&json!({"name": "Loja Sul"})).await.expect(200);
        let first = shops.bots.app.first_process().await;
        let second = shops.bots.app.second_process().await;
        first.stop();
        first.ended().await;
        let held = "select count(*)::int from helixai.channel_instances i join helixai.channel_workers w on w.worker = i.held_by";
        let admin = shops.bots.app.test.admin().await;
        shops
            .bots
            .app
            .until("the other process has it", async || {
                admin.query_one(held, &[]).await.unwrap().get::<_, i32>(0) == 1
            })
            .await;
        assert_eq!(shops.whatsapp.logins(SHOP), [], "{state}");
        let read = shops.bots.app.get(&path_of(&bot)).at(second).by(&garage);
        assert_eq!(read.await.expect(200).json()["state"], state);
        // A person does.
        let again = shops.bots.app.post(&format!("{}/reconnect", path_of(&bot)));
        again.at(second).by(&garage).await.expect(200);
        shops.whatsapp.until_connected(SHOP).await;
        assert_eq!(shops.whatsapp.logins(SHOP), [Handshake::Ik], "{state}");
    }
}

#[tokio::test]
async fn who_is_unlinked_loses_the_device() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let kept = "select jsonb_build_array(state_sealed is not null, archived_at is not null, \
        (select count(*) from whatsapp_keys)) from whatsapp_devices";
    for code in [401, 403] {
        let bot = refused(&shops, &garage, Refusal::Code(code), "logged_out").await;
        assert_eq!(shops.bots.rows(&garage, kept).await, [json!([false, true, 0])]);
        shops
            .bots
            .app
            .delete(&path_of(&bot))
            .by(&garage)
            .await
            .expect(204);
        shops.bots.await_rows(&garage, kept, json!([])).await;
    }
    let bot = shops.connected(&garage, SHOP).await;
    shops.whatsapp.unlink(SHOP);
    let bot = shops.bots.await_state(&garage, &bot, "logged_out").await;
    assert_eq!(bot["state_detail"]["code"], "unlinked_at_the_telephone");
    assert_eq!(shops.bots.rows(&garage, kept).await, [json!([false, true, 0])]);
}

#[tokio::test]
async fn a_bot_gives_its_telephone_up() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    let answer = shops.act(&garage, &bot, "logout").await;
    assert_eq!(answer["state"], "logged_out");
    shops.whatsapp.until_unlinked(SHOP).await;
    let kept =
        "select jsonb_build_array(state_sealed is not null, archived_at is not null) from whatsapp_devices";
    shops.bots.await_rows(&garage, kept, json!([[false, true]])).await;
    let read = shops
        .bots
        .app
        .get(&path_of(&bot))
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(read["state"], "logged_out");
}

/// Also when somebody starts it again before whoever runs it has heard of that.
#[tokio::test]
async fn a_telephone_that_was_given_up_stays_so() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.connected(&garage, SHOP).await;
    shops.act(&garage, &bot, "logout").await;
    shops.reconnect(&garage, &bot).await;
    shops.whatsapp.until_gone(SHOP).await;
    let given_up = "select jsonb_build_array(archived_at is not null, unlink_wanted) from whatsapp_devices order by instance_id";
    shops
        .bots
        .await_rows(&garage, given_up, json!([[true, false]]))
        .await;
    // Nobody has run it yet.
    let imob = shops.bots.app.onboard("imob", "real_estate").await;
    let bot = shops.linked(&imob, PERSON).await;
    let on = format!("update {}.instances set is_active = true", imob.schema);
    shops
        .bots
        .app
        .test
        .admin()
        .await
        .batch_execute(&on)
        .await
        .unwrap();
    shops.act(&imob, &bot, "logout").await;
    shops.reconnect(&imob, &bot).await;
    shops
        .bots
        .await_rows(&imob, given_up, json!([[true, false]]))
        .await;
    assert_eq!(shops.whatsapp.logins(PERSON), []);
}

#[tokio::test]
async fn whoever_is_away_for_a_moment_comes_back_alone() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.whatsapp.refuse_next(SHOP, Refusal::Code(503));
    shops.whatsapp.refuse_next(SHOP, Refusal::Code(515));
    let bot = shops.connected(&garage, SHOP).await;
    assert!(shops.whatsapp.has_refused_all());
    shops.whatsapp.drop_connection(SHOP);
    shops
        .bots
        .app
        .until("it has come back", async || {
            shops.whatsapp.logins(SHOP).len() == 2
        })
        .await;
    shops.bots.await_state(&garage, &bot, "connected").await;
    // Somebody else comes in with its credentials.
    shops.whatsapp.replace_connection(SHOP);
    shops.bots.await_state(&garage, &bot, "replaced").await;
    assert_eq!(shops.whatsapp.logins(SHOP).len(), 2);
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_not_believed() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let bot = shops.make(&garage, true).await;
    assert_eq!(bot["state"], "created");
    let bot = shops.bots.await_state(&garage, &bot, "reconnecting").await;
    assert_eq!(bot["state_detail"]["code"], "provider_away");
    assert!(shops.whatsapp.broken_handshakes() >= 1);
    shops
        .bots
        .app
        .get(&format!("{}/qr", path_of(&bot)))
        .by(&garage)
        .await
        .problem(409, "no_code");
}

#[tokio::test]
async fn a_code_is_shown_to_its_own_tenant_only() {
    let shops = Shops::start().await;
    let app = &shops.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let imob = app.onboard("imob", "real_estate").await;
    let bot = shops.make(&garage, false).await;
    let other = shops.make(&imob, false).await;
    let channels = &app.test.platform.channels;
    let tenant: TenantId = garage.id.parse().unwrap();
    let (id, now) = (instance_of(&bot), channels.clock.now());
    let sealed = channels.seal_code(tenant, id, CodeKind::Qr, "2@segredo,a,b,c");
    let db = channels.db(tenant).await.unwrap().unwrap();
    let show = async |sealed: Vec<u8>, life: i64| {
        let set = whatsapp_codes::set_qr(id, sealed, now + TimeDelta::seconds(life), now);
        db.run(&app.test.system(), set).await.unwrap().output
    };
    assert_eq!(show(sealed.clone(), 60).await, Some(1));
    let path = path_of(&bot);
    let answer = app.get(&format!("{path}/qr")).by(&garage).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["code"], "2@segredo,a,b,c");
    assert_eq!(answer.json()["n"], 1);
    let png = app.get(&format!("{path}/qr.png")).by(&garage).await;
    assert_eq!(scanned(&png.expect(200).body), "2@segredo,a,b,c");
    app.get(&format!("{path}/qr.svg")).by(&garage).await.expect(200);
    for name in ["qr", "qr.png", "qr.svg", "pair-code"] {
        app.get(&format!("{path}/{name}"))
            .by(&imob)
            .await
            .problem(404, "not_found");
        app.get(&format!("{path}/{name}")).of(&garage).await.expect(401);
    }
    // Worth nothing in another row, nor when it is spent.
    let imob_id: TenantId = imob.id.parse().unwrap();
    let theirs = channels.db(imob_id).await.unwrap().unwrap();
    let set = whatsapp_codes::set_qr(
        instance_of(&other),
        sealed.clone(),
        now + TimeDelta::seconds(60),
        now,
    );
    theirs.run(&app.test.system(), set).await.unwrap();
    app.get(&format!("{}/qr", path_of(&other)))
        .by(&imob)
        .await
        .problem(409, "no_code");
    show(sealed, -1).await;
    app.get(&format!("{path}/qr"))
        .by(&garage)
        .await
        .problem(409, "no_code");
    let clear =
        "select to_jsonb(count(*)) from whatsapp_codes where position('segredo'::bytea in code_sealed) > 0";
    assert_eq!(shops.bots.rows(&garage, clear).await, [json!(0)]);
    for what in ["reconnect", "logout"] {
        app.post(&format!("{path}/{what}")).by(&imob).await.expect(404);
    }
    let want = app.post(&format!("{path}/pair-code"));
    let want = want.by(&garage).json(&json!({"phone": SHOP}));
    want.await.problem(409, "not_linkable");
}

#[tokio::test]
async fn channels_want_what_they_want() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let refused = async |body: Value, field: &str, code: &str| {
        let call = shops.bots.app.post("/api/bots").by(&garage).json(&body);
        call.await.refused_fields(&[(field, code)]);
    };
    refused(json!({"name": "x"}), "token", "required").await;
    refused(json!({"name": "x", "channel": "sms"}), "channel", "unknown_value").await;
    let token = super::token(1);
    let body = json!({"name": "x", "channel": "whatsapp_web", "token": token});
    refused(body, "token", "not_allowed").await;
    let bot = shops.make(&garage, false).await;
    let put = shops.bots.app.call(Method::PUT, &path_of(&bot)).by(&garage);
    let put = put.json(&json!({"token": token})).await;
    put.refused_fields(&[("token", "not_allowed")]);
}

#[tokio::test]
async fn a_number_is_written_to_once_whoever_has_it() {
    let shops = Shops::start().await;
    let app = &shops.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let imob = app.onboard("imob", "real_estate").await;
    let bot = shops.connected(&garage, SHOP).await;
    let other = shops.make(&imob, false).await;
    let body =
        json!({"number": "(11) 98765-0002", "message": "Seu carro chegou", "sessionId": "loja-centro"});
    let mut answers = Vec::new();
    for _ in 0..10 {
        let call = app.post("/send-message").by(&garage).idempotency_key("k1");
        answers.push(call.json(&body).await.expect(201).json());
    }
    answers.dedup();
    assert_eq!((answers.len(), &answers[0]["status"]), (1, &json!("queued")));
    let sent = shops.whatsapp.until_sent(SHOP, 1).await;
    assert_eq!(
        (sent[0].to.as_str(), sent[0].text.as_str()),
        (PERSON, "Seu carro chegou")
    );
    // Who answers does so in the same conversation, under whatever form of the number.
    let from = shops.whatsapp.send_text("551187650002", SHOP, "Obrigado").await;
    from.expect("sent");
    let counts = "select jsonb_build_array((select count(*) from contacts), (select count(*) from conversations), \
        (select count(*) from messages where direction = 'inbound'))";
    shops.bots.await_rows(&garage, counts, json!([[1, 1, 1]])).await;
    // What was answered stays so when the bot is gone.
    app.delete(&path_of(&bot)).by(&garage).await.expect(204);
    let call = app.post("/send-message").by(&garage).idempotency_key("k1");
    assert_eq!(call.json(&body).await.expect(201).json(), answers[0]);
    let wrong = app
        .post("/send-message")
        .by(&garage)
        .json(&json!({"number": "12", "message": ""}));
    wrong
        .await
        .refused_fields(&[("number", "invalid_format"), ("message", "required")]);
    for session in [bot["id"].as_str().unwrap(), "garage", garage.id.as_str()] {
        let theirs = json!({"phone": PERSON, "text": "Oi", "session_id": session});
        app.post("/send-message")
            .by(&imob)
            .json(&theirs)
            .await
            .expect(404);
    }
    let theirs = json!({"to": PERSON, "body": "Oi", "empresa_id": other["id"]});
    app.post("/send-message")
        .by(&garage)
        .json(&theirs)
        .await
        .expect(404);
}

#[tokio::test]
async fn sessions_go_by_the_names_that_others_gave_them() {
    let shops = Shops::start().await;
    let app = &shops.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let imob = app.onboard("imob", "real_estate").await;
    let bot = shops.connected(&garage, SHOP).await;
    let id = bot["id"].as_str().unwrap();
    for path in [
        format!("/status/{id}"),
        "/status/loja-centro".to_owned(),
        format!("/status?sessionId={id}"),
        "/status?session_id=garage".to_owned(),
        format!("/status?empresa_id={}", garage.id),
        "/status".to_owned(),
        "/api/bot/status/garage".to_owned(),
        format!("/qr/{id}"),
        "/qr".to_owned(),
    ] {
        let answer = app.get(&path).by(&garage).await.expect(200).json();
        assert_eq!(answer["sessionId"], id, "{path}");
        assert_eq!(
            (&answer["connected"], &answer["qrCode"]),
            (&json!(true), &json!(null))
        );
        assert_eq!(answer["phoneNumber"], format!("+{SHOP}"));
        app.get(&path).by(&imob).await.problem(404, "not_found");
    }
    let list = app.get("/sessions").by(&garage).await.expect(200).json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    // Whose name it is has it before whom it is only like.
    let exact = InstanceId::new();
    let insert = format!(
        "insert into {}.instances (id, channel, name, is_active, state, state_changed_at, message_delay_ms, max_attempts,
         auto_reconnect, created_at, updated_at)
         values ($1, 'whatsapp_web', 'loja-centro', false, 'created', now(), 0, 3, true, now(), now())",
        garage.schema
    );
    let admin = app.test.admin().await;
    admin
        .execute(&insert, &[&exact.as_uuid()])
        .await
        .expect("another bot");
    let exact = json!({ "id": exact });
    for (name, meant) in [
        ("loja-centro", &exact["id"]),
        ("LOJA-CENTRO", &bot["id"]),
        (id, &bot["id"]),
    ] {
        let answer = app
            .get(&format!("/status/{name}"))
            .by(&garage)
            .await
            .expect(200)
            .json();
        assert_eq!(&answer["sessionId"], meant, "{name}");
    }
    app.get("/status?sessionId=")
        .by(&garage)
        .await
        .problem(404, "not_found");
    app.delete(&path_of(&exact)).by(&garage).await.expect(204);
    let none = app.get("/sessions").by(&imob).await.expect(200).json();
    assert_eq!(none["sessions"], json!([]));
    for path in [
        "/reconnect",
        "/reconnect/loja-centro",
        "/reconnect?sessionId=garage",
        "/api/bot/connect/garage",
    ] {
        app.post(path).by(&imob).await.problem(404, "not_found");
    }
    app.post("/reconnect/loja-centro").by(&garage).await.expect(200);
    app.until("it has come anew", async || {
        shops.whatsapp.logins(SHOP).len() == 2
    })
    .await;
}

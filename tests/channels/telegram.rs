//! Bots of Telegram: what is said to them arrives once, is answered in order, and no tenant hears another's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use helixai_fakes::telegram::{Failure, Incoming, Media, What};
use serde_json::{Value, json};

use super::{Bots, path_of, token};

const SAID: &str = "select jsonb_build_object('direction', direction, 'body', body, 'status', status) from messages order by id";

#[tokio::test]
async fn a_bot_greets_whoever_starts_it() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (bot, token) = bots.greeting(&garage, 1).await;
    bots.telegram.person_starts(&token, 7, None);
    let sent = bots.telegram.await_sent(&token, 1).await;
    assert_eq!((sent[0].chat(), sent[0].text()), (7, "Bem-vindo!"));
    let buttons = sent[0].buttons();
    assert_eq!(
        buttons,
        [("Entrar no VIP".to_owned(), "https://t.me/+vip".to_owned())]
    );
    // Later words are for people to answer; another start is greeted again.
    bots.telegram.person_writes(&token, 7, "Tem Uno?");
    bots.telegram.person_starts(&token, 7, Some("promo"));
    bots.telegram.await_sent(&token, 2).await;
    bots.await_rows(
        &garage,
        SAID,
        json!([
            {"direction": "inbound", "body": "/start", "status": "received"},
            {"direction": "outbound", "body": "Bem-vindo!", "status": "sent"},
            {"direction": "inbound", "body": "Tem Uno?", "status": "received"},
            {"direction": "inbound", "body": "/start promo", "status": "received"},
            {"direction": "outbound", "body": "Bem-vindo!", "status": "sent"},
        ]),
    )
    .await;
    let inbox = bots
        .app
        .get("/api/conversations")
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(inbox["items"].as_array().unwrap().len(), 1);
    assert_eq!(inbox["items"][0]["instance_id"], bot["id"]);
    assert_eq!(inbox["items"][0]["unread_count"], 3);
    // What was sent was counted.
    bots.app
        .until("two messages are booked", async || {
            let usage = bots.app.get("/api/usage").by(&garage).await.expect(200).json();
            usage["meters"][0]["used"] == 2 && usage["meters"][0]["reserved"] == 0
        })
        .await;
}

#[tokio::test]
async fn many_quick_messages_of_one_contact_are_handled_once_and_in_order() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let words: Vec<String> = (0..50).map(|n| format!("mensagem {n}")).collect();
    for word in &words {
        bots.telegram.person_writes(&token, 7, word);
    }
    assert!(bots.telegram.await_heard(&token).await);
    let heard = "select to_jsonb(body) from messages where direction = 'inbound' order by id";
    assert_eq!(json!(bots.rows(&garage, heard).await), json!(words));
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is null";
    bots.await_rows(&garage, waiting, json!([0])).await;
    assert_eq!(bots.telegram.await_sent(&token, 1).await.len(), 1, "greeted once");
}

#[tokio::test]
async fn what_is_delivered_again_has_one_effect() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let update = bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
    for _ in 0..20 {
        assert!(bots.telegram.await_heard(&token).await);
        bots.telegram.redeliver(&token, update);
    }
    bots.telegram.person_writes(&token, 8, "Oi");
    bots.telegram.await_sent(&token, 2).await;
    assert_eq!(bots.telegram.sent_to(&token, 7).len(), 1);
    let unread = "select to_jsonb(unread_count) from conversations order by id";
    assert_eq!(json!(bots.rows(&garage, unread).await), json!([1, 1]));
}

#[tokio::test]
async fn an_album_of_somebody_new_is_one_conversation() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    for n in 0..10 {
        let photo = What::Photo(Media {
            caption: Some(format!("foto {n}")),
            ..Media::default()
        });
        bots.telegram.receive(&token, &Incoming::new(7, photo)).unwrap();
    }
    assert!(bots.telegram.await_heard(&token).await);
    let counts =
        "select jsonb_build_array((select count(*) from contacts), (select count(*) from conversations),
        (select count(*) from messages where kind = 'image' and payload ? 'file_id'))";
    assert_eq!(bots.rows(&garage, counts).await, [json!([1, 1, 10])]);
}

#[tokio::test]
async fn no_tenant_hears_or_answers_for_another() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let imob = bots.app.onboard("imob", "real_estate").await;
    let (_, first) = bots.greeting(&garage, 1).await;
    let (other, second) = bots.greeting(&imob, 2).await;
    // The same person writes to both.
    bots.telegram.person_writes(&first, 7, "Quero um carro");
    bots.telegram.person_writes(&second, 7, "Quero uma casa");
    bots.telegram.await_sent(&first, 1).await;
    bots.telegram.await_sent(&second, 1).await;
    let heard = "select to_jsonb(body) from messages where direction = 'inbound'";
    assert_eq!(bots.rows(&garage, heard).await, [json!("Quero um carro")]);
    assert_eq!(bots.rows(&imob, heard).await, [json!("Quero uma casa")]);
    bots.app.get(&path_of(&other)).by(&garage).await.expect(404);
    bots.app.delete(&path_of(&other)).by(&garage).await.expect(404);
}

#[tokio::test]
async fn a_person_who_answers_silences_the_bot() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    bots.telegram.person_writes(&token, 7, "Oi");
    bots.telegram.await_sent(&token, 1).await;
    let inbox = bots
        .app
        .get("/api/conversations")
        .by(&garage)
        .await
        .expect(200)
        .json();
    let path = format!(
        "/api/conversations/{}/messages",
        inbox["items"][0]["id"].as_str().unwrap()
    );
    let session = bots.app.log_in(&garage).await;
    let say = bots.app.post(&path).of(&garage).bearer(&session);
    say.json(&json!({"body": "Aqui é o João"})).await.expect(201);
    let sent = bots.telegram.await_sent(&token, 2).await;
    assert_eq!(sent[1].text(), "Aqui é o João");
    bots.telegram.person_starts(&token, 7, None);
    // Somebody else is greeted meanwhile.
    bots.telegram.person_starts(&token, 8, None);
    bots.telegram.await_sent(&token, 3).await;
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is null";
    bots.await_rows(&garage, waiting, json!([0])).await;
    assert_eq!(bots.telegram.sent_to(&token, 7).len(), 2);
}

#[tokio::test]
async fn a_dead_token_parks_its_bot_only() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (dead, first) = bots.greeting(&garage, 1).await;
    let imob = bots.app.onboard("imob", "real_estate").await;
    let (_, second) = bots.greeting(&imob, 2).await;
    bots.telegram.revoke(&first);
    let parked = bots.await_state(&garage, &dead, "failed").await;
    assert_eq!(parked["state_detail"]["code"], "token_refused");
    bots.telegram.person_starts(&second, 7, None);
    bots.telegram.await_sent(&second, 1).await;
    // Another token mends it, without a restart.
    let third = token(3);
    bots.telegram.add_bot(&third, "nova_bot");
    let put = bots.app.call(reqwest::Method::PUT, &path_of(&dead)).by(&garage);
    put.json(&json!({"token": third})).await.expect(200);
    let mended = bots.await_state(&garage, &dead, "connected").await;
    assert_eq!(mended["username"], "nova_bot");
}

#[tokio::test]
async fn bots_start_change_and_stop_as_their_rows_do() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (bot, token) = bots.greeting(&garage, 1).await;
    let path = path_of(&bot);
    let put = bots.app.call(reqwest::Method::PUT, &path).by(&garage);
    put.json(&json!({"initial_message": "Olá!", "vip_link": null}))
        .await
        .expect(200);
    bots.telegram.person_starts(&token, 7, None);
    let sent = bots.telegram.await_sent(&token, 1).await;
    assert_eq!((sent[0].text(), sent[0].buttons().len()), ("Olá!", 0));
    let status = async |active: bool| {
        let call = bots.app.patch(&format!("{path}/status")).by(&garage);
        call.json(&json!({"is_active": active})).await.expect(200);
    };
    status(false).await;
    assert!(bots.telegram.await_polled(&token, false).await);
    bots.await_state(&garage, &bot, "stopped").await;
    bots.telegram.person_starts(&token, 8, None);
    status(true).await;
    bots.await_state(&garage, &bot, "connected").await;
    bots.telegram.await_sent(&token, 2).await;
    bots.app.delete(&path).by(&garage).await.expect(204);
    assert!(bots.telegram.await_polled(&token, false).await);
    bots.app.get(&path).by(&garage).await.expect(404);
    assert_eq!(bots.telegram.conflicts(&token), 0, "never two at once");
}

#[tokio::test]
async fn telegram_away_is_waited_for() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    for failure in [Failure::Drop, Failure::TooManyRequests(1), Failure::Drop] {
        bots.telegram.answer_next("getUpdates", failure);
    }
    bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
}

#[tokio::test]
async fn telegram_tells_by_webhook() {
    let bots = Bots::start_with(&[
        ("channels.telegram_updates", "webhook"),
        ("server.public_scheme", "https"),
    ])
    .await;
    let garage = bots.app.onboard("garage", "cars").await;
    bots.telegram
        .send_webhooks_through(&format!("http://{}", bots.app.address));
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    let bot = bots.make(&garage, &token).await;
    bots.await_state(&garage, &bot, "connected").await;
    bots.telegram.person_starts(&token, 7, None);
    let sent = bots.telegram.await_sent(&token, 1).await;
    assert_eq!(sent[0].text(), "Bem-vindo!");
    assert_eq!(bots.telegram.polled_by(&token), None);
    // Whoever does not know the secret is not heard, whatever they name.
    let path = format!("/hooks/telegram/{}/{}", garage.id, bot["id"].as_str().unwrap());
    let update = json!({"update_id": 1, "message": {"message_id": 9, "date": 0, "text": "x",
        "chat": {"id": 9, "type": "private", "first_name": "X"}, "from": {"id": 9, "is_bot": false, "first_name": "X"}}});
    let call = |secret: Option<&str>, body: &Value| {
        let call = bots.app.post(&path);
        let call = match secret {
            Some(secret) => call.header("x-telegram-bot-api-secret-token", secret),
            None => call,
        };
        call.json(body)
    };
    call(None, &update).await.problem(401, "signature_invalid");
    call(Some("wrong"), &update)
        .await
        .problem(401, "signature_invalid");
    let none = format!("/hooks/telegram/{}/{}", bot["id"].as_str().unwrap(), garage.id);
    bots.app
        .post(&none)
        .json(&update)
        .await
        .problem(401, "signature_invalid");
    let heard = "select to_jsonb(count(*)) from messages where direction = 'inbound'";
    assert_eq!(bots.rows(&garage, heard).await, [json!(1)]);
    // Who has canceled is not heard: Telegram is asked to bring it again.
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.subscriptions set status = 'canceled', canceled_at = now()")
        .await
        .unwrap();
    let garage_id = garage.id.parse().unwrap();
    bots.app.test.platform.channels.called.forget(garage_id);
    let (number, _) = token.split_once(':').unwrap();
    let whose = format!("{}:{}:{number}", garage.id, bot["id"].as_str().unwrap());
    let secret = bots
        .app
        .test
        .platform
        .key
        .fingerprint("telegram_webhook", whose.as_bytes());
    let secret = format!("{number}_{}", URL_SAFE_NO_PAD.encode(secret));
    call(Some(&secret), &update)
        .await
        .problem(503, "tenant_unavailable");
    assert_eq!(bots.rows(&garage, heard).await, [json!(1)]);
}

#[tokio::test]
async fn one_who_has_not_paid_is_heard_and_does_not_speak() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.subscriptions set status = 'suspended', suspended_at = now(), past_due_at = now() - interval '8 days', trial_ends_at = null")
        .await
        .unwrap();
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    let instance = helixai::domain::ids::InstanceId::new();
    let tenant = garage.id.parse().unwrap();
    let channels = &bots.app.test.platform.channels;
    let sealed = channels.seal_token(
        tenant,
        instance,
        &helixai::domain::instance::BotToken::parse(&token).unwrap().into(),
    );
    let db = channels.db(tenant).await.unwrap().unwrap();
    let fields = json!({
        "name": "Vendas", "initial_message": "Oi", "is_active": true, "message_delay_ms": 0, "max_attempts": 3, "auto_reconnect": true,
    });
    let batch = (
        helixai::db::tenant::instances::insert(
            instance,
            helixai::domain::conversation::Channel::Telegram,
            fields.as_object().unwrap().clone(),
            Some(sealed),
            None,
            chrono::Utc::now(),
        ),
        helixai::db::tenant::instances::note(instance),
    );
    db.run(&bots.app.test.system(), batch).await.unwrap();
    assert!(bots.telegram.await_polled(&token, true).await);
    bots.telegram.person_starts(&token, 7, None);
    let answered =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is not null";
    bots.await_rows(&garage, answered, json!([1])).await;
    assert_eq!(bots.telegram.sent(&token).len(), 0);
}

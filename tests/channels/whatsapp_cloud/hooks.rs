//! Only Meta, speaking for the tenant's own application, is heard; and a number is one bot's.

use helixai_fakes::whatsapp_cloud::{Signing, envelope, signature};
use serde_json::{Value, json};

use super::{ANA, HEARD, Number, Numbers, body, number_id};
use crate::channels::token;
use crate::helpers::{Answer, TestTenant};

fn message(wamid: &str, words: &str) -> Value {
    json!({"contacts": [], "messages": [
        {"id": wamid, "from": ANA, "timestamp": "1767225600", "type": "text", "text": {"body": words}}]})
}

async fn verify(numbers: &Numbers, path: &str, mode: &str, token: &str, challenge: &str) -> Answer {
    let query = format!("hub.mode={mode}&hub.verify_token={token}&hub.challenge={challenge}");
    numbers.bots.app.get(&format!("{path}?{query}")).await
}

fn hook(tenant: &TestTenant, instance: &str) -> String {
    format!("/hooks/whatsapp-cloud/{}/{instance}", tenant.id)
}

#[tokio::test]
async fn the_challenge_is_said_back_to_who_shows_the_token() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    let path = hook(&garage, number.instance());
    assert!(number.hook().ends_with(&path), "{}", number.hook());
    let token = number.verify_token();
    let good = verify(&numbers, &path, "subscribe", token, "1158201444").await;
    assert_eq!(good.status, 200);
    assert_eq!(
        (good.text().as_str(), good.header("content-type")),
        ("1158201444", Some("text/plain; charset=utf-8"))
    );
    for (mode, token, challenge) in [
        ("subscribe", "another", "1"),
        ("subscribe", "", "1"),
        ("unsubscribe", token, "1"),
        ("subscribe", token, ""),
        ("subscribe", token, "a%20b"),
        ("subscribe", token, "%3Cscript%3E%0A"),
        ("subscribe", token, &"1".repeat(201)),
    ] {
        let answer = verify(&numbers, &path, mode, token, challenge).await;
        answer.problem(403, "verify_token_wrong");
    }
    numbers
        .bots
        .app
        .get(&path)
        .await
        .problem(403, "verify_token_wrong");
    // Another tenant's address, nobody's, and that of a bot of another channel.
    let telegram = json!({"name": "Telegram", "token": crate::channels::token(1), "is_active": false});
    let telegram = numbers
        .bots
        .app
        .post("/api/bots")
        .by(&imob)
        .json(&telegram)
        .await
        .expect(201)
        .json();
    for path in [
        hook(&imob, number.instance()),
        hook(&garage, &garage.id),
        hook(&imob, telegram["id"].as_str().unwrap()),
        "/hooks/whatsapp-cloud/x/y".to_owned(),
    ] {
        verify(&numbers, &path, "subscribe", token, "1")
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn what_is_not_signed_is_not_heard() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    let other = numbers.greeting(&imob, 2).await;
    let text = envelope(&[(&number.id, message("wamid.1", "Oi"))]).to_string();
    for signing in [
        Signing::Unsigned,
        Signing::Tampered,
        Signing::With(&other.secret),
        Signing::With(""),
    ] {
        assert_eq!(
            numbers.cloud.post(&number.id, &text, signing).await,
            401,
            "{signing:?}"
        );
    }
    let post = async |path: &str, signature: &str, text: &str| {
        let call = numbers
            .bots
            .app
            .post(path)
            .header("x-hub-signature-256", signature);
        call.text(text).await
    };
    let own = hook(&garage, number.instance());
    let good = signature(&number.secret, &text);
    for wrong in [
        good.trim_start_matches("sha256="),
        "sha256=",
        "sha1=00",
        &good[..good.len() - 2],
    ] {
        post(&own, wrong, &text).await.problem(401, "signature_invalid");
    }
    // The right signature at another's address, and at nobody's.
    let others = hook(&imob, other.instance());
    post(&others, &good, &text)
        .await
        .problem(401, "signature_invalid");
    for nobody in [hook(&imob, number.instance()), hook(&garage, other.instance())] {
        post(&nobody, &good, &text).await.problem(404, "not_found");
    }
    // Signed, and nothing that Meta says.
    for odd in ["no JSON", "[]", "{}"] {
        let good = signature(&number.secret, odd);
        post(&own, &good, odd).await.problem(400, "event_unreadable");
    }
    for tenant in [&garage, &imob] {
        assert!(numbers.bots.rows(tenant, HEARD).await.is_empty());
    }
    post(&own, &good, &text).await.expect(200);
    assert_eq!(numbers.bots.rows(&garage, HEARD).await, [json!("Oi")]);
}

#[tokio::test]
async fn news_of_another_tenants_number_are_passed_over() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    numbers.bots.grow(&garage).await;
    let shared = "the-secret-of-one-application";
    let number = numbers.greeting_of(&garage, 1, shared).await;
    let beside = numbers.greeting_of(&garage, 2, shared).await;
    let apart = numbers.greeting(&garage, 3).await;
    let foreign = numbers.greeting_of(&imob, 4, shared).await;
    let of = |number: &Number, words: &str| (number.id.clone(), message(&format!("wamid.{words}"), words));
    let news = [
        of(&number, "minha"),
        of(&beside, "ao lado"),
        of(&apart, "à parte"),
        of(&foreign, "alheia"),
    ];
    let news: Vec<(&str, Value)> = news
        .iter()
        .map(|(id, value)| (id.as_str(), value.clone()))
        .collect();
    let text = envelope(&news).to_string();
    assert_eq!(numbers.cloud.post(&number.id, &text, Signing::Good).await, 200);
    let heard =
        "select jsonb_build_array(instance_id, body) from messages where direction = 'inbound' order by id";
    let expected = [
        json!([number.bot["id"], "minha"]),
        json!([beside.bot["id"], "ao lado"]),
    ];
    assert_eq!(numbers.bots.rows(&garage, heard).await, expected);
    assert!(
        numbers.bots.rows(&imob, heard).await.is_empty(),
        "another tenant's"
    );
    // Both are answered, each by its own number.
    numbers.cloud.await_said(&number.id, 0).await;
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is null";
    numbers.bots.await_rows(&garage, waiting, json!([0])).await;
}

#[tokio::test]
async fn one_who_has_canceled_is_not_heard() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let admin = numbers.bots.app.test.admin().await;
    admin
        .batch_execute("update master.subscriptions set status = 'canceled', canceled_at = now()")
        .await
        .unwrap();
    let words = json!({"type": "text", "text": {"body": "Oi"}});
    // Meta brings it again.
    assert_eq!(numbers.cloud.person_does(&number.id, ANA, &words).await.1, 503);
    assert!(numbers.bots.rows(&garage, HEARD).await.is_empty());
}

#[tokio::test]
async fn a_number_is_one_bots_on_the_whole_platform() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    let post = async |body: &Value| numbers.bots.app.post("/api/bots").by(&imob).json(body).await;
    // Whoever else has whatever other secrets.
    let mut same = body(1, "another-secret-of-theirs");
    same["access_token"] = json!("EAAJB-another-token");
    post(&same).await.problem(409, "bot_token_taken");
    let other = numbers.greeting(&imob, 2).await;
    let taken = json!({"phone_number_id": number.id});
    numbers
        .put(&imob, &other.bot, &taken)
        .await
        .problem(409, "bot_token_taken");
    // Removed, it is free.
    let path = crate::channels::path_of(&number.bot);
    numbers.bots.app.delete(&path).by(&garage).await.expect(204);
    numbers.put(&imob, &other.bot, &taken).await.expect(200);
    let moved = numbers.bots.await_state(&imob, &other.bot, "failed").await;
    assert_eq!(
        moved["state_detail"]["code"], "number_unknown",
        "their token is not that number's"
    );
}

#[tokio::test]
async fn who_only_names_a_number_does_not_keep_it_from_its_owner() {
    let numbers = Numbers::start().await;
    let app = &numbers.bots.app;
    let garage = app.onboard("garage", "cars").await;
    let imob = app.onboard("imob", "real_estate").await;
    let post = async |tenant: &TestTenant, body: &Value| app.post("/api/bots").by(tenant).json(body).await;
    // A number is no secret: whoever wants writes it down, with secrets of their own invention.
    let named = post(&imob, &body(1, "an-invented-secret"))
        .await
        .expect(201)
        .json();
    numbers.bots.await_state(&imob, &named, "failed").await;
    let mut owners = body(1, "the-secret-of-application-1");
    owners["access_token"] = json!("EAAJB-of-the-owner");
    numbers
        .cloud
        .add_number(&number_id(1), "EAAJB-of-the-owner", "the-secret-of-application-1");
    let a_while_later = async || {
        let aged = "update master.bot_tokens set created_at = created_at - interval '3 minutes'";
        app.test.admin().await.batch_execute(aged).await.expect("aged");
    };
    // Who has claimed it a moment ago may be about to store it.
    post(&garage, &owners).await.problem(409, "bot_token_taken");
    a_while_later().await;
    let owned = post(&garage, &owners).await.expect(201).json();
    numbers.bots.await_state(&garage, &owned, "connected").await;
    a_while_later().await;
    post(&imob, &body(1, "an-invented-secret"))
        .await
        .problem(409, "bot_token_taken");
    // Nor does who is let in take it from who is.
    post(&imob, &owners).await.problem(409, "bot_token_taken");
}

#[tokio::test]
async fn bad_numbers_are_refused_and_leave_nothing() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let post = async |body: &Value| numbers.bots.app.post("/api/bots").by(&garage).json(body).await;
    post(&json!({"channel": "whatsapp_cloud", "name": "X"}))
        .await
        .refused_fields(&[
            ("phone_number_id", "required"),
            ("access_token", "required"),
            ("app_secret", "required"),
        ]);
    let mut wrong = body(1, "short");
    wrong["phone_number_id"] = json!("+55 11");
    wrong["access_token"] = json!("a b c d e f g h");
    wrong["verify_token"] = json!("123");
    post(&wrong).await.refused_fields(&[
        ("phone_number_id", "invalid_format"),
        ("access_token", "invalid_format"),
        ("app_secret", "too_short"),
        ("verify_token", "too_short"),
    ]);
    let mut mixed = body(1, "the-secret-of-application");
    mixed["token"] = json!(token(1));
    post(&mixed).await.refused_fields(&[("token", "not_allowed")]);
    let telegram = json!({"name": "X", "token": token(1), "app_secret": "the-secret-of-application"});
    post(&telegram)
        .await
        .refused_fields(&[("app_secret", "not_allowed")]);
    post(&json!({"name": "X", "channel": "pombo"}))
        .await
        .refused_fields(&[("channel", "unknown_value")]);
    let list = numbers
        .bots
        .app
        .get("/api/bots/my")
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"], json!([]));
    let number = numbers.greeting(&garage, 1).await;
    let put = numbers
        .put(&garage, &number.bot, &json!({"token": token(1)}))
        .await;
    put.refused_fields(&[("token", "not_allowed")]);
    // What is chosen is shown to nobody, and good.
    let chosen = json!({"verify_token": "escolhido-por-nós"});
    numbers
        .put(&garage, &number.bot, &chosen)
        .await
        .refused_fields(&[("verify_token", "invalid_format")]);
    let chosen = json!({"verify_token": "escolhido-aqui"});
    numbers.put(&garage, &number.bot, &chosen).await.expect(200);
    let path = hook(&garage, number.instance());
    verify(&numbers, &path, "subscribe", "escolhido-aqui", "7")
        .await
        .expect(200);
    verify(&numbers, &path, "subscribe", number.verify_token(), "7")
        .await
        .expect(403);
    assert_eq!(number.id, number_id(1));
}

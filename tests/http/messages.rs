//! `/api/conversations/{id}/messages`.

use helixai::domain::clock::Clock;
use serde_json::{Value, json};

use super::conversations::{begun, path_of};
use super::resource::{at_noon, ids, noon, texts};
use crate::helpers::{TestApp, TestTenant};

async fn say(app: &TestApp, tenant: &TestTenant, conversation: &Value, words: &str) -> Value {
    let call = app.post(&messages(conversation)).by(tenant);
    call.json(&json!({"body": words})).await.expect(201).json()
}

fn messages(conversation: &Value) -> String {
    format!("{}/messages", path_of(conversation))
}

/// What waits to be sent: `(id, kind, payload, state, due_at)` as JSON.
async fn outbox(app: &TestApp, tenant: &TestTenant) -> Vec<Value> {
    let select = format!(
        "select jsonb_build_object('id', id, 'kind', kind, 'payload', payload, 'state', state, 'attempts', attempts)
         from {}.outbox order by id",
        tenant.schema
    );
    let rows = app.test.admin().await.query(&select, &[]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_is_said_is_stored_with_what_sends_it() {
    // Nobody looks at what is due meanwhile.
    let app = TestApp::builder()
        .clock(Clock::fixed(noon()))
        .set("server.background_work", false);
    let app = app.start().await;
    let tenant = app.onboard("tenant-one", "cars").await;
    let conversation = begun(&app, &tenant, "Ana").await;
    app.test.clock.advance(chrono::TimeDelta::minutes(5));
    let words = " Bom dia!\nO Uno ainda está à venda. 👋";
    let made = say(&app, &tenant, &conversation, words).await;
    let expected = json!({
        "id": made["id"], "conversation_id": conversation["id"], "direction": "outbound", "author": "bot",
        "user_id": null, "kind": "text", "body": words, "payload": {}, "status": "queued", "error": null,
        "file": null, "delivered_at": null, "read_at": null, "created_at": "2026-03-10T12:05:00Z",
    });
    assert_eq!(made, expected);
    let list = app
        .get(&messages(&conversation))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    assert_eq!(list, json!({"items": [made], "next_cursor": null}));
    let line = json!({
        "id": made["id"], "kind": "send_message", "state": "pending", "attempts": 0,
        "payload": {"message_id": made["id"], "conversation_id": conversation["id"]},
    });
    assert_eq!(outbox(&app, &tenant).await, [line]);
    let read = app
        .get(&path_of(&conversation))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    assert_eq!(read["last_message"]["body"], words);
    assert_eq!(read["last_message_at"], "2026-03-10T12:05:00Z");
    assert_eq!(
        (&read["version"], &read["bot_paused_until"]),
        (&json!(1), &Value::Null),
        "a program neither edits nor silences the bot"
    );
}

#[tokio::test]
async fn a_person_who_answers_silences_the_bot() {
    let (app, tenant) = at_noon("cars").await;
    let conversation = begun(&app, &tenant, "Ana").await;
    let token = app.log_in(&tenant).await;
    let me = app.owner_of(&tenant).await.to_string();
    let call = app.post(&messages(&conversation)).of(&tenant).bearer(&token);
    let said = call.json(&json!({"body": "Sou o João"})).await.expect(201).json();
    assert_eq!((&said["author"], &said["user_id"]), (&json!("user"), &json!(me)));
    let path = path_of(&conversation);
    let paused = async || app.get(&path).by(&tenant).await.expect(200).json()["bot_paused_until"].clone();
    assert_eq!(paused().await, "2026-03-11T00:00:00Z");
    // A longer silence is not cut short.
    let longer = json!({"bot_paused_until": "2026-04-01T00:00:00Z"});
    app.patch(&path).by(&tenant).json(&longer).await.expect(200);
    let call = app.post(&messages(&conversation)).of(&tenant).bearer(&token);
    call.json(&json!({"body": "De novo"})).await.expect(201);
    assert_eq!(paused().await, "2026-04-01T00:00:00Z");
}

#[tokio::test]
async fn a_repeated_request_says_it_once() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let (ana, bia) = (
        begun(&app, &tenant, "Ana").await,
        begun(&app, &tenant, "Bia").await,
    );
    let post = |conversation: &Value, words: &str| {
        let call = app
            .post(&messages(conversation))
            .by(&tenant)
            .idempotency_key("one");
        call.json(&json!({"body": words}))
    };
    let calls = (0..10)
        .map(|_| post(&ana, "Oi"))
        .map(|call| async move { call.await });
    let answers = futures_util::future::join_all(calls).await;
    let first = answers[0].expect(201).json();
    for answer in &answers {
        assert_eq!(answer.expect(201).json(), first);
    }
    post(&ana, "Olá").await.problem(422, "idempotency_key_reused");
    // The same words to somebody else are another request.
    post(&bia, "Oi").await.problem(422, "idempotency_key_reused");
    let list = app.get(&messages(&ana)).by(&tenant).await.expect(200).json();
    assert_eq!(list["items"], json!([first]));
    assert_eq!(outbox(&app, &tenant).await.len(), 1);
}

#[tokio::test]
async fn bad_requests_are_refused_and_leave_nothing() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let conversation = begun(&app, &tenant, "Ana").await;
    let path = messages(&conversation);
    let post = async |body: Value| app.post(&path).by(&tenant).json(&body).await;
    for (body, code) in [
        (json!({}), "required"),
        (json!({"body": null}), "required"),
        (json!({"body": " \n"}), "required"),
        (json!({"body": "a\0b"}), "invalid_format"),
        (json!({"body": "é".repeat(4097)}), "too_long"),
        (json!({"body": 7}), "invalid_type"),
    ] {
        post(body).await.refused_fields(&[("body", code)]);
    }
    post(json!({"body": "Oi", "direction": "inbound"}))
        .await
        .refused_fields(&[("direction", "unknown_field")]);
    for id in ["nobody", "0190163d-8694-739b-aea5-966c26f8ad91"] {
        let path = format!("/api/conversations/{id}/messages");
        app.get(&path).by(&tenant).await.problem(404, "not_found");
        let call = app.post(&path).by(&tenant).json(&json!({"body": "Oi"}));
        call.clone().await.problem(404, "not_found");
        call.idempotency_key("one").await.problem(404, "not_found");
    }
    for (query, field, code) in [
        ("limit=0", "limit", "out_of_range"),
        ("cursor=AAAA", "cursor", "invalid_cursor"),
        ("q=oi", "q", "unknown_field"),
    ] {
        let list = app.get(&format!("{path}?{query}")).by(&tenant).await;
        list.refused_fields(&[(field, code)]);
    }
    let list = app.get(&path).by(&tenant).await.expect(200).json();
    assert_eq!(list["items"], json!([]));
    assert_eq!(outbox(&app, &tenant).await, [Value::Null; 0]);
}

#[tokio::test]
async fn pages_go_back_in_time() {
    let (app, tenant) = at_noon("cars").await;
    let conversation = begun(&app, &tenant, "Ana").await;
    let other = begun(&app, &tenant, "Bia").await;
    for number in 0..7 {
        say(&app, &tenant, &conversation, &number.to_string()).await;
        say(&app, &tenant, &other, "not hers").await;
    }
    let page = async |query: &str| {
        let path = format!("{}?limit=3{query}", messages(&conversation));
        app.get(&path).by(&tenant).await.expect(200).json()
    };
    let first = page("").await;
    // All at the same moment: in the order in which they were said.
    assert_eq!(texts(&first, "body"), ["6", "5", "4"]);
    say(&app, &tenant, &conversation, "7").await;
    let second = page(&format!("&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(texts(&second, "body"), ["3", "2", "1"]);
    let third = page(&format!("&cursor={}", second["next_cursor"].as_str().unwrap())).await;
    assert_eq!(
        (texts(&third, "body"), &third["next_cursor"]),
        (vec!["0".to_owned()], &Value::Null)
    );
}

/// What is removed before it was sent is not sent.
#[tokio::test]
async fn a_conversation_that_goes_takes_its_messages_along() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let (ana, bia) = (
        begun(&app, &tenant, "Ana").await,
        begun(&app, &tenant, "Bia").await,
    );
    let gone = say(&app, &tenant, &ana, "Oi").await;
    let stays = say(&app, &tenant, &bia, "Oi").await;
    app.delete(&path_of(&ana)).by(&tenant).await.expect(204);
    let left = outbox(&app, &tenant).await;
    let states: Vec<_> = left.iter().map(|line| (&line["id"], &line["state"])).collect();
    assert_eq!(
        states,
        [
            (&gone["id"], &json!("canceled")),
            (&stays["id"], &json!("pending"))
        ]
    );
    let list = app.get(&messages(&bia)).by(&tenant).await.expect(200).json();
    assert_eq!(ids(&list), [stays["id"].as_str().unwrap()]);
}

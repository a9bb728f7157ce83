//! What users are told to look at.

use helixai::db::tenant::inbound::Heard;
use helixai::db::tenant::instances;
use helixai::domain::conversation::Channel;
use helixai::domain::ids::InstanceId;
use helixai::domain::instance::InstanceState;
use helixai::domain::message::MessageKind;
use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant, tenant_db_of};

/// A bot that nobody runs.
async fn bot(app: &TestApp, tenant: &TestTenant, token: &str) -> InstanceId {
    let body =
        json!({"name": "Vendas", "token": format!("777777777:AA{}", "x".repeat(33)), "is_active": false});
    let bot = app
        .post("/api/bots")
        .of(tenant)
        .bearer(token)
        .json(&body)
        .await
        .expect(201)
        .json();
    bot["id"].as_str().expect("an id").parse().expect("an id")
}

/// Somebody says something to it; in which conversation.
async fn hear(app: &TestApp, tenant: &TestTenant, bot: InstanceId, number: u32) -> String {
    let heard = Heard {
        chat: "42".to_owned(),
        provider_message_id: format!("42:{number}"),
        name: Some("Ana".to_owned()),
        phone: None,
        kind: MessageKind::Text,
        body: Some("oi".to_owned()),
        payload: json!({}),
        file_sealed: None,
        hidden: None,
    };
    let db = tenant_db_of(&app.test.platform, &tenant.key).await;
    let conversation = app
        .test
        .platform
        .channels
        .hear(&db, bot, Channel::Telegram, heard)
        .await;
    conversation.expect("heard").to_string()
}

async fn unread(app: &TestApp, tenant: &TestTenant, token: &str) -> Vec<Value> {
    let list = app.get("/api/notifications?unread=true").of(tenant).bearer(token);
    list.await.expect(200).json()["items"]
        .as_array()
        .expect("items")
        .clone()
}

fn kinds(notifications: &[Value]) -> Vec<&str> {
    notifications
        .iter()
        .filter_map(|notification| notification["kind"].as_str())
        .collect()
}

#[tokio::test]
async fn who_looks_after_a_conversation_is_told_of_it_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let owner = app.log_in(&garage).await;
    let agent = app.add_user(&garage, "agent").await;
    let token = app.session_of(&garage, agent).await;
    let bot = bot(&app, &garage, &owner).await;
    let id = hear(&app, &garage, bot, 1).await;
    assert_eq!(unread(&app, &garage, &token).await, [Value::Null; 0]);
    let path = format!("/api/conversations/{id}");
    let assign = async |by: &str, to: Value| {
        let call = app
            .patch(&path)
            .of(&garage)
            .bearer(by)
            .json(&json!({ "assigned_to": to }));
        call.await.expect(200);
    };
    // Whoever takes it knows; whoever has it already is not told again.
    assign(&token, json!(agent)).await;
    assign(&owner, json!(agent)).await;
    assert_eq!(unread(&app, &garage, &token).await, [Value::Null; 0]);
    assign(&owner, Value::Null).await;
    assign(&owner, json!(agent)).await;
    let told = unread(&app, &garage, &token).await;
    assert_eq!(kinds(&told), ["conversation_assigned"]);
    assert_eq!(told[0]["conversation_id"], id);
    assert_eq!(
        unread(&app, &garage, &owner).await,
        [Value::Null; 0],
        "nobody else is told"
    );

    // So is whose it is from the beginning.
    let contact = app
        .post("/api/contacts")
        .by(&garage)
        .json(&json!({"name": "Bia"}));
    let contact = contact.await.expect(201).json();
    let begin = app.post("/api/conversations").of(&garage).bearer(&owner);
    let begin = begin.json(&json!({"contact_id": contact["id"], "assigned_to": agent}));
    let begun = begin.await.expect(201).json();
    let told = unread(&app, &garage, &token).await;
    assert_eq!(kinds(&told), ["conversation_assigned", "conversation_assigned"]);
    assert_eq!(told[0]["conversation_id"], begun["id"]);
    let remove = app.delete(&format!(
        "/api/conversations/{}",
        begun["id"].as_str().expect("an id")
    ));
    remove.of(&garage).bearer(&owner).await.expect(204);

    // What was said is told once until it is read, however often it is delivered.
    for number in [2, 3, 3] {
        hear(&app, &garage, bot, number).await;
    }
    let told = unread(&app, &garage, &token).await;
    assert_eq!(kinds(&told), ["message_received", "conversation_assigned"]);
    let read = format!(
        "/api/notifications/{}/read",
        told[0]["id"].as_str().expect("an id")
    );
    app.post(&read)
        .of(&garage)
        .bearer(&owner)
        .await
        .problem(404, "not_found");
    let first = app
        .post(&read)
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert!(first["read_at"].is_string());
    let again = app
        .post(&read)
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert_eq!(again, first);
    hear(&app, &garage, bot, 4).await;
    assert_eq!(
        kinds(&unread(&app, &garage, &token).await),
        ["message_received", "conversation_assigned"]
    );
    let all = app
        .post("/api/notifications/read")
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert_eq!(all, json!({"read": 2}));
    assert_eq!(unread(&app, &garage, &token).await, [Value::Null; 0]);
    let list = app
        .get("/api/notifications?limit=2")
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"].as_array().expect("items").len(), 2);
    assert!(list["next_cursor"].is_string());
    app.get("/api/notifications")
        .by(&garage)
        .await
        .problem(403, "insufficient_rights");
    // With the conversation they are gone.
    app.delete(&path).of(&garage).bearer(&owner).await.expect(204);
    let list = app
        .get("/api/notifications")
        .of(&garage)
        .bearer(&token)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn whose_bot_does_not_come_back_is_told() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let owner = app.log_in(&garage).await;
    let agent = app.add_user(&garage, "agent").await;
    let token = app.session_of(&garage, agent).await;
    let bot = bot(&app, &garage, &token).await;
    let db = tenant_db_of(&app.test.platform, &garage.key).await;
    let set = async |state: InstanceState, code: &str| {
        let set = instances::set_state(bot, state, json!({ "code": code }), None, app.test.clock.now());
        db.run(&app.test.system(), set).await.expect("noted");
    };
    set(InstanceState::Reconnecting, "provider_away").await;
    assert_eq!(unread(&app, &garage, &token).await, [Value::Null; 0]);
    for code in ["bad_token", "bad_token", "conflict"] {
        set(InstanceState::Failed, code).await;
    }
    let told = unread(&app, &garage, &token).await;
    assert_eq!(kinds(&told), ["bot_needs_person"]);
    assert_eq!(told[0]["instance_id"], json!(bot));
    assert_eq!(unread(&app, &garage, &owner).await, [Value::Null; 0]);
    // When nobody has it any more, an owner is told.
    app.delete(&format!("/api/users/{agent}"))
        .of(&garage)
        .bearer(&owner)
        .await
        .expect(204);
    set(InstanceState::Banned, "banned").await;
    assert_eq!(kinds(&unread(&app, &garage, &owner).await), ["bot_needs_person"]);
}

//! `/api/conversations`.

use serde_json::{Value, json};

use super::resource::{at_noon, ids, texts};
use crate::helpers::{Answer, TestApp, TestTenant};

/// Adds a contact of this name and answers its id.
pub async fn contact(app: &TestApp, tenant: &TestTenant, body: Value) -> Value {
    let call = app.post("/api/contacts").by(tenant).json(&body);
    call.await.expect(201).json()["id"].clone()
}

/// Begins a conversation with a new contact of this name.
pub async fn begun(app: &TestApp, tenant: &TestTenant, name: &str) -> Value {
    let contact = contact(app, tenant, json!({"name": name})).await;
    let call = app.post("/api/conversations").by(tenant);
    call.json(&json!({"contact_id": contact}))
        .await
        .expect(201)
        .json()
}

/// Where a conversation is.
pub fn path_of(conversation: &Value) -> String {
    format!(
        "/api/conversations/{}",
        conversation["id"].as_str().expect("an id")
    )
}

/// The names of the contacts of a list.
fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    let name = |item: &Value| item["contact"]["name"].as_str().expect("a name").to_owned();
    items.iter().map(name).collect()
}

/// As the channel will: a message from the contact.
async fn hears(app: &TestApp, tenant: &TestTenant, conversation: &Value, body: &str) {
    let id: uuid::Uuid = conversation["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let admin = app.test.admin().await;
    let insert = format!(
        "with m as (insert into {0}.messages (id, conversation_id, direction, author, kind, body, status, created_at)
                    values ($1, $2, 'inbound', 'contact', 'text', $3, 'received', $4))
         update {0}.conversations set unread_count = unread_count + 1, last_message_at = $4 where id = $2",
        tenant.schema
    );
    let now = app.test.clock.now();
    let changed = admin
        .execute(&insert, &[&uuid::Uuid::now_v7(), &id, &body, &now])
        .await;
    assert_eq!(changed.expect("heard"), 1);
}

#[tokio::test]
async fn a_conversation_is_begun_read_changed_and_removed() {
    let (app, tenant) = at_noon("cars").await;
    let me = app.owner_of(&tenant).await.to_string();
    let ana = contact(&app, &tenant, json!({"name": "Ana", "phone": "11 98765-4321"})).await;
    let body = json!({"contact_id": ana, "channel": "telegram", "assigned_to": me, "labels": [" vip ", "troca", "vip"]});
    let post = app.post("/api/conversations").by(&tenant).json(&body);
    let made = post.await.expect(201).json();
    let noon = "2026-03-10T12:00:00Z";
    let expected = json!({
        "id": made["id"], "contact": {"id": ana, "name": "Ana", "phone": "+5511987654321"}, "channel": "telegram",
        "instance_id": null, "status": "open", "assigned_to": me, "labels": ["vip", "troca"], "snoozed_until": null,
        "bot_paused_until": null, "unread_count": 0, "last_message": null, "last_message_at": noon, "version": 1,
        "created_at": noon, "updated_at": noon,
    });
    assert_eq!(made, expected);
    let path = path_of(&made);
    let read = async || app.get(&path).by(&tenant).await;
    assert_eq!(read().await.expect(200).json(), made);
    let list = app.get("/api/conversations").by(&tenant).await.expect(200).json();
    assert_eq!(list, json!({"items": [made], "next_cursor": null}));

    app.test.clock.advance(chrono::TimeDelta::minutes(5));
    let change = json!({
        "status": "closed", "assigned_to": null, "labels": ["à vista"], "snoozed_until": "2026-03-11T09:00:00-03:00",
        "bot_paused_until": "2026-03-10T13:00:00Z", "version": 1,
    });
    let patch = async |body: &Value| app.patch(&path).by(&tenant).json(body).await;
    let changed = patch(&change).await.expect(200).json();
    let mut expected = made.clone();
    for (field, value) in change.as_object().unwrap() {
        expected[field] = value.clone();
    }
    expected["snoozed_until"] = json!("2026-03-11T12:00:00Z");
    expected["updated_at"] = json!("2026-03-10T12:05:00Z");
    expected["version"] = json!(2);
    assert_eq!(changed, expected);
    patch(&change).await.problem(409, "stale_version");
    for year in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"] {
        let refused = patch(&json!({ "snoozed_until": year })).await;
        refused.problem(422, "invalid_fields");
    }
    let emptied = patch(&json!({"snoozed_until": null, "bot_paused_until": null, "labels": []})).await;
    let emptied = emptied.expect(200).json();
    assert_eq!(
        (
            &emptied["snoozed_until"],
            &emptied["bot_paused_until"],
            &emptied["labels"]
        ),
        (&Value::Null, &Value::Null, &json!([]))
    );
    assert_eq!(patch(&json!({})).await.expect(200).json()["status"], "closed");

    // Whoever is spoken to is not removed.
    let person = format!("/api/contacts/{}", ana.as_str().unwrap());
    app.delete(&person)
        .by(&tenant)
        .await
        .problem(409, "contact_in_use");
    assert_eq!(app.delete(&path).by(&tenant).await.expect(204).text(), "");
    read().await.problem(404, "not_found");
    patch(&change).await.problem(404, "not_found");
    app.delete(&path).by(&tenant).await.problem(404, "not_found");
    app.post(&format!("{path}/read"))
        .by(&tenant)
        .await
        .problem(404, "not_found");
    app.get("/api/conversations/nobody")
        .by(&tenant)
        .await
        .problem(404, "not_found");
    app.delete(&person).by(&tenant).await.expect(204);
}

#[tokio::test]
async fn what_was_done_is_in_the_audit() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let made = begun(&app, &tenant, "Ana").await;
    let path = path_of(&made);
    app.patch(&path)
        .by(&tenant)
        .json(&json!({"status": "pending"}))
        .await
        .expect(200);
    app.post(&format!("{path}/read")).by(&tenant).await.expect(200);
    let said = app.post(&format!("{path}/messages")).by(&tenant);
    said.json(&json!({"body": "Oi"})).await.expect(201);
    app.patch(&path)
        .by(&tenant)
        .json(&json!({"status": "x"}))
        .await
        .problem(422, "invalid_fields");
    app.delete(&path).by(&tenant).await.expect(204);
    let select = format!(
        "select action, actor_kind from {}.audit_log where entity in ('conversations', 'messages') order by id",
        tenant.schema
    );
    let rows = app.test.admin().await.query(&select, &[]).await.expect("rows");
    let done: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let actions = [
        "conversation.create",
        "conversation.update",
        "conversation.read",
        "message.create",
        "conversation.delete",
    ];
    assert_eq!(
        done,
        actions.map(|action| (action.to_owned(), "api_key".to_owned()))
    );
}

/// Whoever begins it, and however often: there is one, and it is named.
#[tokio::test]
async fn one_contact_has_one_conversation_on_a_channel() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let ana = contact(&app, &tenant, json!({"name": "Ana"})).await;
    let post = |channel: &str| {
        let call = app.post("/api/conversations").by(&tenant);
        call.json(&json!({"contact_id": ana, "channel": channel}))
    };
    let calls = (0..16)
        .map(|_| post("whatsapp_cloud"))
        .map(|call| async move { call.await });
    let answers = futures_util::future::join_all(calls).await;
    let (made, refused): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    let id = &made[0].json()["id"];
    for answer in refused {
        assert_eq!(answer.problem(409, "conversation_exists")["existing_id"], *id);
    }
    post("telegram").await.expect(201);
    // A bot has taken it over: it is still the one.
    let taken = format!(
        "update {}.conversations set instance_id = gen_random_uuid(), external_id = id::text",
        tenant.schema
    );
    assert_eq!(
        app.test.admin().await.execute(&taken, &[]).await.expect("taken"),
        2
    );
    assert_eq!(
        post("whatsapp_cloud").await.problem(409, "conversation_exists")["existing_id"],
        *id
    );
    // Repeated with its key, it is the same request.
    let keyed = || post("whatsapp_web").idempotency_key("one");
    let first = keyed().await.expect(201).json();
    assert_eq!(keyed().await.expect(201).json(), first);
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let post = async |body: Value| app.post("/api/conversations").by(&tenant).json(&body).await;
    post(json!({}))
        .await
        .refused_fields(&[("contact_id", "required")]);
    post(json!({"contact_id": "ana", "channel": "fax", "assigned_to": "me", "labels": ["a", ""]}))
        .await
        .refused_fields(&[
            ("contact_id", "invalid_format"),
            ("channel", "unknown_value"),
            ("assigned_to", "invalid_format"),
            ("labels", "required"),
        ]);
    post(json!({"contact_id": "x", "status": "open"}))
        .await
        .refused_fields(&[("status", "unknown_field")]);
    post(json!({"contact_id": "x", "labels": "vip"}))
        .await
        .refused_fields(&[("labels", "invalid_type")]);
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    post(json!({"contact_id": nobody}))
        .await
        .refused_fields(&[("contact_id", "unknown_value")]);
    let ana = contact(&app, &tenant, json!({"name": "Ana"})).await;
    post(json!({"contact_id": ana, "assigned_to": nobody}))
        .await
        .refused_fields(&[("assigned_to", "unknown_value")]);

    let path = path_of(&begun(&app, &tenant, "Bia").await);
    let patch = async |body: Value| app.patch(&path).by(&tenant).json(&body).await;
    let labels: Vec<String> = (0..21).map(|number| number.to_string()).collect();
    let wrong = json!({
        "status": "done", "assigned_to": "me", "labels": labels, "snoozed_until": "tomorrow", "bot_paused_until": "",
    });
    patch(wrong).await.refused_fields(&[
        ("status", "unknown_value"),
        ("assigned_to", "invalid_format"),
        ("labels", "too_many"),
        ("snoozed_until", "invalid_format"),
        ("bot_paused_until", "invalid_format"),
    ]);
    patch(json!({"status": null, "labels": null}))
        .await
        .refused_fields(&[("status", "required"), ("labels", "required")]);
    patch(json!({"assigned_to": nobody}))
        .await
        .refused_fields(&[("assigned_to", "unknown_value")]);
    patch(json!({"contact_id": nobody}))
        .await
        .refused_fields(&[("contact_id", "unknown_field")]);
    let query = "status=done&channel=fax&assigned_to=me&unread=1&snoozed=yes&label=&contact_id=ana&q=&limit=0&cursor=x";
    let list = app.get(&format!("/api/conversations?{query}")).by(&tenant).await;
    list.refused_fields(&[
        ("status", "unknown_value"),
        ("channel", "unknown_value"),
        ("assigned_to", "invalid_format"),
        ("unread", "invalid_format"),
        ("snoozed", "invalid_format"),
        ("label", "required"),
        ("contact_id", "invalid_format"),
        ("q", "required"),
        ("limit", "out_of_range"),
        ("cursor", "invalid_cursor"),
    ]);
    let list = app.get("/api/conversations?page=2").by(&tenant).await;
    list.refused_fields(&[("page", "unknown_field")]);
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let (app, tenant) = at_noon("cars").await;
    let me = app.owner_of(&tenant).await.to_string();
    let mut made = Vec::new();
    for (name, phone, body) in [
        ("José Antônio", "11 98765-4321", json!({"assigned_to": me})),
        (
            "Bia Conceição",
            "21 98765-0000",
            json!({"channel": "telegram", "labels": ["vip"]}),
        ),
        ("Caio", "31 98765-0000", json!({"labels": ["vip", "troca"]})),
    ] {
        app.test.clock.advance(chrono::TimeDelta::minutes(1));
        let mut body = body;
        body["contact_id"] = contact(&app, &tenant, json!({"name": name, "phone": phone})).await;
        let call = app.post("/api/conversations").by(&tenant).json(&body);
        made.push(call.await.expect(201).json());
    }
    let (jose, bia, caio) = ("José Antônio", "Bia Conceição", "Caio");
    let change = json!({"status": "closed", "snoozed_until": "2026-03-10T18:00:00Z"});
    app.patch(&path_of(&made[2]))
        .by(&tenant)
        .json(&change)
        .await
        .expect(200);
    app.test.clock.advance(chrono::TimeDelta::minutes(1));
    hears(&app, &tenant, &made[0], "Oi").await;
    let contact_of_bia = made[1]["contact"]["id"].as_str().unwrap();
    for (query, expected) in [
        ("", vec![jose, caio, bia]),
        ("status=open", vec![jose, bia]),
        ("status=closed", vec![caio]),
        ("channel=telegram", vec![bia]),
        (&format!("assigned_to={me}"), vec![jose]),
        ("assigned_to=none", vec![caio, bia]),
        ("unread=true", vec![jose]),
        ("unread=false", vec![caio, bia]),
        ("snoozed=true", vec![caio]),
        ("snoozed=false", vec![jose, bia]),
        ("label=vip", vec![caio, bia]),
        ("label=vip&status=open", vec![bia]),
        (&format!("contact_id={contact_of_bia}"), vec![bia]),
        (&format!("contact_id={contact_of_bia}&q=jose"), vec![]),
        (&format!("contact_id={contact_of_bia}&q=bia"), vec![bia]),
        ("q=JOSE", vec![jose]),
        ("q=conceicao", vec![bia]),
        ("q=8765-4321", vec![jose]),
        ("q=11%208765-4321", vec![jose]),
        ("q=nobody", vec![]),
    ] {
        let call = app.get(&format!("/api/conversations?{query}")).by(&tenant);
        assert_eq!(names(&call.await.expect(200).json()), expected, "{query}");
    }
    // What was put off comes back by itself.
    app.test.clock.advance(chrono::TimeDelta::hours(7));
    let list = app.get("/api/conversations?snoozed=true").by(&tenant).await;
    assert_eq!(names(&list.expect(200).json()), [""; 0]);
}

/// Page by page, in the order of the latest word; a conversation in which something is said moves to the top and is
/// not missed further down.
#[tokio::test]
async fn pages_follow_the_latest_word() {
    let (app, tenant) = at_noon("cars").await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(begun(&app, &tenant, &format!("Contato {number}")).await);
    }
    let page = async |query: &str| {
        let path = format!("/api/conversations?limit=3{query}");
        app.get(&path).by(&tenant).await.expect(200).json()
    };
    let of = |numbers: &[usize]| -> Vec<String> {
        let id = |&number: &usize| made[number]["id"].as_str().unwrap().to_owned();
        numbers.iter().map(id).collect()
    };
    // Begun at the same moment: ordered by id.
    let first = page("").await;
    assert_eq!(ids(&first), of(&[6, 5, 4]));
    app.test.clock.advance(chrono::TimeDelta::minutes(1));
    hears(&app, &tenant, &made[2], "Ainda está à venda?").await;
    let second = page(&format!("&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(ids(&second), of(&[3, 1, 0]));
    assert_eq!(second["next_cursor"], Value::Null);
    let top = page("").await;
    assert_eq!(ids(&top), of(&[2, 6, 5]));
    assert_eq!(top["items"][0]["last_message"]["body"], "Ainda está à venda?");
    assert_eq!(top["items"][0]["last_message"]["direction"], "inbound");
    assert_eq!(top["items"][0]["unread_count"], 1);
    assert_eq!(texts(&top, "last_message_at")[0], "2026-03-10T12:01:00Z");
}

#[tokio::test]
async fn what_was_seen_is_not_unread() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let made = begun(&app, &tenant, "Ana").await;
    hears(&app, &tenant, &made, "Oi").await;
    hears(&app, &tenant, &made, "Tudo bem?").await;
    let path = path_of(&made);
    let before = app.get(&path).by(&tenant).await.expect(200).json();
    assert_eq!(
        (&before["unread_count"], &before["version"]),
        (&json!(2), &json!(1))
    );
    for _ in 0..2 {
        let read = app
            .post(&format!("{path}/read"))
            .by(&tenant)
            .await
            .expect(200)
            .json();
        // Nobody who edits the conversation is in the way of its messages.
        assert_eq!((&read["unread_count"], &read["version"]), (&json!(0), &json!(1)));
    }
}

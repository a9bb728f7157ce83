//! `/api/contacts/{id}/export` and `/erase`: what one person may ask of a tenant.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant};
use crate::tenancy::snapshots::number;

const NUMBER: &str = "+5511987654321";

/// A contact with two leads, one of them known by its number alone, a conversation, and a message that waits to be sent; and
/// another contact, who must not be touched.
async fn known(app: &TestApp, tenant: &TestTenant) -> String {
    let body = json!({"name": "Ana Lima", "phone": NUMBER, "email": "ana@lima.example", "notes": "de Ana"});
    let contact = app
        .post("/api/contacts")
        .by(tenant)
        .json(&body)
        .await
        .expect(201)
        .json();
    let lead = json!({"name": "Ana L.", "phone": NUMBER, "notes": "quer o Argo da Ana"});
    app.post("/api/leads").by(tenant).json(&lead).await.expect(201);
    let other = json!({"name": "Bruno", "phone": "+5511912345678", "notes": "Bruno"});
    app.post("/api/leads").by(tenant).json(&other).await.expect(201);
    let id = contact["id"].as_str().expect("an id").to_owned();
    let schema = &tenant.schema;
    app.test
        .admin()
        .await
        .batch_execute(&format!(
            r#"set search_path = {schema};
               insert into leads (id, name, phone, stage, created_at, updated_at)
               values (gen_random_uuid(), 'Ana do site', '{NUMBER}', 'new', now(), now());
               insert into conversations (id, contact_id, channel, instance_id, external_id, status, labels, last_message_at, created_at, updated_at)
               select gen_random_uuid(), id, 'telegram', gen_random_uuid(), 'chat ' || coalesce(name, ''), 'open', array['vip Ana'], now(), now(), now()
               from contacts;
               insert into messages (id, conversation_id, instance_id, direction, author, kind, body, payload, provider_message_id, status, created_at)
               select gen_random_uuid(), v.id, v.instance_id, 'inbound', 'contact', 'text', 'Aqui é ' || c.name,
                      jsonb_build_object('from', c.name), 'id ' || c.name, 'received', now()
               from conversations v join contacts c on c.id = v.contact_id;
               insert into messages (id, conversation_id, instance_id, direction, author, kind, body, status, created_at)
               select gen_random_uuid(), v.id, v.instance_id, 'outbound', 'bot', 'text', 'Olá, ' || c.name, 'queued', now()
               from conversations v join contacts c on c.id = v.contact_id;
               insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
               select id, 'send_message', jsonb_build_object('text', body), 'pending', now(), 3, now(), now()
               from messages where direction = 'outbound';
               insert into customers (id, contact_id, status, document, notes, created_at, updated_at)
               select gen_random_uuid(), id, 'active', '52998224725', 'paga em dia: ' || name, now(), now() from contacts;
               insert into orders (id, customer_id, status, total_cents, notes, created_at, updated_at)
               select gen_random_uuid(), c.id, 'open', 100, 'para ' || k.name, now(), now()
               from customers c join contacts k on k.id = c.contact_id;
               insert into order_lines (order_id, position, description, quantity, unit_cents)
               select o.id, 1, 'bolo de ' || k.name, 1, 100
               from orders o join customers c on c.id = o.customer_id join contacts k on k.id = c.contact_id;
               insert into dues (id, customer_id, kind, order_id, description, amount_cents, due_date, status, created_at, updated_at)
               select gen_random_uuid(), o.customer_id, 'order', o.id, l.description, 100, '2026-03-20', 'open', now(), now()
               from orders o join order_lines l on l.order_id = o.id;
               insert into reminders (due_id, days, outbox_id, decided_at) select id, 0, gen_random_uuid(), now() from dues;
               insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
               select m.outbox_id, 'send_email', jsonb_build_object('words', 'Vence: ' || d.description), 'pending', now(), 3, now(), now()
               from reminders m join dues d on d.id = m.due_id;
               reset search_path"#
        ))
        .await
        .expect("rows");
    id
}

/// Everything in the tenant's schema, as text.
async fn everything(app: &TestApp, tenant: &TestTenant) -> String {
    let admin = app.test.admin().await;
    let content = crate::tenancy::snapshots::content(&admin, &tenant.schema).await;
    content.into_values().flatten().collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_person_gets_all_that_is_known_of_them_and_nothing_of_others() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let owner = app.log_in(&tenant).await;
    let id = known(&app, &tenant).await;
    let path = format!("/api/contacts/{id}/export");
    let answer = app.get(&path).of(&tenant).bearer(&owner).await;
    assert_eq!(
        answer.expect(200).header("content-disposition"),
        Some(format!("attachment; filename=\"contact-{id}.json\"").as_str())
    );
    let document = answer.json();
    assert_eq!(document["contact"]["phone"], NUMBER);
    let leads: Vec<&Value> = document["leads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lead| &lead["name"])
        .collect();
    assert_eq!(leads, ["Ana L.", "Ana do site"]);
    assert_eq!(document["leads"][0]["history"][0]["to"], "new");
    let messages = document["conversations"][0]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert!(
        messages
            .iter()
            .any(|message| message["body"] == "Aqui é Ana Lima")
    );
    assert!(!document.to_string().contains("Bruno"), "{document}");
    let customer = &document["customer"];
    assert_eq!(customer["document"], "52998224725");
    assert_eq!(
        customer["orders"][0]["items"][0]["description"],
        "bolo de Ana Lima"
    );
    assert_eq!(customer["dues"][0]["reminders"][0]["days"], 0);
    let noted = format!(
        "select count(*) from {}.audit_log where action = 'contact.export' and actor_kind = 'user'",
        tenant.schema
    );
    assert_eq!(number(&app.test.admin().await, &noted).await, 1);
}

#[tokio::test]
async fn a_person_who_is_erased_is_in_no_row_and_the_counts_are_what_they_were() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let owner = app.log_in(&tenant).await;
    let id = known(&app, &tenant).await;
    let admin = app.test.admin().await;
    let counts = format!(
        "select (select count(*) from {0}.contacts) * 1000000 + (select count(*) from {0}.leads) * 10000
              + (select count(*) from {0}.conversations) * 100 + (select count(*) from {0}.messages)",
        tenant.schema
    );
    let before = number(&admin, &counts).await;
    assert!(everything(&app, &tenant).await.contains("Ana"));
    let path = format!("/api/contacts/{id}/erase");
    let erased = app
        .post(&path)
        .of(&tenant)
        .bearer(&owner)
        .await
        .expect(200)
        .json();
    assert_eq!(
        erased,
        json!({"id": id, "leads": 2, "conversations": 1, "messages": 2})
    );
    let left = everything(&app, &tenant).await;
    for trace in ["Ana", "ana@lima", "11987654321", "vip"] {
        let lines: Vec<&str> = left.lines().filter(|line| line.contains(trace)).collect();
        // The other contact has a label of the same words.
        assert!(
            lines.iter().all(|line| line.contains("Bruno")),
            "{trace}: {lines:?}"
        );
    }
    assert!(left.contains("Aqui é Bruno") && left.contains("chat Bruno"));
    assert_eq!(number(&admin, &counts).await, before);
    let waiting = format!(
        "select count(*) from {}.outbox where state = 'pending' and payload ->> 'text' like '%Bruno'",
        tenant.schema
    );
    assert_eq!(number(&admin, &waiting).await, 1, "what waits for others waits");
    let canceled = format!(
        "select count(*) from {}.outbox where state = 'canceled' and payload = '{{}}'",
        tenant.schema
    );
    assert_eq!(number(&admin, &canceled).await, 2, "a message and a reminder");
    let books = format!(
        "select count(*) from {0}.customers c join {0}.dues d on d.customer_id = c.id
         where c.status = 'canceled' and c.document is null and d.amount_cents = 100 and d.status = 'open'",
        tenant.schema
    );
    assert_eq!(
        number(&admin, &books).await,
        1,
        "what was owed stays in the books"
    );
    // Again, and as before; who writes from the number is somebody new.
    let again = app
        .post(&path)
        .of(&tenant)
        .bearer(&owner)
        .await
        .expect(200)
        .json();
    assert_eq!(again, erased);
    let noted = format!(
        "select count(*) from {}.audit_log where action = 'contact.erase'",
        tenant.schema
    );
    assert_eq!(number(&admin, &noted).await, 2);
    let body = json!({"name": "Outra", "phone": NUMBER});
    let new = app
        .post("/api/contacts")
        .by(&tenant)
        .json(&body)
        .await
        .expect(201)
        .json();
    assert_ne!(new["id"], json!(id));
}

#[tokio::test]
async fn only_owners_and_managers_may_and_only_of_their_own_people() {
    let app = TestApp::start().await;
    let (tenant, other) = (
        app.onboard("garage", "cars").await,
        app.onboard("other", "cars").await,
    );
    let id = known(&app, &tenant).await;
    let (export, erase) = (
        format!("/api/contacts/{id}/export"),
        format!("/api/contacts/{id}/erase"),
    );
    let agent = app.add_user(&tenant, "agent").await;
    let agent = app.session_of(&tenant, agent).await;
    let manager = app.add_user(&tenant, "manager").await;
    let manager = app.session_of(&tenant, manager).await;
    let stranger = app.log_in(&other).await;
    app.get(&export).of(&tenant).bearer(&agent).await.expect(403);
    app.post(&erase).of(&tenant).bearer(&agent).await.expect(403);
    app.get(&export).by(&tenant).await.expect(403);
    app.post(&erase).by(&tenant).await.expect(403);
    app.get(&export).of(&other).bearer(&stranger).await.expect(404);
    app.post(&erase).of(&other).bearer(&stranger).await.expect(404);
    assert!(
        everything(&app, &tenant).await.contains("Ana Lima"),
        "nothing was erased"
    );
    app.get(&export).of(&tenant).bearer(&manager).await.expect(200);
    app.post(&erase).of(&tenant).bearer(&manager).await.expect(200);
}

#[tokio::test]
async fn what_was_answered_to_requests_that_may_be_repeated_is_forgotten_with_the_person() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let owner = app.log_in(&tenant).await;
    let create = async |key: &str, path: &str, body: Value| {
        let call = app.post(path).by(&tenant).idempotency_key(key).json(&body);
        call.await.expect(201).json()
    };
    let ana = json!({"name": "Ana Lima", "phone": NUMBER, "notes": "de Ana"});
    let bruno = json!({"name": "Bruno", "phone": "+5511912345678"});
    let contact = create("contact", "/api/contacts", ana.clone()).await;
    let other = create("other", "/api/contacts", bruno.clone()).await;
    create("lead", "/api/leads", ana.clone()).await;
    let begin = json!({"contact_id": contact["id"], "channel": "telegram"});
    let begun = create("conversation", "/api/conversations", begin).await;
    let said = format!(
        "/api/conversations/{}/messages",
        begun["id"].as_str().expect("an id")
    );
    create("message", &said, json!({"body": "Olá, Ana"})).await;
    let again = create("contact", "/api/contacts", ana.clone()).await;
    assert_eq!(again, contact, "a repeated request is one request");

    let erase = format!("/api/contacts/{}/erase", contact["id"].as_str().expect("an id"));
    app.post(&erase).of(&tenant).bearer(&owner).await.expect(200);
    let admin = app.test.admin().await;
    let kept = format!("select count(*) from {}.idempotency_keys", tenant.schema);
    assert_eq!(number(&admin, &kept).await, 1, "the other person's");
    assert_eq!(create("other", "/api/contacts", bruno).await, other);
    let new = create("contact", "/api/contacts", ana).await;
    assert_ne!(new["id"], contact["id"], "nothing is remembered of the first");
}

#[tokio::test]
async fn answers_are_remembered_for_a_day_and_not_for_ever() {
    let clock = Clock::fixed(Utc::now());
    let app = TestApp::builder().clock(clock.clone()).start().await;
    let tenant = app.onboard("garage", "cars").await;
    let create = async |number: u32| {
        let body = json!({"name": format!("Ana {number}")});
        let call = app.post("/api/leads").by(&tenant);
        let call = call.idempotency_key(&format!("key {number}")).json(&body);
        call.await.expect(201);
    };
    for number in 0..40 {
        create(number).await;
    }
    let admin = app.test.admin().await;
    let kept = format!("select count(*) from {}.idempotency_keys", tenant.schema);
    assert_eq!(number(&admin, &kept).await, 40);
    clock.advance(TimeDelta::hours(25));
    for number in 40..140 {
        create(number).await;
    }
    assert_eq!(number(&admin, &kept).await, 100);
}

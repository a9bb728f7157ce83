//! `/api/contacts/{id}/export` and `/erase`: what one person may ask of a tenant.

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
    assert_eq!(number(&admin, &canceled).await, 1);
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

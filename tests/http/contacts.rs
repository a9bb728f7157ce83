//! `/api/contacts`.

use serde_json::{Value, json};

use super::resource::{Resource, at_noon, behaves_as_a_resource, texts};
use crate::helpers::TestApp;

const CONTACTS: Resource = Resource {
    path: "/api/contacts",
    niche: "cars",
    other_niche: None,
    least,
    text: "name",
    lacks: &["name"],
};

behaves_as_a_resource!(CONTACTS);

fn least() -> Value {
    json!({"name": "Ana"})
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed_and_emptied() {
    let (app, tenant) = at_noon("cars").await;
    let body = json!({"name": " Ana Lúcia ", "phone": "(11) 8765-4321", "email": "Ana@Example.com", "notes": "De manhã.\n"});
    let made = CONTACTS.create(&app, &tenant, &body).await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "Ana Lúcia", "phone": "+5511987654321", "email": "ana@example.com",
            "notes": "De manhã.\n", "opted_out_at": null, "version": 1, "created_at": "2026-03-10T12:00:00Z",
            "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    app.test.clock.advance(chrono::TimeDelta::minutes(5));
    let empty = json!({"phone": null, "email": null, "notes": null});
    let path = CONTACTS.path_of(&made);
    let emptied = app.patch(&path).by(&tenant).json(&empty).await.expect(200).json();
    for (field, value) in empty.as_object().unwrap() {
        assert_eq!(&emptied[field], value, "{field}");
    }
    assert_eq!(emptied["updated_at"], "2026-03-10T12:05:00Z");
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let wrong = json!({"name": "a\nb", "phone": "12", "email": "ana", "notes": "n".repeat(10_001)});
    let refusals = [
        ("name", "invalid_format"),
        ("phone", "invalid_format"),
        ("email", "invalid_format"),
        ("notes", "too_long"),
    ];
    let post = app.post("/api/contacts").by(&tenant).json(&wrong);
    post.await.refused_fields(&refusals);
    let made = CONTACTS.create(&app, &tenant, &least()).await;
    let patch = app.patch(&CONTACTS.path_of(&made)).by(&tenant).json(&wrong);
    patch.await.refused_fields(&refusals);
}

/// However the number is written, with or without its ninth digit and its country: who has it is named.
#[tokio::test]
async fn one_person_is_one_contact() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let body = |phone: &str| json!({"name": "Ana", "phone": phone});
    let ana = CONTACTS.create(&app, &tenant, &body("11 98765-4321")).await;
    let bia = CONTACTS.create(&app, &tenant, &least()).await;
    for phone in [
        "+5511987654321",
        "11 8765-4321",
        "551187654321",
        "+55 (011) 98765-4321",
        "0 11 8765.4321",
    ] {
        let post = app.post("/api/contacts").by(&tenant).json(&body(phone)).await;
        assert_eq!(
            post.problem(409, "contact_exists")["existing_id"],
            ana["id"],
            "{phone}"
        );
        let with_key = app.post("/api/contacts").by(&tenant).json(&body(phone));
        let with_key = with_key.idempotency_key(phone).await;
        assert_eq!(with_key.problem(409, "contact_exists")["existing_id"], ana["id"]);
        let patch = app.patch(&CONTACTS.path_of(&bia)).by(&tenant);
        let patch = patch.json(&json!({"phone": phone})).await;
        assert_eq!(patch.problem(409, "contact_exists")["existing_id"], ana["id"]);
        // One's own number in another form is no other.
        let patch = app.patch(&CONTACTS.path_of(&ana)).by(&tenant).json(&body(phone));
        assert_eq!(patch.await.expect(200).json()["phone"], "+5511987654321");
    }
    // Somebody else's: a landline, another area, another tenant.
    CONTACTS.create(&app, &tenant, &body("11 2765-4321")).await;
    CONTACTS.create(&app, &tenant, &body("21 98765-4321")).await;
    let other = app.onboard("garage-beta", "cars").await;
    CONTACTS.create(&app, &other, &body("11 98765-4321")).await;
    // Whose contact is gone has a free number.
    app.delete(&CONTACTS.path_of(&ana)).by(&tenant).await.expect(204);
    CONTACTS.create(&app, &tenant, &body("11 98765-4321")).await;
}

#[tokio::test]
async fn a_person_who_is_added_by_many_at_once_is_one_contact() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let spellings = ["+5511987654321", "1187654321", "(11) 98765-4321", "551187654321"];
    let calls = (0..24).map(|number| {
        let body = json!({"name": format!("Ana {number}"), "phone": spellings[number % spellings.len()]});
        let call = app.post("/api/contacts").by(&tenant).json(&body);
        async move { call.await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    let id = &made[0].json()["id"];
    for answer in refused {
        assert_eq!(answer.problem(409, "contact_exists")["existing_id"], *id);
    }
    let list = app.get("/api/contacts").by(&tenant).await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn people_are_found_by_words_and_numbers() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    for body in [
        json!({"name": "José Antônio", "phone": "+5511987654321"}),
        json!({"name": "Bia Conceição", "email": "bia@example.com", "phone": "+551131234567"}),
        json!({"name": "Caio", "notes": "Amigo do José"}),
    ] {
        CONTACTS.create(&app, &tenant, &body).await;
    }
    let (jose, bia, caio) = ("José Antônio", "Bia Conceição", "Caio");
    for (q, expected) in [
        ("jose", vec![caio, jose]),
        ("JOS%C3%89%20ant", vec![jose]),
        ("conceicao", vec![bia]),
        ("concei%C3%A7", vec![bia]),
        ("bia%40example.com", vec![bia]),
        ("98765", vec![jose]),
        ("98765-43", vec![jose]),
        ("(11)%208765-4321", vec![jose]),
        ("%2B55%2011%2098765-4321", vec![jose]),
        ("3123-4567", vec![bia]),
        ("nobody", vec![]),
    ] {
        let call = app.get(&format!("/api/contacts?q={q}")).by(&tenant);
        assert_eq!(texts(&call.await.expect(200).json(), "name"), expected, "{q}");
    }
}

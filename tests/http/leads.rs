//! `/api/leads`.

use serde_json::{Value, json};

use super::resource::{Resource, at_noon, behaves_as_a_resource, texts};
use crate::helpers::TestApp;

const LEADS: Resource = Resource {
    path: "/api/leads",
    niche: "general",
    other_niche: None,
    least,
    text: "name",
    lacks: &["name"],
};

behaves_as_a_resource!(LEADS);

fn least() -> Value {
    json!({"name": "Ana"})
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed_and_emptied() {
    let (app, tenant) = at_noon("cars").await;
    let token = app.log_in(&tenant).await;
    let me = app.get("/api/me").of(&tenant).bearer(&token).await.json()["id"].clone();
    let made = LEADS.create(&app,
        &tenant,
        &json!({
            "name": " Ana Lúcia ", "phone": "(11) 98765-4321", "email": "Ana@Example.com", "source": "indicação",
            "stage": "qualified", "notes": "Quer um Uno.\nÀ vista.", "assigned_to": me,
        }),
    )
    .await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "Ana Lúcia", "phone": "+5511987654321", "email": "ana@example.com",
            "source": "indicação", "stage": "qualified", "notes": "Quer um Uno.\nÀ vista.", "assigned_to": me,
            "contact_id": made["contact_id"], "version": 1, "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    app.test.clock.advance(chrono::TimeDelta::minutes(5));
    let empty = json!({"phone": null, "email": null, "source": null, "notes": null, "assigned_to": null, "stage": "won"});
    let path = LEADS.path_of(&made);
    let emptied = app.patch(&path).by(&tenant).json(&empty).await.expect(200).json();
    for (field, value) in empty.as_object().unwrap() {
        assert_eq!(&emptied[field], value, "{field}");
    }
    assert_eq!(
        (&emptied["created_at"], &emptied["updated_at"]),
        (&made["created_at"], &json!("2026-03-10T12:05:00Z"))
    );
    assert_eq!(
        LEADS.create(&app, &tenant, &json!({"name": "Bia"})).await["stage"],
        "new"
    );
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let post = |body: Value| app.post("/api/leads").by(&tenant).json(&body);
    let wrong = json!({
        "name": "a\nb", "stage": "Not a code", "phone": "12", "email": "ana", "source": "s".repeat(101),
        "notes": "n".repeat(10_001), "assigned_to": "ana",
    });
    post(wrong).await.refused_fields(&[
        ("name", "invalid_format"),
        ("stage", "invalid_format"),
        ("phone", "invalid_format"),
        ("email", "invalid_format"),
        ("source", "too_long"),
        ("notes", "too_long"),
        ("assigned_to", "invalid_format"),
    ]);
    // What is well-formed but does not exist is found by the database.
    post(json!({"name": "Ana", "stage": "never_heard_of"}))
        .await
        .refused_fields(&[("stage", "unknown_value")]);
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    post(json!({"name": "Ana", "assigned_to": nobody}))
        .await
        .refused_fields(&[("assigned_to", "unknown_value")]);
    let made = LEADS.create(&app, &tenant, &json!({"name": "Ana"})).await;
    let path = LEADS.path_of(&made);
    let change = json!({"stage": "never_heard_of"});
    let patched = app.patch(&path).by(&tenant).json(&change).await;
    patched.refused_fields(&[("stage", "unknown_value")]);
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&tenant).await;
    let me = app.get("/api/me").of(&tenant).bearer(&token).await.json()["id"].clone();
    for body in [
        json!({"name": "José Antônio", "phone": "+5511987654321", "source": "whatsapp", "stage": "won"}),
        json!({"name": "Bia Conceição", "email": "bia@example.com", "source": "whatsapp", "assigned_to": me}),
        json!({"name": "Caio", "source": "site", "notes": "Amigo do José"}),
    ] {
        LEADS.create(&app, &tenant, &body).await;
    }
    let (jose, bia, caio) = ("José Antônio", "Bia Conceição", "Caio");
    for (query, expected) in [
        ("", vec![caio, bia, jose]),
        ("stage=won", vec![jose]),
        ("source=whatsapp", vec![bia, jose]),
        ("source=whatsapp&stage=new", vec![bia]),
        (&format!("assigned_to={}", me.as_str().unwrap()), vec![bia]),
        ("assigned_to=0190163d-8694-739b-aea5-966c26f8ad91", vec![]),
        ("q=jose", vec![caio, jose]),
        ("q=conceicao", vec![bia]),
        ("q=concei%C3%A7", vec![bia]),
        ("q=98765", vec![jose]),
        ("q=bia%40example.com", vec![bia]),
        ("q=jose&stage=won", vec![jose]),
        ("q=nobody", vec![]),
    ] {
        let call = app.get(&format!("/api/leads?{query}")).by(&tenant);
        assert_eq!(texts(&call.await.expect(200).json(), "name"), expected, "{query}");
    }
    let refused = app
        .get("/api/leads?stage=A&source=&assigned_to=me")
        .by(&tenant)
        .await;
    refused.refused_fields(&[
        ("stage", "invalid_format"),
        ("source", "required"),
        ("assigned_to", "invalid_format"),
    ]);
}

//! `/api/message-templates`.

use futures_util::future::join_all;
use serde_json::{Value, json};
use std::future::IntoFuture as _;

use super::{customer, due, id, made};
use crate::helpers::TestApp;
use crate::http::resource::{Resource, at_noon, behaves_as_a_resource};

const TEMPLATES: Resource = Resource {
    path: "/api/message-templates",
    niche: "cars",
    other_niche: None,
    least,
    text: "name",
    lacks: &["name", "body"],
};

behaves_as_a_resource!(
    TEMPLATES,
    is_created_read_changed_and_removed,
    a_stale_version_is_a_conflict,
    bad_requests_are_refused,
    bad_parameters_are_refused,
    pages_show_each_item_once,
    creating_is_idempotent,
);

fn least() -> Value {
    json!({"name": "Cobrança", "body": "Olá {{nome}}"})
}

#[tokio::test]
async fn placeholders_are_checked_when_they_are_written() {
    let (app, tenant) = at_noon("cars").await;
    let body = json!({
        "name": " Lembrete ", "subject": "{{empresa}}: {{valor}}",
        "body": "Olá {{ primeiro_nome }},\n{{descricao}} de {{valor}} vence em {{vencimento}}.\nPIX: {{pix}}",
    });
    let made = TEMPLATES.create(&app, &tenant, &body).await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "Lembrete", "subject": body["subject"], "body": body["body"], "version": 1,
            "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    for (field, value, code) in [
        ("body", json!("{{name}}"), "unknown_placeholder"),
        ("body", json!("{{nome"), "invalid_format"),
        ("body", json!(" "), "required"),
        ("body", json!("a".repeat(4097)), "too_long"),
        ("subject", json!("{{x}}"), "unknown_placeholder"),
        ("subject", json!("a\nb"), "invalid_format"),
    ] {
        let mut body = least();
        body[field] = value.clone();
        let post = app.post(TEMPLATES.path).by(&tenant).json(&body).await;
        post.refused_fields(&[(field, code)]);
        let patch = app.patch(&TEMPLATES.path_of(&made)).by(&tenant);
        patch
            .json(&json!({field: value}))
            .await
            .refused_fields(&[(field, code)]);
    }
}

#[tokio::test]
async fn a_preview_is_what_a_customer_would_read() {
    let (app, tenant) = at_noon("cars").await;
    let body = json!({
        "name": "Lembrete", "subject": "{{empresa}}",
        "body": "Olá {{primeiro_nome}}!\n{{descricao}}: {{valor}}, {{dias}} dias.\nPlano {{plano}}\nPIX: {{pix}}\nAté {{vencimento}}",
    });
    let template = TEMPLATES.create(&app, &tenant, &body).await;
    let path = format!("{}/preview", TEMPLATES.path_of(&template));
    let example = app.get(&path).by(&tenant).await.expect(200).json();
    let text = example["body"].as_str().unwrap();
    assert!(text.starts_with("Olá Maria!") && !text.contains("PIX"), "{text}");
    assert_eq!(example["pix_missing"], true, "no account takes it");
    let ana = customer(&app, &tenant, "Ana Lima", json!({})).await;
    let due = due(&app, &tenant, &ana, 123_456, "2026-03-13").await;
    let of_due = app.get(&format!("{path}?due_id={}", id(&due))).by(&tenant).await;
    assert_eq!(
        of_due.expect(200).json(),
        json!({
            "subject": tenant.name,
            "body": "Olá Ana!\nServiço: R$ 1.234,56, 3 dias.\nAté 13/03/2026",
            "pix_missing": true,
        })
    );
    for (query, code) in [
        ("due_id=x", "invalid_format"),
        ("due_id=0190163d-8694-739b-aea5-966c26f8ad91", "unknown_value"),
    ] {
        let answer = app.get(&format!("{path}?{query}")).by(&tenant).await;
        answer.refused_fields(&[("due_id", code)]);
    }
    let nothing = app
        .get("/api/message-templates/0190163d-8694-739b-aea5-966c26f8ad91/preview")
        .by(&tenant);
    nothing.await.problem(404, "not_found");
}

#[tokio::test]
async fn the_plan_has_so_many_templates() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let post = || app.post(TEMPLATES.path).by(&tenant).json(&least());
    // The smallest plan includes ten.
    let answers = join_all((0..14).map(|_| post().into_future())).await;
    let (added, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(added.len(), 10);
    for answer in refused {
        let problem = answer.problem(402, "limit_exceeded");
        assert_eq!((&problem["limit"], &problem["used"]), (&json!(10), &json!(10)));
    }
    let path = TEMPLATES.path_of(&added[0].json());
    app.patch(&path)
        .by(&tenant)
        .json(&json!({"name": "Outro"}))
        .await
        .expect(200);
    app.delete(&path).by(&tenant).await.expect(204);
    post().await.expect(201);
    post().await.problem(402, "limit_exceeded");
}

#[tokio::test]
async fn a_template_that_people_are_reminded_in_stays() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let template = TEMPLATES.create(&app, &tenant, &least()).await;
    let rule = json!({"days": 3, "template_id": template["id"]});
    let rule = made(&app, &tenant, "/api/reminder-rules", rule).await;
    let path = TEMPLATES.path_of(&template);
    app.delete(&path)
        .by(&tenant)
        .await
        .problem(409, "message_template_in_use");
    let gone = app
        .delete(&format!("/api/reminder-rules/{}", id(&rule)))
        .by(&tenant);
    gone.await.expect(204);
    app.delete(&path).by(&tenant).await.expect(204);
}

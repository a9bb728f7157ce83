//! `/api/settings`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::resource::at_noon;
use crate::helpers::{Call, TestApp, TestTenant};

const PATH: &str = "/api/settings";

async fn start() -> (TestApp, TestTenant, String) {
    let (app, garage) = at_noon("cars").await;
    let token = app.session_of(&garage, app.owner_of(&garage).await).await;
    (app, garage, token)
}

#[tokio::test]
async fn settings_have_values_before_they_are_set_and_go_back_to_them() {
    let (app, garage, token) = start().await;
    let get = async || app.get(PATH).of(&garage).bearer(&token).await.expect(200).json();
    let patch = |body: Value| app.patch(PATH).of(&garage).bearer(&token).json(&body);
    let defaults = json!({
        "company_name": garage.name, "time_zone": "America/Sao_Paulo", "language": "pt-BR", "business_hours": null,
        "greeting": null, "away_message": null, "contact_email": null, "contact_phone": null, "address": null,
        "updated_at": null,
    });
    assert_eq!(get().await, defaults);
    let hours = json!({"monday": [{"from": "08:00", "to": "12:00"}, {"from": "13:30", "to": "18:00"}]});
    let said = json!({
        "company_name": " Garagem do Zé ", "time_zone": "America/Manaus", "language": "en", "business_hours": hours,
        "greeting": "Olá!\nComo posso ajudar?", "contact_email": "Ze@garagem.example", "contact_phone": "(11) 98765-4321",
    });
    let changed = patch(said).await.expect(200).json();
    assert_eq!(changed, get().await);
    assert_eq!(changed["company_name"], "Garagem do Zé");
    assert_eq!(changed["business_hours"]["monday"], hours["monday"]);
    assert_eq!(changed["business_hours"]["sunday"], json!([]));
    assert_eq!(changed["contact_email"], "ze@garagem.example");
    assert_eq!(changed["contact_phone"], "+5511987654321");
    assert_eq!(changed["updated_at"], "2026-03-10T12:00:00Z");
    let back =
        patch(json!({"company_name": null, "time_zone": null, "language": null, "business_hours": null}));
    let back = back.await.expect(200).json();
    assert_eq!(back["greeting"], "Olá!\nComo posso ajudar?");
    for field in ["company_name", "time_zone", "language", "business_hours"] {
        assert_eq!(back[field], defaults[field], "{field}");
    }
    let select = format!(
        "select details -> 'changed' from {}.audit_log where action = 'settings.update' order by id desc limit 1",
        garage.schema
    );
    let line = app.test.admin().await.query_one(&select, &[]).await.unwrap();
    let named = json!(["business_hours", "company_name", "language", "time_zone"]);
    assert_eq!(line.get::<_, Value>(0), named, "names, not values");
}

#[tokio::test]
async fn bad_settings_are_refused_and_nothing_is_written() {
    let (app, garage, token) = start().await;
    let patch = |body: Value| app.patch(PATH).of(&garage).bearer(&token).json(&body);
    patch(json!({
        "company_name": "", "time_zone": "Brazil", "language": "pt", "greeting": "x".repeat(2001), "contact_email": "x",
        "contact_phone": "1", "address": "ok",
        "business_hours": {"friday": [{"from": "18:00", "to": "08:00"}]},
    }))
    .await
    .refused_fields(&[
        ("company_name", "required"),
        ("time_zone", "unknown_value"),
        ("language", "unknown_value"),
        ("business_hours", "out_of_order"),
        ("greeting", "too_long"),
        ("contact_email", "invalid_format"),
        ("contact_phone", "invalid_format"),
    ]);
    patch(json!({"colour": "red"}))
        .await
        .refused_fields(&[("colour", "unknown_field")]);
    patch(json!({"business_hours": {"friday": [{"from": "8", "to": "12:00"}]}}))
        .await
        .refused_fields(&[("business_hours.friday[0].from", "invalid_type")]);
    patch(json!({"business_hours": {"holiday": []}}))
        .await
        .refused_fields(&[("business_hours.holiday", "unknown_field")]);
    let answer = app.get(PATH).of(&garage).bearer(&token).await.expect(200).json();
    assert_eq!(answer["address"], Value::Null);
}

#[tokio::test]
async fn who_does_not_run_the_tenant_neither_sees_nor_sets_them() {
    let (app, garage, _) = start().await;
    let agent = app
        .session_of(&garage, app.add_user(&garage, "agent").await)
        .await;
    let manager = app
        .session_of(&garage, app.add_user(&garage, "manager").await)
        .await;
    let calls = || [app.get(PATH), app.patch(PATH).json(&json!({"greeting": "Oi"}))];
    for call in calls() {
        let of = |call: Call| call.of(&garage);
        of(call.clone())
            .bearer(&agent)
            .await
            .problem(403, "insufficient_rights");
        call.clone().by(&garage).await.problem(403, "insufficient_rights");
        of(call.clone()).await.problem(401, "unauthorized");
        of(call).bearer(&manager).await.expect(200);
    }
}

/// Different settings do not disturb each other, in whatever order they are named.
#[tokio::test]
async fn many_at_once_all_count() {
    let (app, garage, token) = start().await;
    let patch = |body: Value| app.patch(PATH).of(&garage).bearer(&token).json(&body);
    for round in 0..5 {
        let calls = (0..12).map(|number| {
            patch(match number % 3 {
                0 => json!({"greeting": format!("{round}"), "address": null}),
                1 => json!({"address": format!("{round}"), "greeting": null}),
                _ => json!({"away_message": format!("{round}")}),
            })
        });
        for answer in join_all(calls.map(Call::into_future)).await {
            answer.expect(200);
        }
        let answer = app.get(PATH).of(&garage).bearer(&token).await.expect(200).json();
        assert_eq!(answer["away_message"], format!("{round}"));
        assert_ne!(
            answer["greeting"].is_null(),
            answer["address"].is_null(),
            "each request counts as a whole: {answer}"
        );
    }
}

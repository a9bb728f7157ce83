//! `/api/lead-stages`.

use serde_json::{Value, json};

use super::resource::texts;
use crate::helpers::{TestApp, TestTenant};

const SHIPPED: [&str; 6] = ["new", "contacted", "qualified", "proposal", "won", "lost"];

async fn codes(app: &TestApp, tenant: &TestTenant) -> Vec<String> {
    let list = app.get("/api/lead-stages").by(tenant).await.expect(200).json();
    assert_eq!(list["next_cursor"], Value::Null);
    texts(&list, "code")
}

#[tokio::test]
async fn a_funnel_is_made_ones_own() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&tenant).await;
    let list = app.get("/api/lead-stages").by(&tenant).await.expect(200).json();
    assert_eq!(
        list["items"][1],
        json!({"code": "contacted", "name_pt": "Contatado", "name_en": "Contacted", "position": 2})
    );
    assert_eq!(codes(&app, &tenant).await, SHIPPED);

    let post = app.post("/api/lead-stages").of(&tenant).bearer(&token);
    let made = post
        .json(&json!({"name_pt": " Visita à loja "}))
        .await
        .expect(201)
        .json();
    let expected = json!({"code": "visita_a_loja", "name_pt": "Visita à loja", "name_en": "Visita à loja", "position": 7});
    assert_eq!(made, expected);
    let post = app.post("/api/lead-stages").of(&tenant).bearer(&token);
    let body = json!({"name_pt": "Test drive", "name_en": "Test drive", "code": "drive"});
    assert_eq!(post.json(&body).await.expect(201).json()["code"], "drive");

    let patch = async |code: &str, body: Value| {
        let call = app
            .patch(&format!("/api/lead-stages/{code}"))
            .of(&tenant)
            .bearer(&token);
        call.json(&body).await
    };
    let renamed = patch("visita_a_loja", json!({"name_en": "Visit"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name_pt"], &renamed["name_en"]),
        (&json!("Visita à loja"), &json!("Visit"))
    );
    // Leads are in it by its code, whatever it is called.
    let lead = app
        .post("/api/leads")
        .by(&tenant)
        .json(&json!({"name": "Ana", "stage": "visita_a_loja"}));
    let lead = lead.await.expect(201).json();
    let delete = async |code: &str| {
        let call = app.delete(&format!("/api/lead-stages/{code}"));
        call.of(&tenant).bearer(&token).await
    };
    delete("visita_a_loja").await.problem(409, "stage_in_use");
    let path = format!("/api/leads/{}", lead["id"].as_str().unwrap());
    app.patch(&path)
        .by(&tenant)
        .json(&json!({"stage": "won"}))
        .await
        .expect(200);
    assert_eq!(delete("visita_a_loja").await.expect(204).text(), "");
    delete("visita_a_loja").await.problem(404, "not_found");
    patch("visita_a_loja", json!({})).await.problem(404, "not_found");
    patch("No code", json!({})).await.problem(404, "not_found");
    // Where leads begin.
    delete("new").await.problem(409, "first_stage");
    assert_eq!(
        patch("new", json!({"name_pt": "Chegou"}))
            .await
            .expect(200)
            .json()["name_pt"],
        "Chegou"
    );

    let select = format!(
        "select action, entity_id from {}.audit_log where entity = 'lead_stages' order by id",
        tenant.schema
    );
    let rows = app.test.admin().await.query(&select, &[]).await.expect("rows");
    let done: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("lead_stage.create", "visita_a_loja"),
        ("lead_stage.create", "drive"),
        ("lead_stage.update", "visita_a_loja"),
        ("lead_stage.delete", "visita_a_loja"),
        ("lead_stage.update", "new"),
    ];
    assert_eq!(
        done,
        expected.map(|(action, id)| (action.to_owned(), id.to_owned()))
    );
}

#[tokio::test]
async fn the_others_make_room() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&tenant).await;
    let place = async |code: &str, position: i64| {
        let call = app
            .patch(&format!("/api/lead-stages/{code}"))
            .of(&tenant)
            .bearer(&token);
        let stage = call.json(&json!({"position": position})).await.expect(200).json();
        (stage["position"].as_i64(), codes(&app, &tenant).await.join(" "))
    };
    for (code, position, at, order) in [
        ("won", 1, 1, "won new contacted qualified proposal lost"),
        ("won", 1, 1, "won new contacted qualified proposal lost"),
        ("won", 3, 3, "new contacted won qualified proposal lost"),
        ("new", 100, 6, "contacted won qualified proposal lost new"),
        ("lost", 2, 2, "contacted lost won qualified proposal new"),
    ] {
        assert_eq!(
            place(code, position).await,
            (Some(at), order.to_owned()),
            "{code} at {position}"
        );
    }
    // Several at once: one after the other, and none is lost.
    let moves = SHIPPED.map(|code| place(code, 3));
    futures_util::future::join_all(moves).await;
    let list = app.get("/api/lead-stages").by(&tenant).await.expect(200).json();
    let positions: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["position"].as_i64())
        .collect();
    assert_eq!(positions, (1..=6).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&tenant).await;
    let post = async |body: Value| {
        app.post("/api/lead-stages")
            .of(&tenant)
            .bearer(&token)
            .json(&body)
            .await
    };
    post(json!({})).await.refused_fields(&[("name_pt", "required")]);
    post(json!({"name_pt": "a\nb", "name_en": "n".repeat(101), "code": "Not one"}))
        .await
        .refused_fields(&[
            ("name_pt", "invalid_format"),
            ("name_en", "too_long"),
            ("code", "invalid_format"),
        ]);
    post(json!({"name_pt": "Novo", "position": 1}))
        .await
        .refused_fields(&[("position", "unknown_field")]);
    post(json!({"name_pt": "Novo", "code": "new"}))
        .await
        .problem(409, "stage_exists");
    let patch = async |body: Value| {
        let call = app.patch("/api/lead-stages/won").of(&tenant).bearer(&token);
        call.json(&body).await
    };
    patch(json!({"name_pt": null, "name_en": "", "position": 0}))
        .await
        .refused_fields(&[
            ("name_pt", "required"),
            ("name_en", "required"),
            ("position", "out_of_range"),
        ]);
    patch(json!({"code": "sold"}))
        .await
        .refused_fields(&[("code", "unknown_field")]);
    assert_eq!(codes(&app, &tenant).await, SHIPPED);
    // As many as there may be.
    let fill = format!(
        "insert into {}.lead_stages select 'stage_' || n, 'x', 'x', n from generate_series(7, 100) n",
        tenant.schema
    );
    app.test.admin().await.execute(&fill, &[]).await.expect("filled");
    post(json!({"name_pt": "Mais uma"}))
        .await
        .problem(409, "too_many_stages");
}

#[tokio::test]
async fn repeated_with_its_key_a_stage_is_made_once() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&tenant).await;
    let post = || {
        let call = app
            .post("/api/lead-stages")
            .of(&tenant)
            .bearer(&token)
            .idempotency_key("one");
        call.json(&json!({"name_pt": "Visita"}))
    };
    let first = post().await.expect(201).json();
    assert_eq!(post().await.expect(201).json(), first);
    assert_eq!(codes(&app, &tenant).await.len(), 7);
}

/// Everybody works with the funnel; whoever runs the business says what it is.
#[tokio::test]
async fn an_agent_sees_the_stages_and_does_not_change_them() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let agent = app
        .session_of(&tenant, app.add_user(&tenant, "agent").await)
        .await;
    let manager = app
        .session_of(&tenant, app.add_user(&tenant, "manager").await)
        .await;
    let post = |token: &str| {
        let call = app.post("/api/lead-stages").of(&tenant).bearer(token);
        call.json(&json!({"name_pt": "Visita"}))
    };
    app.get("/api/lead-stages")
        .of(&tenant)
        .bearer(&agent)
        .await
        .expect(200);
    post(&agent).await.problem(403, "insufficient_rights");
    post(&tenant.api_key).await.problem(403, "insufficient_rights");
    post(&manager).await.expect(201);
}

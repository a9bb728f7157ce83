//! `POST /criar-cliente`: onboarding in Portuguese.

use serde_json::{Value, json};

use crate::helpers::{Call, TestApp};

fn post(app: &TestApp, body: &Value) -> Call {
    app.post("/criar-cliente").bearer(&app.admin.token).json(body)
}

#[tokio::test]
async fn three_fields_make_a_client_of_the_administrator_s() {
    let app = TestApp::start().await;
    let body = json!({"tenant_key": "garage_omega", "nome": "Auto Peças Omega", "robo_tipo": "carros"});
    let made = post(&app, &body).await.expect(201).json();
    assert_eq!(
        made,
        json!({
            "success": true, "tenant_id": made["tenant_id"], "tenant_key": "garage-omega",
            "schema_name": "tenant_garage_omega", "checkout_url": null, "url": made["url"], "api_key": made["api_key"],
            "owner": {"email": app.admin.email, "temporary_password": made["owner"]["temporary_password"]},
        })
    );
    let call = |path: &str| app.get(path).header("x-tenant-key", "garage_omega");
    let shown = call("/veiculos").await.expect(200).json();
    assert_eq!(
        (&shown["tenant"], &shown["veiculos"]),
        (&json!("Auto Peças Omega"), &json!([]))
    );
    let me = call("/api/me").bearer(made["api_key"].as_str().unwrap()).await;
    assert_eq!(me.expect(200).json()["tenant"]["niche"], "cars");
    let login = app.post("/api/sessions").header("x-tenant-key", "garage-omega");
    let login =
        login.json(&json!({"email": app.admin.email, "password": made["owner"]["temporary_password"]}));
    login.await.expect(201);
    post(&app, &body).await.problem(409, "tenant_key_taken");
}

#[tokio::test]
async fn it_is_the_same_use_case() {
    let app = TestApp::start().await;
    let body = json!({
        "tenant_key": "imob-alpha", "nome": "Imobiliária Alpha", "robo_tipo": "imoveis", "plano": "pro",
        "documento": "529.982.247-25", "owner": {"email": "Ana@Alpha.example", "password": "correct horse battery"},
    });
    let call = || post(&app, &body).idempotency_key("once");
    let first = call().await.expect(201).json();
    assert_eq!(first["owner"], json!({"email": "ana@alpha.example"}));
    assert_eq!(call().await.expect(201).json(), first);
    let admin = |path: &str| app.get(path).bearer(&app.admin.token);
    let tenant = admin("/api/admin/tenants/imob-alpha").await.expect(200).json();
    assert_eq!(
        (&tenant["niche"], &tenant["document"], &tenant["id"]),
        (&json!("real_estate"), &json!("52998224725"), &first["tenant_id"])
    );
    let subscription = admin("/api/admin/subscriptions?tenant_key=imob-alpha").await;
    assert_eq!(subscription.json()["items"][0]["plan"], "pro");
    let mut other = body.clone();
    other["nome"] = json!("Outra");
    let reused = post(&app, &other).idempotency_key("once").await;
    reused.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn refusals_speak_of_the_fields_that_were_sent() {
    let app = TestApp::start().await;
    post(&app, &json!({})).await.refused_fields(&[
        ("tenant_key", "required"),
        ("nome", "required"),
        ("robo_tipo", "required"),
    ]);
    let wrong = json!({
        "tenant_key": "www", "nome": "a\nb", "robo_tipo": "padaria", "documento": "1", "owner": {"name": "Ana"},
    });
    post(&app, &wrong).await.refused_fields(&[
        ("tenant_key", "reserved"),
        ("nome", "invalid_format"),
        ("robo_tipo", "unknown_value"),
        ("documento", "invalid_format"),
        ("owner.email", "required"),
    ]);
    let plan = json!({"tenant_key": "garage-beta", "nome": "Beta", "robo_tipo": "carros", "plano": "gold"});
    post(&app, &plan)
        .await
        .refused_fields(&[("plano", "unknown_value")]);
    let english = json!({"tenant_key": "garage-beta", "name": "Beta", "niche": "cars"});
    post(&app, &english)
        .await
        .refused_fields(&[("name", "unknown_field")]);

    let body = json!({"tenant_key": "garage-beta", "nome": "Beta", "robo_tipo": "carros"});
    let call = app.post("/criar-cliente").json(&body);
    call.clone().await.problem(401, "unauthorized");
    let garage = app.onboard("garage-alpha", "cars").await;
    call.clone()
        .bearer(&garage.api_key)
        .await
        .problem(401, "unauthorized");
    let at_tenant = call.bearer(&app.admin.token).of(&garage).await;
    at_tenant.problem(404, "not_found");
}

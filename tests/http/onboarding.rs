//! `POST /api/admin/tenants`: a client comes to be, over HTTP.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::helpers::{Call, TestApp};

fn post(app: &TestApp, body: &Value) -> Call {
    app.post("/api/admin/tenants").bearer(&app.admin.token).json(body)
}

/// A good request, but perhaps for the key.
fn wanting(key: &str, niche: &str) -> Value {
    let mut body = TestApp::onboarding(key, niche);
    body["name"] = json!("Garagem");
    body["owner"]["email"] = json!("dono@example.com");
    body
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

async fn tenants(app: &TestApp) -> usize {
    let list = app
        .get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200)
        .json();
    list["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn an_onboarded_tenant_is_served_at_once() {
    let app = TestApp::start().await;
    // Asked for before it exists: that nobody has the name is not remembered a moment too long.
    let early = app
        .get("/api/leads")
        .host("garage-alpha.helixai.test")
        .bearer("hxk_x");
    early.await.problem(404, "tenant_not_found");
    let garage = app.onboard("garage-alpha", "cars").await;
    let lead = json!({"name": "Ana"});
    app.post("/api/leads").by(&garage).json(&lead).await.expect(201);
    let token = app.log_in(&garage).await;
    let leads = app.get("/api/leads").key_header(&garage).bearer(&token).await;
    assert_eq!(leads.expect(200).json()["items"][0]["name"], "Ana");
    app.get("/api/leads")
        .of(&garage)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn the_answer_has_everything_that_is_shown_once() {
    let app = TestApp::start().await;
    let body = json!({
        "tenant_key": "Garage_Alpha", "name": " Garagem  Alpha ", "niche": "cars", "plan": "starter",
        "document": "529.982.247-25", "owner": {"email": "Ana@Example.com", "name": "Ana"},
    });
    let tenant = post(&app, &body).await.expect(201).json();
    let expected = [
        "id",
        "tenant_key",
        "name",
        "niche",
        "schema_name",
        "status",
        "url",
        "api_key",
        "owner",
    ];
    assert_eq!(fields(&tenant), expected.into_iter().collect());
    assert_eq!(
        fields(&tenant["owner"]),
        ["email", "temporary_password"].into_iter().collect()
    );
    let id: uuid::Uuid = tenant["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id");
    assert_eq!(id.get_version_num(), 7);
    let url = format!("http://garage-alpha.helixai.test:{}", app.address.port());
    for (field, value) in [
        ("tenant_key", "garage-alpha"),
        ("niche", "cars"),
        ("schema_name", "tenant_garage_alpha"),
        ("status", "active"),
        ("url", url.as_str()),
    ] {
        assert_eq!(tenant[field], value, "{field}");
    }
    assert_eq!(tenant["owner"]["email"], "ana@example.com");
    assert!(
        tenant["api_key"]
            .as_str()
            .is_some_and(|key| key.starts_with("hxk_"))
    );

    // Only this once.
    let read = app
        .get("/api/admin/tenants/garage-alpha")
        .bearer(&app.admin.token)
        .await;
    let text = read.expect(200).text();
    for secret in [&tenant["api_key"], &tenant["owner"]["temporary_password"]] {
        assert!(!text.contains(secret.as_str().expect("a secret")), "{text}");
    }
    assert_eq!(read.json()["document"], "52998224725");
}

#[tokio::test]
async fn an_owner_may_bring_a_password() {
    let app = TestApp::start().await;
    let mut body = TestApp::onboarding("garage-alpha", "cars");
    body["owner"]["password"] = json!("short");
    post(&app, &body)
        .await
        .refused_fields(&[("owner.password", "too_short")]);
    body["owner"]["password"] = json!("correct horse battery");
    let answer = post(&app, &body).await;
    let tenant = answer.expect(201).json();
    assert_eq!(fields(&tenant["owner"]), ["email"].into_iter().collect());
    assert!(!answer.text().contains("horse"));
    let login = json!({"email": "dono@garage-alpha.example", "password": "correct horse battery"});
    let call = app.post("/api/sessions").host("garage-alpha.helixai.test");
    call.json(&login).await.expect(201);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused() {
    let app = TestApp::start().await;
    let long = "a".repeat(75);
    let forty_one = "b".repeat(41);
    for (key, code) in [
        ("", "required"),
        ("ab", "too_short"),
        (&forty_one, "too_long"),
        (&long, "too_long"),
        ("1garage", "invalid_format"),
        ("-garage", "invalid_format"),
        ("garage-", "invalid_format"),
        ("garage_", "invalid_format"),
        ("gar age", "invalid_format"),
        (" garage", "invalid_format"),
        ("garage.alpha", "invalid_format"),
        ("garage'; drop schema master cascade; --", "invalid_format"),
        ("gar\"age", "invalid_format"),
        ("gar\u{0}age", "invalid_format"),
        ("../garage", "invalid_format"),
        ("garage/../x", "invalid_format"),
        ("garagé", "invalid_format"),
        ("ｇarage", "invalid_format"),
        ("gar\u{200b}age", "invalid_format"),
        ("xn--garage-9za", "reserved"),
        ("XN--garage", "reserved"),
        ("ab--cd", "reserved"),
        ("www", "reserved"),
        ("WWW", "reserved"),
        ("api", "reserved"),
        ("admin", "reserved"),
        ("app", "reserved"),
        ("public", "reserved"),
        ("postgres", "reserved"),
        ("pg_catalog", "reserved"),
        ("pg-temp", "reserved"),
        ("information_schema", "reserved"),
        ("master", "reserved"),
        ("helixai", "reserved"),
    ] {
        let answer = post(&app, &wanting(key, "cars")).await;
        answer.refused_fields(&[("tenant_key", code)]);
    }
    assert_eq!(tenants(&app).await, 0);
}

#[tokio::test]
async fn what_is_wrong_is_told_together_and_nothing_is_made() {
    let app = TestApp::start().await;
    let wrong = json!({
        "tenant_key": "x", "name": " ", "niche": "bakery", "document": "111.111.111-11",
        "owner": {"email": "ana", "name": "a\u{0}"},
    });
    post(&app, &wrong).await.refused_fields(&[
        ("tenant_key", "too_short"),
        ("name", "required"),
        ("niche", "unknown_value"),
        ("document", "invalid_check_digits"),
        ("owner.email", "invalid_format"),
        ("owner.name", "invalid_format"),
    ]);
    let mut body = TestApp::onboarding("garage-alpha", "cars");
    body["plan"] = json!("no_such_plan");
    post(&app, &body)
        .await
        .refused_fields(&[("plan", "unknown_value")]);
    body["plan"] = json!("starter");
    body["status"] = json!("suspended");
    post(&app, &body)
        .await
        .refused_fields(&[("status", "unknown_field")]);
    body.as_object_mut().expect("an object").remove("status");
    body["owner"]["role"] = json!("admin");
    post(&app, &body)
        .await
        .refused_fields(&[("owner.role", "unknown_field")]);
    assert_eq!(tenants(&app).await, 0);
}

#[tokio::test]
async fn a_key_belongs_to_one_tenant_however_it_is_spelled() {
    let app = TestApp::start().await;
    app.onboard("garage-alpha", "cars").await;
    for spelling in ["garage-alpha", "garage_alpha", "GARAGE-Alpha"] {
        let answer = post(&app, &wanting(spelling, "real_estate")).await;
        answer.problem(409, "tenant_key_taken");
    }
    assert_eq!(tenants(&app).await, 1);
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_with_its_secrets() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let body = TestApp::onboarding("garage-alpha", "cars");
    let repeat = || post(&app, &body).idempotency_key("order-4711");
    let first = repeat().await.expect(201).json();
    assert_eq!(repeat().await.expect(201).json(), first);
    // The same wishes, spelled otherwise, to another process.
    let spelled = serde_json::to_string_pretty(&body).expect("JSON");
    let mut elsewhere = repeat().at(second).text(&spelled).await.expect(201).json();
    // Each process shows the port that it has.
    elsewhere["url"] = first["url"].clone();
    assert_eq!(elsewhere, first);

    let mut other = body.clone();
    other["name"] = json!("Another");
    let answer = post(&app, &other).idempotency_key("order-4711").await;
    answer.problem(422, "idempotency_key_reused");
    // Another key is another wish; another administrator's keys are their own.
    post(&app, &body)
        .idempotency_key("order-4712")
        .await
        .problem(409, "tenant_key_taken");
    let colleague = app.another_admin("colleague@helixai.test").await;
    repeat().bearer(&colleague).await.problem(409, "tenant_key_taken");
    assert_eq!(tenants(&app).await, 1);
}

#[tokio::test]
async fn an_idempotency_key_has_a_form() {
    let app = TestApp::start().await;
    let body = TestApp::onboarding("garage-alpha", "cars");
    for key in ["", " ", &"k".repeat(201)] {
        let answer = post(&app, &body).idempotency_key(key).await;
        answer.refused_fields(&[("Idempotency-Key", "invalid_format")]);
    }
    post(&app, &body)
        .idempotency_key(&"k".repeat(200))
        .await
        .expect(201);
}

#[tokio::test]
async fn repeats_at_once_mean_one_tenant() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let body = TestApp::onboarding("garage-alpha", "cars");
    let repeat = |n: usize| {
        let address = if n.is_multiple_of(2) { app.address } else { second };
        let call = post(&app, &body).idempotency_key("order-4711").at(address);
        async move { call.await }
    };
    let answers = join_all((0..8).map(repeat)).await;
    let mut keys = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            201 => keys.insert(answer.json()["api_key"].to_string()),
            _ => answer.problem(409, "request_in_progress").is_null(),
        };
    }
    assert_eq!(keys.len(), 1, "{answers:?}");
    assert_eq!(tenants(&app).await, 1);
    let again = repeat(0).await;
    assert!(keys.contains(&again.expect(201).json()["api_key"].to_string()));
}

#[tokio::test]
async fn of_many_who_want_a_key_one_gets_it() {
    let app = TestApp::start().await;
    let body = TestApp::onboarding("garage-alpha", "cars");
    let answers = join_all((0..6).map(|_| async { post(&app, &body).await })).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}

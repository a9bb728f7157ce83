//! `/api/api-keys`.

use serde_json::{Value, json};

use super::resource::{at_noon, ids};
use crate::helpers::{Call, TestApp, TestTenant};

const PATH: &str = "/api/api-keys";

/// A garage, and its owner's token.
async fn start() -> (TestApp, TestTenant, String) {
    let (app, tenant) = at_noon("cars").await;
    let token = app.log_in(&tenant).await;
    (app, tenant, token)
}

async fn make(app: &TestApp, tenant: &TestTenant, token: &str, body: Value) -> Value {
    let call = app.post(PATH).of(tenant).bearer(token).json(&body);
    call.await.expect(201).json()
}

fn item(key: &Value) -> String {
    format!("{PATH}/{}", key["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let (app, garage, token) = start().await;
    let made = make(
        &app,
        &garage,
        &token,
        json!({"name": "Site", "scopes": ["write", "read", "read"]}),
    )
    .await;
    let plain = made["key"].as_str().unwrap().to_owned();
    let prefix = made["prefix"].as_str().unwrap();
    assert!(plain.starts_with(&format!("hxk_{prefix}_")), "{made}");
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("key");
    assert_eq!(
        shown,
        json!({
            "id": made["id"], "name": "Site", "prefix": prefix, "scopes": ["read", "write"],
            "created_at": "2026-03-10T12:00:00Z", "last_used_at": null, "revoked_at": null,
        })
    );
    let owner = |call: Call| call.of(&garage).bearer(&token);
    assert_eq!(
        owner(app.get(&item(&made))).await.expect(200).json(),
        shown,
        "not the key itself"
    );
    let list = owner(app.get(PATH)).await;
    list.expect(200);
    assert!(!list.text().contains(&plain) && !list.text().contains("hash"));
    assert_eq!(list.json()["items"][0], shown);
    assert_eq!(ids(&list.json()).len(), 2, "the first key was made at onboarding");

    let lead = json!({"name": "Ana"});
    let call = || app.post("/api/leads").of(&garage).bearer(&plain).json(&lead);
    call().await.expect(201);
    app.test.clock.advance(chrono::TimeDelta::minutes(3));
    owner(app.delete(&item(&made))).await.expect(204);
    call().await.problem(401, "unauthorized");
    let revoked = owner(app.get(&item(&made))).await.expect(200).json();
    assert_eq!(revoked["revoked_at"], "2026-03-10T12:03:00Z");
    app.test.clock.advance(chrono::TimeDelta::minutes(3));
    owner(app.delete(&item(&made))).await.expect(204);
    let again = owner(app.get(&item(&made))).await.expect(200).json();
    assert_eq!(
        again["revoked_at"], "2026-03-10T12:03:00Z",
        "the first time counts"
    );
}

#[tokio::test]
async fn scopes_are_limits() {
    let (app, garage, token) = start().await;
    let key = async |scopes: &[&str]| {
        let made = make(&app, &garage, &token, json!({"name": "k", "scopes": scopes})).await;
        made["key"].as_str().unwrap().to_owned()
    };
    let lead = json!({"name": "Ana"});
    let get = |key: &str| app.get("/api/leads").of(&garage).bearer(key);
    let post = |key: &str| app.post("/api/leads").of(&garage).bearer(key).json(&lead);
    let reader = key(&["read"]).await;
    get(&reader).await.expect(200);
    post(&reader).await.problem(403, "insufficient_rights");
    let writer = key(&["write"]).await;
    get(&writer).await.problem(403, "insufficient_rights");
    post(&writer).await.expect(201);
    let all = make(&app, &garage, &token, json!({"name": "k"})).await;
    assert_eq!(all["scopes"], json!(["read", "write"]));
}

#[tokio::test]
async fn only_people_who_run_the_tenant_see_and_make_keys() {
    let (app, garage, token) = start().await;
    let made = make(&app, &garage, &token, json!({"name": "Site"})).await;
    let new = json!({"name": "Another"});
    let calls = || {
        [
            app.get(PATH),
            app.post(PATH).json(&new),
            app.get(&item(&made)),
            app.delete(&item(&made)),
        ]
    };
    for call in calls() {
        call.clone().by(&garage).await.problem(403, "insufficient_rights");
        call.of(&garage).await.problem(401, "unauthorized");
    }
    let other = app.onboard("garage-beta", "cars").await;
    let stranger = app.log_in(&other).await;
    for call in calls() {
        let answer = call.of(&garage).bearer(&stranger).await;
        answer.problem(401, "unauthorized");
    }
    let mine = app.get(&item(&made)).of(&other).bearer(&stranger).await;
    mine.problem(404, "not_found");
    let gone = app.delete(&item(&made)).of(&other).bearer(&stranger).await;
    gone.problem(404, "not_found");
}

#[tokio::test]
async fn a_repeated_request_answers_the_same_key() {
    let (app, garage, token) = start().await;
    let post = |name: &str| {
        let call = app.post(PATH).of(&garage).bearer(&token).idempotency_key("once");
        call.json(&json!({"name": name}))
    };
    let first = post("Site").await.expect(201).json();
    assert_eq!(post("Site").await.expect(201).json(), first);
    let me = app
        .get("/api/me")
        .of(&garage)
        .bearer(first["key"].as_str().unwrap());
    assert_eq!(me.await.expect(200).json()["id"], first["id"]);
    post("Another").await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let (app, garage, token) = start().await;
    let post = |body: Value| app.post(PATH).of(&garage).bearer(&token).json(&body);
    post(json!({"scopes": []}))
        .await
        .refused_fields(&[("name", "required"), ("scopes", "required")]);
    post(json!({"name": "n".repeat(101), "scopes": ["admin"]}))
        .await
        .refused_fields(&[("name", "too_long"), ("scopes", "unknown_value")]);
    post(json!({"name": "x", "scopes": "read"}))
        .await
        .refused_fields(&[("scopes", "invalid_type")]);
    post(json!({"name": "x", "key": "mine"}))
        .await
        .refused_fields(&[("key", "unknown_field")]);
    let list = |query: &str| app.get(&format!("{PATH}?{query}")).of(&garage).bearer(&token);
    list("limit=0").await.refused_fields(&[("limit", "out_of_range")]);
    list("q=x").await.refused_fields(&[("q", "unknown_field")]);
    for number in 0..3 {
        make(&app, &garage, &token, json!({"name": number.to_string()})).await;
    }
    let first = list("limit=3").await.expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("limit=3&cursor={cursor}")).await.expect(200).json();
    let mut all = [ids(&first), ids(&second)].concat();
    assert_eq!((all.len(), &second["next_cursor"]), (4, &Value::Null));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4);
}

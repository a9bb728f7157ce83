//! `/api/admin/plans` and the price list: what is sold, and to whom an older version still belongs.

use serde_json::{Value, json};

use super::resource::texts;
use crate::helpers::TestApp;

const PATH: &str = "/api/admin/plans";

fn terms(price_cents: i64, messages: i64) -> Value {
    json!({
        "price_cents": price_cents,
        "limits": [{"meter": "messages", "limit": messages}, {"meter": "ai_tokens", "limit": null}],
    })
}

fn plan(code: &str, price_cents: i64) -> Value {
    let mut body = terms(price_cents, 10);
    body["code"] = json!(code);
    body["name"] = json!("Mini");
    body
}

#[tokio::test]
async fn a_plan_is_sold_changed_and_retired() {
    let app = TestApp::start().await;
    let create = |body: Value| app.post(PATH).bearer(&app.admin.token).json(&body);
    let made = create(plan("mini", 990)).await.expect(201).json();
    assert_eq!(
        (&made["status"], &made["versions"][0]["version"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(made["versions"][0]["trial_days"], 7);
    create(plan("mini", 1)).await.problem(409, "plan_code_taken");

    let mut body = TestApp::onboarding("garage-alpha", "cars");
    body["plan"] = json!("mini");
    let onboard = app
        .post("/api/admin/tenants")
        .bearer(&app.admin.token)
        .json(&body);
    let key = onboard.await.expect(201).json()["api_key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let bought = || async {
        let subscription = app
            .get("/api/subscription")
            .header("x-tenant-key", "garage-alpha")
            .bearer(&key);
        subscription.await.expect(200).json()
    };
    let before = bought().await;
    assert_eq!(before["price_cents"], 990);

    // Another version is sold from now on; who has bought keeps what was bought.
    let path = format!("{PATH}/mini/versions");
    let publish = |body: Value| app.post(&path).bearer(&app.admin.token).json(&body);
    for _ in 0..2 {
        let published = publish(terms(1990, 20)).await.expect(201).json();
        assert_eq!(published["versions"].as_array().map(Vec::len), Some(2));
        assert_eq!(published["versions"][0]["price_cents"], 1990);
        let sold: Vec<_> = [0, 1]
            .map(|index| published["versions"][index]["subscriptions"].clone())
            .into();
        assert_eq!(sold, [json!(0), json!(1)]);
    }
    assert_eq!(bought().await["price_cents"], 990);

    let offers = app.get("/api/plans").await.expect(200).json();
    assert_eq!(texts(&offers, "code"), ["mini", "starter", "pro", "business"]);
    assert_eq!(offers["items"][0]["price_cents"], 1990);
    let elsewhere = app
        .get("/api/plans")
        .header("x-tenant-key", "garage-alpha")
        .await
        .expect(200)
        .json();
    assert_eq!(elsewhere, offers);

    let path = format!("{PATH}/mini");
    let update = |body: Value| app.patch(&path).bearer(&app.admin.token).json(&body);
    let retired = update(json!({"status": "retired", "name": "Pequeno"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&retired["status"], &retired["name"]),
        (&json!("retired"), &json!("Pequeno"))
    );
    update(json!({"status": "retired"})).await.expect(200);
    let offers = app.get("/api/plans").await.expect(200).json();
    assert_eq!(texts(&offers, "code"), ["starter", "pro", "business"]);
    let list = app
        .get(&format!("{PATH}?status=retired"))
        .bearer(&app.admin.token);
    assert_eq!(texts(&list.await.expect(200).json(), "code"), ["sandbox", "mini"]);
    assert_eq!(bought().await["price_cents"], 990);
    let mut body = TestApp::onboarding("garage-beta", "cars");
    body["plan"] = json!("mini");
    app.post("/api/admin/tenants")
        .bearer(&app.admin.token)
        .json(&body)
        .await
        .expect(422);

    let audit = app
        .get("/api/admin/audit")
        .bearer(&app.admin.token)
        .await
        .expect(200)
        .json();
    let mut actions = texts(&audit, "action");
    actions.retain(|action| action.starts_with("plan."));
    assert_eq!(actions, ["plan.update", "plan.publish", "plan.create"]);
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let create = |body: Value| app.post(PATH).bearer(&app.admin.token).json(&body);
    let wrong = json!({
        "code": "Mini", "name": " ", "price_cents": -1, "trial_days": 91,
        "limits": [{"meter": "cars", "limit": 1}, {"meter": "users", "limit": -1}, {"meter": "users", "limit": 1}],
    });
    create(wrong).await.refused_fields(&[
        ("code", "invalid_format"),
        ("name", "required"),
        ("price_cents", "out_of_range"),
        ("trial_days", "out_of_range"),
        ("limits[0].meter", "unknown_value"),
        ("limits[1].limit", "out_of_range"),
        ("limits[2].meter", "duplicate"),
        ("limits", "meter_missing"),
        ("limits", "meter_missing"),
    ]);
    create(json!({})).await.expect(422);
    create(json!({"code": "mini", "more": 1})).await.expect(422);
    for (method, body) in [("versions", terms(1, 1)), ("", json!({"status": "active"}))] {
        for (plan, status) in [("sandbox", 409), ("nothing", 404), ("NO-CODE", 404)] {
            let path = format!("{PATH}/{plan}/{method}");
            let path = path.trim_end_matches('/');
            let call = if method.is_empty() {
                app.patch(path)
            } else {
                app.post(path)
            };
            call.bearer(&app.admin.token).json(&body).await.expect(status);
        }
    }
    app.get(&format!("{PATH}/nothing"))
        .bearer(&app.admin.token)
        .await
        .expect(404);
    app.get(&format!("{PATH}?status=sold"))
        .bearer(&app.admin.token)
        .await
        .expect(422);
    let list = app.get("/api/plans").await.expect(200).json();
    assert_eq!(texts(&list, "code"), ["starter", "pro", "business"]);
}

//! `/api/usage/reservations`: what a tenant's own programs reserve, settle and release.

use futures_util::future::join_all;
use helixai::domain::usage::Meter;
use serde_json::{Value, json};

use super::resource::at_noon;
use crate::billing::tally;
use crate::helpers::{Answer, TestApp, TestTenant};

const PATH: &str = "/api/usage/reservations";

async fn reserve(app: &TestApp, tenant: &TestTenant, meter: &str, amount: i64, key: &str) -> Answer {
    let body = json!({"meter": meter, "amount": amount, "key": key});
    app.post(PATH).by(tenant).json(&body).await
}

async fn settle(app: &TestApp, tenant: &TestTenant, key: &str, amount: i64) -> Answer {
    let call = app.post(&format!("{PATH}/{key}/settle")).by(tenant);
    call.json(&json!({"amount": amount})).await
}

async fn release(app: &TestApp, tenant: &TestTenant, key: &str) -> Answer {
    app.post(&format!("{PATH}/{key}/release")).by(tenant).await
}

/// `(limit, used, reserved)` of the messages, as the tenant reads them.
async fn messages(app: &TestApp, tenant: &TestTenant) -> Value {
    let usage = app.get("/api/usage").by(tenant).await.expect(200).json();
    let meter = &usage["meters"][0];
    json!([meter["limit"], meter["used"], meter["reserved"]])
}

#[tokio::test]
async fn a_reservation_is_settled_or_released() {
    let (app, garage) = at_noon("cars").await;
    let held = json!({
        "key": "order-1", "meter": "messages", "amount": 10, "state": "held", "settled_amount": null,
        "period": "2026-03", "expires_at": "2026-03-10T12:15:00Z",
    });
    let first = reserve(&app, &garage, "messages", 10, "order-1").await;
    assert_eq!(first.expect(201).json(), held);
    let again = reserve(&app, &garage, "messages", 10, "order-1").await;
    assert_eq!(again.expect(201).json(), held);
    assert_eq!(messages(&app, &garage).await, json!([1000, 0, 10]));

    let mut settled = held.clone();
    settled["state"] = json!("settled");
    settled["settled_amount"] = json!(4);
    for _ in 0..2 {
        let answer = settle(&app, &garage, "order-1", 4).await;
        assert_eq!(answer.expect(200).json(), settled);
    }
    assert_eq!(messages(&app, &garage).await, json!([1000, 4, 0]));
    let other = settle(&app, &garage, "order-1", 5).await;
    other.problem(409, "reservation_settled");
    release(&app, &garage, "order-1")
        .await
        .problem(409, "reservation_settled");

    reserve(&app, &garage, "messages", 10, "order-2")
        .await
        .expect(201);
    let mut released = held.clone();
    released["key"] = json!("order-2");
    released["state"] = json!("released");
    for _ in 0..2 {
        let answer = release(&app, &garage, "order-2").await;
        assert_eq!(answer.expect(200).json(), released);
    }
    let late = settle(&app, &garage, "order-2", 1).await;
    late.problem(409, "reservation_released");
    let again = reserve(&app, &garage, "messages", 10, "order-2").await;
    again.problem(409, "reservation_released");
    assert_eq!(messages(&app, &garage).await, json!([1000, 4, 0]));

    settle(&app, &garage, "order-3", 1)
        .await
        .problem(404, "not_found");
    release(&app, &garage, "order-3").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_key_has_one_meaning() {
    let (app, garage) = at_noon("cars").await;
    reserve(&app, &garage, "messages", 10, "one").await.expect(201);
    for (meter, amount) in [("messages", 11), ("ai_tokens", 10)] {
        let reused = reserve(&app, &garage, meter, amount, "one").await;
        reused.problem(422, "idempotency_key_reused");
    }
    // Any visible characters, as long as the path spells them as paths do.
    reserve(&app, &garage, "messages", 1, "a/b?c#d%20e+f")
        .await
        .expect(201);
    let settled = settle(&app, &garage, "a%2Fb%3Fc%23d%2520e+f", 1).await;
    assert_eq!(settled.expect(200).json()["key"], "a/b?c#d%20e+f");
    reserve(&app, &garage, "messages", 1, &"k".repeat(200))
        .await
        .expect(201);
    // What the platform reserves for the tenant's own messages is not the tenant's to give back.
    let message = uuid::Uuid::now_v7();
    let tenant: uuid::Uuid = garage.id.parse().unwrap();
    let outbox = helixai::domain::metering::UsageKey::outbox(message);
    let metering = &app.test.platform.metering;
    let one = tally::amount(1);
    metering
        .reserve(tenant.into(), Meter::Messages, one, &outbox)
        .await
        .expect("held");
    let key = message.to_string();
    release(&app, &garage, &key).await.problem(404, "not_found");
    settle(&app, &garage, &key, 0).await.problem(404, "not_found");
    reserve(&app, &garage, "messages", 3, &key).await.expect(201);
    release(&app, &garage, &key).await.expect(200);
    let settled = metering.settle(tenant.into(), &outbox, one.into()).await;
    settled.expect("it was held all the time");
}

/// Who has not paid may reserve no more, and still says what became of what was reserved before.
#[tokio::test]
async fn what_was_reserved_before_a_suspension_is_settled_in_it() {
    let (app, garage) = at_noon("cars").await;
    for key in ["used", "not-used"] {
        reserve(&app, &garage, "messages", 10, key).await.expect(201);
    }
    let admin = app.test.admin().await;
    admin
        .batch_execute(
            "update master.subscriptions set status = 'suspended', suspended_at = '2026-03-10T12:00:00Z'",
        )
        .await
        .expect("changed");
    let key = helixai::domain::tenant_key::TenantKey::parse(&garage.key).expect("a key");
    app.test.platform.resolver.find_fresh(&key).await.expect("found");
    reserve(&app, &garage, "messages", 1, "more")
        .await
        .problem(403, "subscription_inactive");
    settle(&app, &garage, "used", 4).await.expect(200);
    release(&app, &garage, "not-used").await.expect(200);
    assert_eq!(messages(&app, &garage).await, json!([1000, 4, 0]));
}

#[tokio::test]
async fn another_tenants_key_does_not_exist() {
    let (app, garage) = at_noon("cars").await;
    let other = app.onboard("garage-beta", "cars").await;
    reserve(&app, &garage, "messages", 10, "one").await.expect(201);
    settle(&app, &other, "one", 10).await.problem(404, "not_found");
    release(&app, &other, "one").await.problem(404, "not_found");
    // The same word is another key there.
    reserve(&app, &other, "ai_tokens", 99, "one").await.expect(201);
    release(&app, &other, "one").await.expect(200);
    assert_eq!(messages(&app, &garage).await, json!([1000, 0, 10]));
    assert_eq!(messages(&app, &other).await, json!([1000, 0, 0]));
}

#[tokio::test]
async fn what_the_plan_does_not_include_is_refused_with_the_numbers() {
    let (app, garage) = at_noon("cars").await;
    let tenant: uuid::Uuid = garage.id.parse().unwrap();
    let admin = app.test.admin().await;
    tally::include(&admin, tenant.into(), Some(100), app.test.clock.now()).await;
    reserve(&app, &garage, "messages", 30, "used").await.expect(201);
    settle(&app, &garage, "used", 20).await.expect(200);
    let calls = (0..200).map(|number| {
        let (app, garage) = (&app, &garage);
        async move { reserve(app, garage, "messages", 1, &format!("rush-{number}")).await }
    });
    let answers = join_all(calls).await;
    let held = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(held, 80);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let problem = refused.problem(402, "limit_exceeded");
        assert_eq!(
            (&problem["limit"], &problem["used"], &problem["reserved"]),
            (&json!(100), &json!(20), &json!(80))
        );
        assert_eq!(problem["plan"], "starter");
    }
    assert_eq!(messages(&app, &garage).await, json!([100, 20, 80]));
    // Other refusals have no such numbers.
    let unknown = settle(&app, &garage, "nobody", 1).await.problem(404, "not_found");
    assert!(unknown.get("limit").is_none(), "{unknown}");
    // What was reserved before the limit was reached is the same as ever.
    let first = answers
        .iter()
        .position(|answer| answer.status == 201)
        .expect("one");
    let again = reserve(&app, &garage, "messages", 1, &format!("rush-{first}")).await;
    again.expect(201);
}

#[tokio::test]
async fn administrators_see_the_alerts() {
    let (app, garage) = at_noon("cars").await;
    reserve(&app, &garage, "messages", 800, "one").await.expect(201);
    settle(&app, &garage, "one", 800).await.expect(200);
    app.test.clock.advance(chrono::TimeDelta::hours(1));
    reserve(&app, &garage, "messages", 200, "two").await.expect(201);
    settle(&app, &garage, "two", 250).await.expect(200);
    let path = format!("/api/admin/tenants/{}/usage", garage.key);
    let usage = app.get(&path).bearer(&app.admin.token).await.expect(200).json();
    assert_eq!(
        super::subscription::consumed(usage),
        json!({
            "period": "2026-03",
            "meters": [
                {"meter": "messages", "limit": 1000, "used": 1050, "reserved": 0},
                {"meter": "ai_tokens", "limit": 200_000, "used": 0, "reserved": 0},
            ],
            "alerts": [
                {"meter": "messages", "threshold": 80, "limit": 1000, "used": 800, "reached_at": "2026-03-10T12:00:00Z"},
                {"meter": "messages", "threshold": 100, "limit": 1000, "used": 1050, "reached_at": "2026-03-10T13:00:00Z"},
            ],
        })
    );
    let told = app.get("/api/usage").by(&garage).await.expect(200).json();
    assert!(told.get("alerts").is_none(), "{told}");
}

#[tokio::test]
async fn what_cannot_be_reserved_is_said_field_by_field() {
    let (app, garage) = at_noon("cars").await;
    let post = |body: Value| app.post(PATH).by(&garage).json(&body);
    post(json!({})).await.refused_fields(&[
        ("meter", "required"),
        ("amount", "required"),
        ("key", "required"),
    ]);
    for (amount, code) in [
        (0, "out_of_range"),
        (-1, "out_of_range"),
        (1_000_000_001, "out_of_range"),
    ] {
        let body = json!({"meter": "flows", "amount": amount, "key": "a b"});
        post(body).await.refused_fields(&[
            ("meter", "unknown_value"),
            ("amount", code),
            ("key", "invalid_format"),
        ]);
    }
    let body = json!({"meter": "messages", "amount": 1.5, "key": "k"});
    post(body).await.refused_fields(&[("amount", "invalid_type")]);
    let body = json!({"meter": "messages", "amount": 1, "key": "k".repeat(201)});
    post(body).await.refused_fields(&[("key", "too_long")]);
    reserve(&app, &garage, "messages", 1, "one").await.expect(201);
    let call = |body: Value| app.post(&format!("{PATH}/one/settle")).by(&garage).json(&body);
    call(json!({})).await.refused_fields(&[("amount", "required")]);
    call(json!({"amount": -1}))
        .await
        .refused_fields(&[("amount", "out_of_range")]);
    call(json!({"amount": 1, "meter": "messages"}))
        .await
        .refused_fields(&[("meter", "unknown_field")]);
    assert_eq!(messages(&app, &garage).await, json!([1000, 0, 1]));
}

/// The registry's counters cannot be had: nothing that costs is allowed, and everything else goes on.
#[tokio::test]
async fn while_nothing_can_be_counted_nothing_is_reserved() {
    let app = TestApp::builder()
        .set("database.lock_timeout_ms", 300)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    reserve(&app, &garage, "messages", 1, "before").await.expect(201);
    let mut admin = app.test.admin().await;
    let lock = admin.transaction().await.expect("a transaction");
    lock.batch_execute("lock table master.usage_counters in access exclusive mode")
        .await
        .expect("locked");
    let refused = reserve(&app, &garage, "messages", 1, "meanwhile").await;
    refused.problem(503, "database_unavailable");
    settle(&app, &garage, "before", 1)
        .await
        .problem(503, "database_unavailable");
    app.get("/api/leads").by(&garage).await.expect(200);
    lock.rollback().await.expect("unlocked");
    // Nothing was half done.
    settle(&app, &garage, "before", 1).await.expect(200);
    reserve(&app, &garage, "messages", 1, "meanwhile")
        .await
        .expect(201);
    let usage = app.get("/api/usage").by(&garage).await.expect(200).json();
    assert_eq!(
        usage["meters"][0],
        json!({"meter": "messages", "limit": 1000, "used": 1, "reserved": 1})
    );
}

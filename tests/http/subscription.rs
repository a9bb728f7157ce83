//! `/api/subscription` and `/api/usage`, and what administrators see of them.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::resource::{at_noon, texts};
use crate::helpers::TestApp;

#[tokio::test]
async fn a_subscription_sinks_by_the_clock() {
    let (app, garage) = at_noon("cars").await;
    let read = async || {
        let answer = app.get("/api/subscription").by(&garage).await;
        answer.expect(200).json()
    };
    let subscription = read().await;
    assert_eq!(
        subscription,
        json!({
            "id": subscription["id"], "plan": "starter", "plan_name": "Starter", "plan_version": 1, "price_cents": 4990,
            "status": "trialing", "trial_ends_at": "2026-03-17T12:00:00Z",
            "current_period_start": "2026-03-10T12:00:00Z", "current_period_end": "2026-03-17T12:00:00Z",
            "next_plan": null, "cancel_at_period_end": false,
            "limits": [
                {"meter": "ai_tokens", "limit": 200_000}, {"meter": "flows", "limit": 5},
                {"meter": "instances", "limit": 1}, {"meter": "messages", "limit": 1000},
                {"meter": "storage_bytes", "limit": 1_073_741_824}, {"meter": "templates", "limit": 10},
                {"meter": "users", "limit": 3},
            ],
            "created_at": "2026-03-10T12:00:00Z",
        })
    );
    for (days, status) in [
        (6, "trialing"),
        (7, "past_due"),
        (13, "past_due"),
        (14, "suspended"),
        (36, "suspended"),
        (37, "canceled"),
        (400, "canceled"),
    ] {
        app.test
            .clock
            .set(super::resource::noon() + TimeDelta::days(days));
        assert_eq!(read().await["status"], status, "after {days} days");
    }
    app.get("/api/usage").by(&garage).await.expect(200);
    app.get("/api/leads")
        .by(&garage)
        .await
        .problem(403, "subscription_inactive");
}

/// Without the storage, which is measured now and then.
pub(super) fn consumed(mut usage: Value) -> Value {
    let meters = usage["meters"].as_array_mut().expect("meters");
    let storage = meters.pop().expect("the last one");
    assert_eq!(storage["meter"], "storage_bytes");
    usage
}

#[tokio::test]
async fn usage_is_that_of_the_month_in_sao_paulo() {
    let (app, garage) = at_noon("cars").await;
    let other = app.onboard("garage-beta", "cars").await;
    let read = async || consumed(app.get("/api/usage").by(&garage).await.expect(200).json());
    let fresh = json!([
        {"meter": "messages", "limit": 1000, "used": 0, "reserved": 0},
        {"meter": "ai_tokens", "limit": 200_000, "used": 0, "reserved": 0},
    ]);
    assert_eq!(read().await, json!({"period": "2026-03", "meters": fresh}));

    let master = app.test.admin().await;
    for (tenant, meter, limit, used) in [
        (&garage, "messages", Some(1500_i64), 7_i64),
        (&garage, "ai_tokens", None, 12_345),
        (&other, "messages", Some(1), 1),
    ] {
        let tenant: uuid::Uuid = tenant.id.parse().unwrap();
        master
            .execute(
                "insert into master.usage_counters (tenant_id, meter, period_start, limit_value, used, reserved, created_at, updated_at)
                 values ($1, $2, '2026-03-01', $3, $4, 2, '2026-03-10Z', '2026-03-10Z')",
                &[&tenant, &meter, &limit, &used],
            )
            .await
            .unwrap();
    }
    let counted = json!({
        "period": "2026-03",
        "meters": [
            {"meter": "messages", "limit": 1500, "used": 7, "reserved": 2},
            {"meter": "ai_tokens", "limit": null, "used": 12_345, "reserved": 2},
        ],
    });
    assert_eq!(read().await, counted);
    let by_admin = app
        .get("/api/admin/tenants/garage-alpha/usage")
        .bearer(&app.admin.token)
        .await;
    by_admin.problem(404, "not_found");
    let path = format!("/api/admin/tenants/{}/usage", garage.key);
    let by_admin = app.get(&path).bearer(&app.admin.token).await;
    let mut told = counted.clone();
    told["alerts"] = json!([]);
    assert_eq!(consumed(by_admin.expect(200).json()), told);

    // Midnight there is three hours later than UTC's.
    app.test.clock.set("2026-04-01T02:59:59Z".parse().unwrap());
    assert_eq!(read().await, counted);
    app.test.clock.set("2026-04-01T03:00:00Z".parse().unwrap());
    assert_eq!(read().await, json!({"period": "2026-04", "meters": fresh}));
}

#[tokio::test]
async fn without_a_living_subscription_nothing_is_included() {
    let (app, garage) = at_noon("cars").await;
    let master = app.test.admin().await;
    let tenant: uuid::Uuid = garage.id.parse().unwrap();
    master
        .execute(
            "update master.subscriptions set status = 'canceled', canceled_at = '2026-03-10Z' where tenant_id = $1",
            &[&tenant],
        )
        .await
        .unwrap();
    let usage = app.get("/api/usage").by(&garage).await.expect(200).json();
    let limits: Vec<&Value> = usage["meters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|meter| &meter["limit"])
        .collect();
    assert_eq!(limits, [0, 0, 0]);
    let canceled = app.get("/api/subscription").by(&garage).await;
    assert_eq!(canceled.expect(200).json()["status"], "canceled");
    master
        .execute(
            "delete from master.subscriptions where tenant_id = $1",
            &[&tenant],
        )
        .await
        .unwrap();
    let none = app.get("/api/subscription").by(&garage).await;
    none.problem(404, "no_subscription");
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let (app, garage) = at_noon("cars").await;
    let other = app.onboard("garage-beta", "cars").await;
    for path in ["/api/subscription", "/api/usage"] {
        app.get(path).of(&garage).await.problem(401, "unauthorized");
        let foreign = app.get(path).of(&garage).bearer(&other.api_key).await;
        foreign.problem(401, "unauthorized");
        let admin = app.get(path).of(&garage).bearer(&app.admin.token).await;
        admin.problem(401, "unauthorized");
    }
    for path in [
        "/api/admin/plans",
        "/api/admin/subscriptions",
        "/api/admin/audit",
        "/api/admin/tenants/tenant-one/usage",
    ] {
        app.get(path).await.problem(401, "unauthorized");
        app.get(path)
            .bearer(&garage.api_key)
            .await
            .problem(401, "unauthorized");
        app.get(path)
            .of(&garage)
            .bearer(&app.admin.token)
            .await
            .problem(404, "not_found");
    }
}

async fn list(app: &TestApp, path: &str) -> Value {
    let answer = app.get(path).bearer(&app.admin.token).await;
    answer.expect(200).json()
}

#[tokio::test]
async fn administrators_see_plans_and_subscriptions() {
    let (app, garage) = at_noon("cars").await;
    let plans = list(&app, "/api/admin/plans").await;
    assert_eq!(texts(&plans, "code"), ["starter", "pro", "business"]);
    assert_eq!(
        (
            &plans["items"][1]["price_cents"],
            &plans["items"][1]["trial_days"]
        ),
        (&json!(9990), &json!(7))
    );
    let limits = plans["items"][2]["limits"].as_array().unwrap();
    assert!(
        limits.contains(&json!({"meter": "messages", "limit": 100_000})),
        "{limits:?}"
    );

    app.test.clock.advance(TimeDelta::days(7));
    let token = app.log_in_admin().await;
    let mut request = TestApp::onboarding("garage-beta", "cars");
    request["plan"] = json!("pro");
    let call = app.post("/api/admin/tenants").bearer(&token).json(&request);
    call.await.expect(201);
    let get = async |query: &str| {
        let path = format!("/api/admin/subscriptions{query}");
        app.get(&path).bearer(&token).await.expect(200).json()
    };
    let all = get("").await;
    assert_eq!(texts(&all, "tenant_key"), ["garage-beta", "tenant-one"]);
    assert_eq!(texts(&all, "plan"), ["pro", "starter"]);
    assert_eq!(texts(&all, "status"), ["trialing", "past_due"]);
    assert_eq!(
        texts(&get("?tenant_key=tenant_one").await, "tenant_name"),
        [garage.name]
    );
    let page = get("?limit=1").await;
    let next = get(&format!(
        "?limit=1&cursor={}",
        page["next_cursor"].as_str().unwrap()
    ))
    .await;
    assert_eq!(texts(&next, "tenant_key"), ["tenant-one"]);
    assert_eq!(next["next_cursor"], Value::Null);
    let refused = app
        .get("/api/admin/subscriptions?tenant_key=-&limit=0")
        .bearer(&token)
        .await;
    refused.refused_fields(&[("tenant_key", "too_short"), ("limit", "out_of_range")]);
}

#[tokio::test]
async fn administrators_see_what_was_done() {
    let (app, _) = at_noon("cars").await;
    app.onboard("garage-beta", "cars").await;
    let suspend = app
        .post("/api/admin/tenants/tenant-one/suspend")
        .bearer(&app.admin.token);
    let suspended = suspend.json(&json!({"reason": "fraud"})).await;
    let request_id = suspended.expect(200).header("x-request-id").unwrap().to_owned();
    let all = list(&app, "/api/admin/audit").await;
    let line = &all["items"][0];
    assert_eq!(line["action"], "tenant.suspend");
    assert_eq!(
        (
            &line["actor_kind"],
            &line["entity"],
            &line["tenant_key"],
            &line["request_id"]
        ),
        (
            &json!("admin"),
            &json!("tenant"),
            &json!("tenant-one"),
            &json!(request_id)
        )
    );
    assert_eq!(line["at"], "2026-03-10T12:00:00Z");
    let of_beta = list(&app, "/api/admin/audit?tenant_key=garage-beta").await;
    assert!(!of_beta["items"].as_array().unwrap().is_empty());
    assert!(
        texts(&of_beta, "tenant_key")
            .iter()
            .all(|key| key == "garage-beta")
    );
    let nobody = list(&app, "/api/admin/audit?tenant_key=nobody-here").await;
    assert_eq!(nobody["items"], json!([]));
    // All are of the same moment: page by page each is seen once.
    let mut seen = Vec::new();
    let mut path = "/api/admin/audit?limit=1".to_owned();
    loop {
        let page = list(&app, &path).await;
        seen.extend(texts(&page, "id"));
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/api/admin/audit?limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, texts(&all, "id"));
}

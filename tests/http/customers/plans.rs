//! `/api/customer-plans`.

use serde_json::{Value, json};

use super::customer;
use crate::helpers::TestApp;
use crate::http::resource::{Resource, at_noon, behaves_as_a_resource, texts};

const PLANS: Resource = Resource {
    path: "/api/customer-plans",
    niche: "cars",
    other_niche: None,
    least,
    text: "name",
    lacks: &["name", "price_cents"],
};

behaves_as_a_resource!(PLANS);

fn least() -> Value {
    json!({"name": "Ouro", "price_cents": 9990})
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed() {
    let (app, tenant) = at_noon("cars").await;
    let body = json!({"name": " Plano Ouro ", "price_cents": 0, "description": "Tudo.\nSempre.", "status": "archived"});
    let made = PLANS.create(&app, &tenant, &body).await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "Plano Ouro", "price_cents": 0, "description": "Tudo.\nSempre.", "status": "archived",
            "version": 1, "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let change = json!({"price_cents": 100_000_000_000_i64, "description": null, "status": "active"});
    let call = app.patch(&PLANS.path_of(&made)).by(&tenant).json(&change);
    let changed = call.await.expect(200).json();
    assert_eq!(
        (
            &changed["price_cents"],
            &changed["description"],
            &changed["status"]
        ),
        (&json!(100_000_000_000_i64), &Value::Null, &json!("active"))
    );
    for (field, value, code) in [
        ("price_cents", json!(-1), "out_of_range"),
        ("price_cents", json!(100_000_000_001_i64), "out_of_range"),
        ("status", json!("paused"), "unknown_value"),
        ("description", json!("a".repeat(10_001)), "too_long"),
    ] {
        let mut body = least();
        body[field] = value;
        let answer = app.post(PLANS.path).by(&tenant).json(&body).await;
        answer.refused_fields(&[(field, code)]);
    }
}

#[tokio::test]
async fn a_list_is_narrowed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    for (name, status) in [
        ("Mensal Básico", "active"),
        ("Ouro", "active"),
        ("Antigo", "archived"),
    ] {
        PLANS
            .create(
                &app,
                &tenant,
                &json!({"name": name, "price_cents": 1, "status": status}),
            )
            .await;
    }
    let names = async |query: &str| {
        let list = app.get(&format!("{}?{query}", PLANS.path)).by(&tenant).await;
        texts(&list.expect(200).json(), "name")
    };
    assert_eq!(names("status=active").await, ["Ouro", "Mensal Básico"]);
    assert_eq!(names("q=basico").await, ["Mensal Básico"]);
    assert_eq!(names("q=antigo&status=active").await, [""; 0]);
}

#[tokio::test]
async fn a_plan_that_customers_have_stays() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let plan = PLANS.create(&app, &tenant, &least()).await;
    let ana = customer(&app, &tenant, "Ana", json!({"customer_plan_id": plan["id"]})).await;
    assert_eq!(ana["monthly_cents"], 9990);
    let path = PLANS.path_of(&plan);
    app.delete(&path)
        .by(&tenant)
        .await
        .problem(409, "customer_plan_in_use");
    let other = app
        .patch(&format!("/api/customers/{}", super::id(&ana)))
        .by(&tenant)
        .json(&json!({"customer_plan_id": null}));
    other.await.expect(200);
    app.delete(&path).by(&tenant).await.expect(204);
}

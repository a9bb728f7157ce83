//! `/api/orders`.

use serde_json::{Value, json};

use super::{customer, id, made, paid};
use crate::helpers::TestApp;
use crate::http::resource::{at_noon, ids};

const PATH: &str = "/api/orders";

fn order(customer: &Value) -> Value {
    json!({
        "customer_id": customer["id"], "due_date": "2026-03-20", "notes": "Entregar cedo.",
        "items": [{"description": " Pão ", "quantity": 3, "unit_cents": 150}, {"description": "Bolo", "unit_cents": 4000}],
    })
}

#[tokio::test]
async fn an_order_becomes_one_due() {
    let (app, tenant) = at_noon("general").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let made = made(&app, &tenant, PATH, order(&ana)).await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "customer_id": ana["id"], "status": "open",
            "items": [
                {"description": "Pão", "quantity": 3, "unit_cents": 150, "amount_cents": 450},
                {"description": "Bolo", "quantity": 1, "unit_cents": 4000, "amount_cents": 4000},
            ],
            "total_cents": 4450,
            "due": {"id": made["due"]["id"], "status": "open", "due_date": "2026-03-20", "paid_cents": 0},
            "notes": "Entregar cedo.", "version": 1,
            "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let path = format!("{PATH}/{}", id(&made));
    assert_eq!(app.get(&path).by(&tenant).await.expect(200).json(), made);
    let due = app
        .get(&format!("/api/dues/{}", id(&made["due"])))
        .by(&tenant)
        .await;
    let due = due.expect(200).json();
    assert_eq!(
        (
            &due["kind"],
            &due["order_id"],
            &due["description"],
            &due["amount_cents"]
        ),
        (&json!("order"), &made["id"], &json!("Pão (+1)"), &json!(4450))
    );
    let patch = |body: Value| app.patch(&path).by(&tenant).json(&body);
    let done = patch(json!({"status": "done", "notes": null, "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&done["status"], &done["notes"], &done["version"]),
        (&json!("done"), &Value::Null, &json!(2))
    );
    patch(json!({"version": 1})).await.problem(409, "stale_version");
    patch(json!({"status": "canceled"}))
        .await
        .refused_fields(&[("status", "unknown_value")]);
}

#[tokio::test]
async fn an_order_is_given_up_with_its_due_unless_it_was_paid() {
    let (app, tenant) = at_noon("general").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let one = made(&app, &tenant, PATH, order(&ana)).await;
    let cancel = |order: &Value| app.post(&format!("{PATH}/{}/cancel", id(order))).by(&tenant);
    let canceled = cancel(&one).await.expect(200).json();
    assert_eq!(
        (&canceled["status"], &canceled["due"]["status"]),
        (&json!("canceled"), &json!("canceled"))
    );
    assert_eq!(cancel(&one).await.expect(200).json(), canceled, "again");
    let change = app.patch(&format!("{PATH}/{}", id(&one))).by(&tenant);
    change
        .json(&json!({"status": "open"}))
        .await
        .problem(409, "wrong_state");
    let other = made(&app, &tenant, PATH, order(&ana)).await;
    paid(
        &app,
        &tenant,
        &other["due"],
        json!({"paid_on": "2026-03-10", "amount_cents": 1}),
    )
    .await;
    cancel(&other).await.problem(409, "wrong_state");
    let read = app
        .get(&format!("{PATH}/{}", id(&other)))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &read["status"],
            &read["due"]["status"],
            &read["due"]["paid_cents"]
        ),
        (&json!("open"), &json!("open"), &json!(1))
    );
    let shown = async |query: &str| {
        ids(&app
            .get(&format!("{PATH}?{query}"))
            .by(&tenant)
            .await
            .expect(200)
            .json())
    };
    assert_eq!(shown("status=canceled").await, [id(&one)]);
    assert_eq!(
        shown(&format!("customer_id={}", id(&ana))).await,
        [id(&other), id(&one)]
    );
    assert_eq!(
        shown("customer_id=0190163d-8694-739b-aea5-966c26f8ad91").await,
        [""; 0]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let app = TestApp::start().await;
    let tenant = app.onboard("bakery", "general").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let post = |body: Value| app.post(PATH).by(&tenant).json(&body);
    post(json!({})).await.refused_fields(&[
        ("customer_id", "required"),
        ("items", "required"),
        ("due_date", "required"),
    ]);
    let with = |items: Value| {
        let mut body = order(&ana);
        body["items"] = items;
        body
    };
    let bread = json!({"description": "Pão", "unit_cents": 1});
    for (body, field, code) in [
        (with(json!([])), "items", "wrong_number"),
        (with(json!(vec![bread.clone(); 101])), "items", "wrong_number"),
        (
            with(json!([{"description": "Pão", "unit_cents": 0}])),
            "items",
            "out_of_range",
        ),
        (
            with(json!([{"description": "Pão", "quantity": 1_000_000, "unit_cents": 100_000_000_000_i64}])),
            "items",
            "out_of_range",
        ),
        (
            with(json!([bread, {"description": "Bolo"}])),
            "items[1].unit_cents",
            "required",
        ),
        (
            with(json!([{"description": "Pão", "unit_cents": 1, "quantity": 0}])),
            "items[0].quantity",
            "out_of_range",
        ),
    ] {
        post(body).await.refused_fields(&[(field, code)]);
    }
    let mut foreign = order(&ana);
    foreign["customer_id"] = json!("0190163d-8694-739b-aea5-966c26f8ad91");
    post(foreign)
        .await
        .refused_fields(&[("customer_id", "unknown_value")]);
    for list in [PATH, "/api/dues"] {
        let found = app.get(list).by(&tenant).await.expect(200).json();
        assert_eq!(found["items"], json!([]), "{list}");
    }
    // Repeated with its key it is one order and one due.
    let again = || post(order(&ana)).idempotency_key("one");
    assert_eq!(again().await.expect(201).json(), again().await.expect(201).json());
    let dues = app.get("/api/dues").by(&tenant).await.expect(200).json();
    assert_eq!(ids(&dues).len(), 1);
}

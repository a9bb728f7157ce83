//! What is not owed any more is taken back at the gateway.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Failure, Fault, State};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, state};

/// Does something to a due that has a charge, and sees to it that the charge is taken back.
async fn taken_back(desk: &Desk, due: Uuid, method: Method, path: &str, body: Value) {
    let (charge, _) = desk.charge(due).await;
    let call = desk.call(method, &format!("/api/dues/{due}{path}"));
    let answer = match body {
        Value::Null => call.await,
        body => call.json(&body).await,
    };
    assert!([200, 201].contains(&answer.status), "{}", answer.describe());
    assert_eq!(desk.shown(due).await["pix_code"], json!(null));
    desk.jobs().await;
    desk.till.work().await;
    assert_eq!(desk.payment(charge).state, State::Canceled, "{path}");
    assert_eq!(desk.till.charge_status(charge).await, "canceled", "{path}");
}

#[tokio::test]
async fn a_charge_goes_with_what_it_was_for() {
    let desk = Desk::open().await;
    let post = Method::POST;
    taken_back(&desk, desk.due(100).await, post.clone(), "/cancel", Value::Null).await;
    let day = desk.till.clock.now().date_naive();
    let cash = json!({"paid_on": day});
    taken_back(&desk, desk.due(100).await, post.clone(), "/payments", cash).await;
    let due = desk.due(100).await;
    let part = json!({"paid_on": day, "amount_cents": 30});
    taken_back(&desk, due, post, "/payments", part).await;
    // What is left is another charge.
    assert_eq!(desk.charge(due).await.1["amount_cents"], 70);
    taken_back(&desk, due, Method::PATCH, "", json!({"amount_cents": 500})).await;
    let (charge, again) = desk.charge(due).await;
    assert_eq!(again["amount_cents"], 470);
    // Other words for it change nothing.
    let words = desk.call(Method::PATCH, &format!("/api/dues/{due}"));
    words.json(&json!({"description": "Outra"})).await.expect(200);
    desk.jobs().await;
    desk.till.work().await;
    assert_eq!(desk.payment(charge).state, State::Waiting);
}

#[tokio::test]
async fn a_charge_goes_with_its_order() {
    let desk = Desk::open().await;
    let contact = desk
        .made(
            "/api/contacts",
            json!({"name": "Bia", "email": "bia@example.com"}),
        )
        .await;
    let customer = desk
        .made("/api/customers", json!({"contact_id": contact["id"]}))
        .await;
    let body = json!({
        "customer_id": customer["id"], "due_date": "2030-01-01", "items": [{"description": "Pão", "unit_cents": 100}],
    });
    let order = desk.made("/api/orders", body).await;
    let dues = desk.get("/api/dues").await.expect(200).json();
    let due: Uuid = dues["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let (charge, _) = desk.charge(due).await;
    let path = format!("/api/orders/{}/cancel", order["id"].as_str().unwrap());
    desk.call(Method::POST, &path).await.expect(200);
    desk.jobs().await;
    desk.till.work().await;
    assert_eq!(desk.payment(charge).state, State::Canceled);
}

/// It was canceled while the gateway was away, and paid before the gateway knew: the money is booked all the same.
#[tokio::test]
async fn what_is_paid_before_it_is_taken_back_is_booked() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    let (charge, _) = desk.charge(due).await;
    desk.till
        .gateway
        .fail(Fault::repeated("PUT /v1/payments", Failure::Status(503), 200));
    let path = format!("/api/dues/{due}/cancel");
    desk.call(Method::POST, &path).await.expect(200);
    desk.jobs().await;
    desk.till.work().await;
    assert_eq!(desk.till.charge_status(charge).await, "pending");
    desk.pay(charge).await;
    desk.later(2, TimeDelta::minutes(10)).await;
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
}

//! Money that goes back: by an administrator, at the gateway, by the payer's bank.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Failure, Fault, State};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::till::{Till, paid};

async fn paid_invoice(till: &Till) -> (Uuid, Uuid, String, i64) {
    let (invoice, charge, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.work().await;
    assert_eq!(till.invoice_status(invoice).await, "paid");
    (invoice, charge, payment.id, payment.cents)
}

#[tokio::test]
async fn an_administrator_gives_everything_back_once() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment, cents) = paid_invoice(&till).await;
    let path = format!("/api/admin/invoices/{invoice}/refund");
    let call = || {
        let call = till.admin(Method::POST, &path).idempotency_key("volta");
        call.json(&json!({"reason": "desistiu"}))
    };
    let first = call().await.expect(201).json();
    assert_eq!(
        (&first["state"], &first["amount_cents"]),
        (&json!("done"), &json!(cents))
    );
    assert_eq!(call().await.expect(201).json(), first);
    let other = till.admin(Method::POST, &path).json(&json!({})).await;
    other.problem(409, "nothing_to_refund");
    // And the gateway's own news of it.
    till.work().await;
    assert_eq!(till.gateway.payment(&payment).state, State::Refunded);
    assert_eq!(till.gateway.payment(&payment).refunds.len(), 1);
    assert_eq!(till.charge_status(charge).await, "refunded");
    assert_eq!(till.invoice_status(invoice).await, "open");
    assert_eq!(till.subscription_status(till.client.id).await, "past_due");
    assert_eq!(
        till.ledger(invoice).await,
        [paid(cents), ("refunded".to_owned(), cents)]
    );
    // It is to be paid again, by another charge.
    let answer = till.owner(Method::POST, &format!("/api/invoices/{invoice}/pay"));
    let answer = answer.json(&json!({"method": "pix"})).await.expect(200).json();
    assert_ne!(answer["charges"][0]["id"], json!(charge));
}

#[tokio::test]
async fn a_refund_that_got_no_answer_is_given_once() {
    let till = Till::open_by_hand().await;
    let (invoice, _, payment, cents) = paid_invoice(&till).await;
    let on = format!("POST /v1/payments/{payment}/refunds");
    till.gateway
        .fail(Fault::repeated(&on, Failure::CommitThenDrop, 3));
    let path = format!("/api/admin/invoices/{invoice}/refund");
    let first = till
        .admin(Method::POST, &path)
        .json(&json!({}))
        .await
        .expect(201)
        .json();
    assert!(
        ["requested", "done"].contains(&first["state"].as_str().expect("a state")),
        "{first}"
    );
    for _ in 0..4 {
        till.advance(TimeDelta::minutes(30));
        till.work().await;
    }
    assert_eq!(till.gateway.payment(&payment).refunds.len(), 1);
    assert_eq!(
        till.ledger(invoice).await,
        [paid(cents), ("refunded".to_owned(), cents)]
    );
    let state: String = till
        .column(
            "select state from master.refunds where id = $1",
            super::till::id_of(&first["id"]),
        )
        .await;
    assert_eq!(state, "done");
}

#[tokio::test]
async fn a_part_goes_back_and_no_more_than_was_paid() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, _, cents) = paid_invoice(&till).await;
    let path = format!("/api/admin/invoices/{invoice}/refund");
    let post = |amount: i64| {
        till.admin(Method::POST, &path)
            .json(&json!({"amount_cents": amount}))
    };
    for wrong in [0, -1, cents + 1] {
        post(wrong).await.problem(422, "invalid_fields");
    }
    post(100).await.expect(201);
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(
        till.ledger(invoice).await,
        [paid(cents), ("refunded".to_owned(), 100)]
    );
    let nowhere = format!("/api/admin/invoices/{}/refund", Uuid::now_v7());
    till.admin(Method::POST, &nowhere)
        .json(&json!({}))
        .await
        .problem(404, "not_found");
}

/// The bank takes it back: the webhook reopens the invoice, and the subscription is past due.
#[tokio::test]
async fn a_chargeback_reopens_the_invoice() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment, cents) = paid_invoice(&till).await;
    assert_eq!(till.subscription_status(till.client.id).await, "active");
    till.gateway
        .change(&payment, Change::ChargeBack)
        .await
        .expect("changed");
    till.app
        .until("it was told", || async { till.events().await.0 >= 2 })
        .await;
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "charged_back");
    assert_eq!(till.invoice_status(invoice).await, "open");
    assert_eq!(till.subscription_status(till.client.id).await, "past_due");
    assert_eq!(
        till.ledger(invoice).await,
        [paid(cents), ("charged_back".to_owned(), cents)]
    );
}

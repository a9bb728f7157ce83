//! Money that goes back: by an administrator, at the gateway, by the payer's bank.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Failure, Fault, Kind, State};
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

/// By an administrator and at the gateway, in any number of parts.
#[tokio::test]
async fn each_part_that_goes_back_is_booked() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment, cents) = paid_invoice(&till).await;
    let path = format!("/api/admin/invoices/{invoice}/refund");
    for part in [100, 200] {
        let call = till.admin(Method::POST, &path);
        call.json(&json!({"amount_cents": part})).await.expect(201);
    }
    let at_gateway = async |part| {
        let known = till.events().await.0;
        let change = Change::Refund { cents: part };
        till.gateway.change(&payment, change).await.expect("given back");
        till.app
            .until("it was told", || async { till.events().await.0 > known })
            .await;
        till.work().await;
    };
    at_gateway(Some(300)).await;
    assert_eq!(till.charge_status(charge).await, "paid");
    at_gateway(None).await;
    assert_eq!(till.charge_status(charge).await, "refunded");
    let back = |cents| ("refunded".to_owned(), cents);
    assert_eq!(
        till.ledger(invoice).await,
        [paid(cents), back(100), back(200), back(300), back(cents - 600)]
    );
    assert_eq!(till.findings().await, [""; 0]);
    assert_eq!(till.app.test.platform.books.check().await.expect("checked"), []);
    let nothing = till.admin(Method::POST, &path).json(&json!({})).await;
    nothing.problem(409, "nothing_to_refund");
}

/// The bank gives again what it took: somebody is told, and what is to be done about the open invoice adds up.
#[tokio::test]
async fn a_chargeback_that_is_won_is_told() {
    for kind in [Kind::MercadoPago, Kind::Stripe, Kind::Asaas] {
        let till = Till::open_at(kind, false).await;
        let method = if kind == Kind::Stripe { "checkout" } else { "pix" };
        let answer = till.check_out(&json!({"method": method})).await;
        let invoice = super::till::id_of(&answer["invoice"]["id"]);
        let charge = super::till::id_of(&answer["charges"][0]["id"]);
        let name = charge.to_string();
        for (change, status) in [(Change::Pay, "paid"), (Change::ChargeBack, "charged_back")] {
            till.advance(TimeDelta::hours(1));
            till.gateway.change(&name, change).await.expect("changed");
            till.app
                .until(status, || async {
                    till.work().await;
                    till.charge_status(charge).await == status
                })
                .await;
        }
        assert_eq!(till.findings().await, [""; 0], "{kind:?}");
        till.advance(TimeDelta::hours(2));
        till.gateway
            .change(&name, Change::WinChargeback)
            .await
            .expect("won");
        till.app
            .until("it is told", || async {
                till.work().await;
                till.findings().await == ["chargeback_won"]
            })
            .await;
        assert_eq!(till.charge_status(charge).await, "charged_back", "{kind:?}");
        let path = format!("/api/admin/invoices/{invoice}/void");
        till.admin(Method::POST, &path).await.expect(200);
        assert_eq!(till.app.test.platform.books.check().await.expect("checked"), []);
    }
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

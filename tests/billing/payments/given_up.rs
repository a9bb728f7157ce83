//! What ends although nobody has paid: charges that are paid otherwise than was asked for, gateways that never answer, pages.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Failure, Fault, State};
use reqwest::Method;
use serde_json::json;

use super::till::{Till, id_of};

/// Time goes by, and the worker does what is due.
async fn days(till: &Till, count: usize) {
    for _ in 0..count {
        till.advance(TimeDelta::days(1));
        till.work().await;
    }
}

/// Too little was paid: the gateway has nothing that could be taken back, and nothing more comes.
#[tokio::test]
async fn what_was_paid_otherwise_is_not_asked_about_for_ever() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment) = till.pix().await;
    let less = Change::PayPart {
        cents: payment.cents - 1,
    };
    till.gateway.change(&payment.id, less).await.expect("paid");
    till.advance(TimeDelta::minutes(2));
    till.work().await;
    assert_eq!(
        (till.charge_status(charge).await.as_str(), till.findings().await),
        ("pending", vec!["amount".to_owned()])
    );
    days(&till, 34).await;
    assert_eq!(till.charge_status(charge).await, "canceled");
    let asked = || till.gateway.asked(&format!("GET /v1/payments/{}", payment.id));
    let before = asked();
    days(&till, 10).await;
    assert_eq!(asked(), before);
    assert_eq!(till.ledger(invoice).await, []);
}

#[tokio::test]
async fn a_gateway_that_never_answers_is_not_asked_for_ever() {
    let till = Till::open_by_hand().await;
    let (_, charge, payment) = till.pix().await;
    let on = format!("GET /v1/payments/{}", payment.id);
    till.gateway
        .fail(Fault::repeated(&on, Failure::Status(503), 100_000));
    days(&till, 20).await;
    assert_eq!(
        till.charge_status(charge).await,
        "pending",
        "it may have been paid"
    );
    days(&till, 40).await;
    assert_eq!(till.charge_status(charge).await, "canceled");
    let before = till.gateway.asked(&on);
    days(&till, 5).await;
    assert_eq!(till.gateway.asked(&on), before);
}

/// The invoice is paid in another way, or taken back: nobody can pay at its page any more.
#[tokio::test]
async fn a_page_is_closed_when_nothing_is_owed() {
    for paid in [true, false] {
        let till = Till::open_by_hand().await;
        let answer = till.check_out(&json!({"method": "checkout"})).await;
        let invoice = id_of(&answer["invoice"]["id"]);
        let page = id_of(&answer["charges"][0]["id"]);
        let at_gateway = || till.gateway.payment(&page.to_string());
        assert_eq!((at_gateway().hidden, at_gateway().state), (true, State::Waiting));
        // Once it is done and not answered.
        let on = format!("PUT /checkout/preferences/{}", at_gateway().page.expect("a page"));
        till.gateway
            .fail(Fault::repeated(&on, Failure::CommitThenDrop, 1));
        if paid {
            let (_, _, payment) = till.pix().await;
            till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
            till.app
                .until("it was told", || async {
                    till.work().await;
                    till.invoice_status(invoice).await == "paid"
                })
                .await;
        } else {
            let path = format!("/api/admin/invoices/{invoice}/void");
            till.admin(Method::POST, &path).await.expect(200);
        }
        for _ in 0..3 {
            till.advance(TimeDelta::minutes(10));
            till.work().await;
        }
        assert_eq!(till.charge_status(page).await, "canceled");
        assert_eq!(at_gateway().state, State::Expired);
        let late = till.gateway.change(&page.to_string(), Change::Pay).await;
        assert!(late.is_err(), "{late:?}");
    }
}
